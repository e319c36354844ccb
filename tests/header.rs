//! The header that C programs include: made from the sources, accepted by every compiler, true to the layout.
//!
//! `HELIO_BLESS=1 cargo test --test header` rewrites it.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use helio::abi::*;
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn path() -> PathBuf {
    root().join("include/helio.h")
}

fn header() -> String {
    std::fs::read_to_string(path()).expect("include/helio.h")
}

#[test]
fn it_is_what_the_sources_say() {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml");
    let made = cbindgen::Builder::new().with_crate(root()).with_config(config).generate().expect("a header");
    let mut text = Vec::new();
    made.write(&mut text);
    let text = String::from_utf8(text).expect("text");
    if std::env::var_os("HELIO_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(path(), text).expect("include/helio.h");
        return;
    }
    let committed = header();
    let differs = text.lines().zip(committed.lines()).position(|(made, committed)| made != committed);
    assert!(
        text == committed,
        "include/helio.h is not what the sources say, from line {} on. `HELIO_BLESS=1 cargo test --test header` \
         rewrites it.",
        differs.map_or(text.lines().count().min(committed.lines().count()), |line| line) + 1
    );
}

// ---- compilers ----

const C: [&str; 3] = ["c99", "c11", "c17"];
const CPP: [&str; 3] = ["c++11", "c++17", "c++20"];

/// One compiler with the standards it is asked for.
struct Compiler {
    program: &'static str,
    suffix: &'static str,
    standards: [&'static str; 3],
}

const COMPILERS: [Compiler; 4] = [
    Compiler { program: "gcc", suffix: "c", standards: C },
    Compiler { program: "g++", suffix: "cpp", standards: CPP },
    Compiler { program: "clang", suffix: "c", standards: C },
    Compiler { program: "clang++", suffix: "cpp", standards: CPP },
];

impl Compiler {
    /// Compiles and links these units, and gives back the folder with `program` in it.
    fn build(&self, standard: &str, arguments: &[&str], units: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(self.program);
        command.current_dir(&folder).arg(format!("-std={standard}")).arg("-I").arg(root().join("include"));
        command.args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-o", "program"]).args(arguments);
        for (number, unit) in units.iter().enumerate() {
            let name = format!("unit{number}.{}", self.suffix);
            std::fs::write(folder.path().join(&name), unit).expect("a source file");
            command.arg(name);
        }
        let output = command.output().expect("a compiler");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} -std={standard}:\n{said}", self.program);
        folder
    }
}

/// Every compiler that is here, with every standard; those that are not are named, past the test's capture.
fn with_every_compiler(test: impl Fn(&Compiler, &str)) {
    for compiler in &COMPILERS {
        if Command::new(compiler.program).arg("--version").output().is_err() {
            let _nowhere_to_say_it =
                writeln!(std::io::stderr(), "SKIPPED: the header with {}: not installed", compiler.program);
            continue;
        }
        for standard in compiler.standards {
            test(compiler, standard);
        }
    }
}

const MAIN: &str = "#include \"helio.h\"\nint main(void) { return 0; }\n";

#[test]
fn it_compiles_alone_in_every_standard() {
    with_every_compiler(|compiler, standard| {
        compiler.build(standard, &[], &[MAIN]);
    });
}

#[test]
fn it_compiles_twice_in_one_unit() {
    let twice = format!("#include \"helio.h\"\n{MAIN}");
    with_every_compiler(|compiler, standard| {
        compiler.build(standard, &[], &[&twice]);
    });
}

#[test]
fn it_compiles_in_two_units_of_one_program() {
    let other = "#include \"helio.h\"\nint other(helio_status status);\nint other(helio_status status) { return status == HELIO_OK; }\n";
    with_every_compiler(|compiler, standard| {
        compiler.build(standard, &[], &[MAIN, other]);
    });
}

#[test]
fn its_functions_are_c_functions_in_every_standard() {
    let calls = "#include \"helio.h\"\nint main(void) { return (int)helio_version_number(); }\n";
    with_every_compiler(|compiler, standard| {
        let folder = compiler.build(standard, &["-c"], &[calls]);
        let symbols = Command::new("nm").arg("-u").arg(folder.path().join("program")).output().expect("nm");
        let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
        let named = symbols.split_whitespace().any(|symbol| symbol == "helio_version_number");
        assert!(named, "{} -std={standard} calls {symbols}", compiler.program);
    });
}

// ---- what is in it ----

/// The lines on which functions are declared, with their names.
fn functions(header: &str) -> Vec<(usize, String)> {
    let lines = header.lines().enumerate();
    let declared = lines.filter_map(|(number, line)| {
        let starts = line.starts_with(|first: char| first.is_ascii_alphabetic()) && !line.starts_with("typedef");
        let name = line.split_once('(')?.0.rsplit([' ', '*']).next()?;
        (starts && name.starts_with("helio_")).then(|| (number, name.to_string()))
    });
    declared.collect()
}

#[test]
fn it_declares_what_the_library_exports() {
    let header = header();
    let declared: Vec<_> = functions(&header).into_iter().map(|(_, name)| name).collect();
    let listed: BTreeSet<_> = include_str!("exports.txt").lines().map(str::to_string).collect();
    assert_eq!(declared.iter().cloned().collect::<BTreeSet<_>>(), listed);
    assert_eq!(declared.len(), listed.len(), "a function is declared twice");
}

#[test]
fn every_function_has_its_comment() {
    let header = header();
    let lines: Vec<_> = header.lines().collect();
    for (number, name) in functions(&header) {
        // A macro for the symbol's visibility may stand on a line of its own.
        let code = |line: &str| line.trim().is_empty() || line.trim() == "HELIO_API";
        let before = lines[..number].iter().rev().find(|line| !code(line)).copied().unwrap_or_default();
        assert!(before.trim_end().ends_with("*/") || before.trim_start().starts_with("//"), "{name} has no comment");
    }
}

