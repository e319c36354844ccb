//! The log is what `docs/logging.md` says: each line there is written, and no other is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use helio::abi::*;
use serde_json::json;

use crate::only_in;
use crate::support::c::{Client, config_for, config_of};
use crate::support::chat::{ASK, ASK_STREAM, completion, hello};
use crate::support::delivery::{Mode, Wired, until};
use crate::support::server::Server;
use crate::support::sync::lock;

/// A row of the table of lines.
struct Row {
    target: String,
    level: i32,
    /// What stands around the `…`.
    message: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("docs/logging.md")).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| `helio::")).map(|line| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        let mut cell = || cells.next().expect("a cell").to_string();
        let (target, level, message) = (cell(), cell(), cell());
        Row { target, level: number(&level), message: message.split('…').map(str::to_string).collect() }
    });
    rows.collect()
}

fn number(level: &str) -> i32 {
    match level.to_ascii_uppercase().as_str() {
        "ERROR" => HELIO_LOG_ERROR,
        "WARN" => HELIO_LOG_WARN,
        "INFO" => HELIO_LOG_INFO,
        "DEBUG" => HELIO_LOG_DEBUG,
        "TRACE" => HELIO_LOG_TRACE,
        other => panic!("{other} is no level"),
    }
}

impl Row {
    /// Whether a line, as `Client::logs` has it, is one of these.
    fn is(&self, line: &str) -> bool {
        let Some(mut rest) = line.strip_prefix(&format!("{} {}: {}", self.level, self.target, self.message[0])) else {
            return false;
        };
        let (last, between) = self.message[1..].split_last().map_or(("", &[][..]), |(last, rest)| (last, rest));
        for piece in between {
            let Some((_, behind)) = rest.split_once(piece.as_str()) else { return false };
            rest = behind;
        }
        if self.message.len() == 1 { rest.is_empty() } else { rest.ends_with(last) }
    }
}

/// Everything that is ever written: by clients that are warned, fail to open a connection, try again, find a dead
/// connection, and are shut down.
fn all_lines() -> Vec<String> {
    let warned = Client::new(&config_of("http://192.0.2.1/v1"));
    assert_eq!(warned.handle().set_api_key(Some("another-key")), HELIO_OK);
    let server = Server::new(|request, conn| match request.number {
        0 => conn.answer(503, &[], "busy"),
        1 => conn.json(200, completion("Hello")),
        2 => conn.cut(), // on the connection of the answer before
        _ => conn.stream(hello()),
    });
    let client = Client::of(&server);
    client.ask(ASK).ok();
    client.call(ASK_STREAM).overrides(&json!({"validate": "warn"})).run().ok();
    client.call(r#"{"model":""}"#).overrides(&json!({"validate": "warn"})).run().ok();
    drop(server);
    assert_eq!(client.handle().prewarm(), HELIO_OK);
    until("the failure is logged", || client.logs().iter().any(|line| line.contains("opened ahead")));
    assert_eq!(client.handle().shutdown(), HELIO_OK);
    [warned.logs(), client.logs()].concat()
}

#[test]
fn each_line_of_the_page_is_written_and_no_other() {
    let (rows, lines) = (rows(), all_lines());
    for line in &lines {
        let count = rows.iter().filter(|row| row.is(line)).count();
        assert_eq!(count, 1, "{count} rows of docs/logging.md are {line:?}");
    }
    for row in rows {
        let Row { target, level, message } = &row;
        let is_written = lines.iter().any(|line| row.is(line));
        assert!(is_written, "no line was written that is {level} {target}: {} of the page", message.join("…"));
    }
}

/// Lines that no test can bring about are still found here.
#[test]
fn each_target_and_level_in_the_sources_stands_on_the_page() {
    let mut written = BTreeSet::new();
    for room in std::fs::read_dir(root().join("src")).unwrap().map(|room| room.unwrap().path()) {
        let files = std::fs::read_dir(&room).into_iter().flatten().map(|file| file.unwrap().path());
        let text: String = files.map(|file| std::fs::read_to_string(file).unwrap()).collect();
        let target = text.split_once("const TARGET: &str = \"").and_then(|(_, rest)| rest.split_once('"'));
        // A room may have a function of its own for its target.
        for call in text.replace("self.log(", "log.write(").split("log.write(").skip(1) {
            let Some(call) = call.trim_start().strip_prefix("Level::") else { continue };
            let arguments = call.split_once("||").expect("the message").0;
            let (level, given) = arguments.split_once(',').expect("a target");
            let given = given.trim().trim_end_matches(',');
            assert!(["", "TARGET"].contains(&given), "the target of a line in {room:?}");
            written.insert((target.expect("TARGET").0.to_string(), number(level)));
        }
    }
    let documented: BTreeSet<_> = rows().into_iter().map(|row| (row.target, row.level)).collect();
    assert_eq!(written, documented, "the sources, and docs/logging.md");
}

#[test]
fn a_line_comes_on_the_thread_that_has_something_to_say() {
    only_in!([Complete], "each way is tried here");
    let server = Server::new(|request, conn| match request.json()["stream"] == true {
        true => conn.stream(hello()),
        false => conn.json(200, completion("Hello")),
    });
    let threads: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let seen = threads.clone();
    let on_log = move |_: &str| {
        lock(&seen).insert(std::thread::current().name().unwrap_or("no name").to_string());
    };
    let client = Wired::new(&config_for(&server), || (), on_log);
    client.call(ASK).mode(Mode::Complete).run().ok();
    client.call(ASK).mode(Mode::Thread).run().ok();
    client.call(ASK_STREAM).mode(Mode::Poll).run().ok();
    let here = std::thread::current().name().expect("the test's name").to_string();
    let named = ["helio-worker", "helio-reactor"].map(str::to_string).into_iter().chain([here]).collect();
    assert_eq!(*lock(&threads), named);
}
