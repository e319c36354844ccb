//! `docs/faults.md`, written from the rows.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use helio::abi::*;

use super::places;
use super::row::{Again, Kept, Place, Row};
use crate::support::c::status_name;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")
}

fn page(places: &[Place]) -> String {
    let count: usize = places.iter().map(|place| place.rows.len()).sum();
    let mut page = format!(
        "<!-- `HELIO_BLESS=1 cargo test --test scenarios table` writes this page from the rows in tests/scenarios/table. -->

# Faults

The library is tried with these {count} faults, each without retries and with two, in every way to receive an answer: each row is a test in
[tests/scenarios/table](../tests/scenarios/table). Statuses stand without their `HELIO_ERR_` ([errors.md](errors.md)), the
`helio_error_code` stands in parentheses, words in quotes stand in the message, and *tried again* says whether the
library does it by itself, as `retry.max_retries` allows.
"
    );
    for place in places {
        let Place { heading, about, rows } = place;
        let _never_fails = write!(page, "\n## {heading}\n\n{about}\n\n");
        page.push_str("| what happens | what the host sees | tried again |\n| --- | --- | --- |\n");
        for row in rows {
            let _never_fails = writeln!(page, "| {} | {} | {} |", row.happens, seen(row), again(row));
        }
    }
    page
}

/// What the host sees, in few words.
fn seen(row: &Row) -> String {
    let mut seen = format!("`{}`", status_name(row.status).trim_start_matches("HELIO_").trim_start_matches("ERR_"));
    if row.again == Again::Replayed {
        return seen + ": the answer";
    }
    if row.status == HELIO_OK {
        return seen + ": the answer, whole";
    }
    if let Some(code) = row.code {
        let _never_fails = write!(seen, " (`{code}`)");
    }
    if row.is_refused {
        seen.push_str(", no event");
    }
    if row.http_status != 0 {
        let _never_fails = write!(seen, ", HTTP {}", row.http_status);
    }
    match row.kept {
        Kept::Nothing => {}
        Kept::Shown => seen.push_str("; chunks, but nothing to keep"),
        Kept::Part(_) | Kept::Finished(_) => seen.push_str("; what had come is kept"),
    }
    if !row.says.is_empty() {
        let words: Vec<_> = row.says.iter().map(|word| format!("\"{word}\"")).collect();
        let _never_fails = write!(seen, "; {}", words.join(", "));
    }
    seen
}

fn again(row: &Row) -> &'static str {
    match row.again {
        Again::No => "no",
        Again::Yes | Again::InVain => "yes",
        Again::IfTemporary => "if the system calls it temporary",
        Again::Replayed => "once, on a new connection, unseen",
        Again::AfterReplay => "yes, after the replay",
    }
}

#[test]
fn the_page_is_what_the_rows_say() {
    let page = page(&places());
    if std::env::var_os("HELIO_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(path(), page).expect("docs/faults.md");
        return;
    }
    let committed = std::fs::read_to_string(path()).expect("docs/faults.md");
    let differs = page.lines().zip(committed.lines()).position(|(made, committed)| made != committed);
    assert!(
        page == committed,
        "docs/faults.md is not what the rows say, from line {} on. `HELIO_BLESS=1 cargo test --test scenarios table` \
         rewrites it.",
        differs.map_or(page.lines().count().min(committed.lines().count()), |line| line) + 1
    );
}

#[test]
fn no_two_rows_tell_the_same() {
    let places = places();
    let mut told = HashSet::new();
    for (heading, row) in places.iter().flat_map(|place| place.rows.iter().map(|row| (place.heading, row))) {
        assert!(told.insert((heading, row.happens)), "{heading} has {:?} twice", row.happens);
        assert!(!row.happens.contains('|') && !row.happens.ends_with('.'), "{:?} breaks the table", row.happens);
    }
    assert!(told.len() >= 120, "only {} rows", told.len());
}