#[test]
fn every_name_is_ours() {
    for line in header().lines().filter(|line| line.starts_with("#define ") || line.starts_with("typedef ")) {
        assert!(line.contains("HELIO_") || line.contains("helio_"), "{line}");
    }
}

#[test]
fn nothing_of_rust_shows_through() {
    let header = header();
    for foreign in ["Option_", "Option<", "MaybeUninit", "c_void", "c_char", "usize", "# Safety", "`unsafe`", "[`"] {
        assert!(!header.contains(foreign), "{foreign:?} in the header");
    }
}

// ---- layout and numbers ----

/// The lines a C program must print for these structs, and the statements that print them.
macro_rules! layouts {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {{
        let (mut wanted, mut statements) = (String::new(), String::new());
        $(
            let name = stringify!($name);
            writeln!(wanted, "{name} {}", size_of::<$name>()).unwrap();
            writeln!(statements, "printf(\"{name} %lu\\n\", (unsigned long)sizeof({name}));").unwrap();
            $(
                let field = stringify!($field);
                writeln!(wanted, "{name}.{field} {}", offset_of!($name, $field)).unwrap();
                writeln!(statements, "printf(\"{name}.{field} %lu\\n\", (unsigned long)offsetof({name}, {field}));").unwrap();
            )+
        )+
        (wanted, statements)
    }};
}

/// The same for constants.
macro_rules! numbers {
    ($($name:ident),+ $(,)?) => {{
        let (mut wanted, mut statements) = (String::new(), String::new());
        $(
            let name = stringify!($name);
            writeln!(wanted, "{name} {}", $name as i64).unwrap();
            writeln!(statements, "printf(\"{name} %ld\\n\", (long)({name}));").unwrap();
        )+
        (wanted, statements)
    }};
}

#[track_caller]
fn c_prints(statements: &str, wanted: &str) {
    let program = format!(
        "#include <stddef.h>\n#include <stdio.h>\n#include \"helio.h\"\nint main(void) {{\n{statements}return 0;\n}}\n"
    );
    let folder = COMPILERS[0].build("c99", &[], &[&program]);
    let output = Command::new(folder.path().join("program")).output().expect("the program");
    assert_eq!(String::from_utf8_lossy(&output.stdout), wanted, "what C sees, and what Rust has");
}

#[test]
fn c_and_rust_agree_about_every_field() {
    let (wanted, statements) = layouts! {
        helio_event {
            struct_size, kind, request, user_data, data, len, text, text_len, reasoning, reasoning_len, status,
            http_status, error, report, report_len,
        }
        helio_client_options {
            struct_size, flags, config, config_len, log_fn, log_user_data, log_level, reserved0, notify_fn,
            notify_user_data,
        }
        helio_request_options { struct_size, delivery, id, on_event, user_data, overrides, overrides_len }
    };
    c_prints(&statements, &wanted);
}

#[test]
fn c_and_rust_agree_about_every_number() {
    let (wanted, statements) = numbers!(
        HELIO_OK,
        HELIO_ERR_INVALID_ARGUMENT,
        HELIO_ERR_INVALID_UTF8,
        HELIO_ERR_INVALID_JSON,
        HELIO_ERR_UNSUPPORTED,
        HELIO_ERR_REENTRANT,
        HELIO_ERR_SHUT_DOWN,
        HELIO_ERR_FORKED,
        HELIO_ERR_BUSY,
        HELIO_ERR_TIMEOUT,
        HELIO_ERR_CANCELLED,
        HELIO_ERR_DNS,
        HELIO_ERR_CONNECT,
        HELIO_ERR_TLS,
        HELIO_ERR_PROXY,
        HELIO_ERR_NETWORK,
        HELIO_ERR_PROTOCOL,
        HELIO_ERR_TRUNCATED,
        HELIO_ERR_TOO_LARGE,
        HELIO_ERR_BAD_REQUEST,
        HELIO_ERR_AUTHENTICATION,
        HELIO_ERR_PERMISSION,
        HELIO_ERR_NOT_FOUND,
        HELIO_ERR_RATE_LIMITED,
        HELIO_ERR_QUOTA_EXCEEDED,
        HELIO_ERR_CONTEXT_LENGTH,
        HELIO_ERR_CONTENT_FILTERED,
        HELIO_ERR_OVERLOADED,
        HELIO_ERR_SERVER,
        HELIO_ERR_INTERNAL,
        HELIO_DELIVERY_POLL,
        HELIO_DELIVERY_PULL,
        HELIO_DELIVERY_THREAD,
        HELIO_EVENT_RESPONSE,
        HELIO_EVENT_CHUNK,
        HELIO_EVENT_DONE,
        HELIO_LOG_ERROR,
        HELIO_LOG_WARN,
        HELIO_LOG_INFO,
        HELIO_LOG_DEBUG,
        HELIO_LOG_TRACE,
        HELIO_STRLEN,
        HELIO_WAIT_FOREVER,
        HELIO_ABI_VERSION,
        HELIO_VERSION_MAJOR,
        HELIO_VERSION_MINOR,
        HELIO_VERSION_PATCH,
    );
    c_prints(&statements, &wanted);
}

#[test]
fn structs_of_the_64_bit_contract_have_no_hidden_holes() {
    // Every byte belongs to a field: what a host leaves zero is zero, whatever its compiler pads.
    assert_eq!(size_of::<helio_client_options>(), 64);
    assert_eq!(size_of::<helio_request_options>(), 48);
    assert_eq!(size_of::<helio_event>(), 104);
}
