//! `docs/parameters.md`, made from the rules: `HELIO_BLESS=1 cargo test --lib parameters` writes it anew.

use super::rules::{NEEDS, PARAMETERS};
use super::shape::{BREAKPOINT, BREAKPOINTS_MOST, Member, Shape};

const HEAD: &str = "# Parameters

What a request to `POST /v1/chat/completions` can hold. The library sends it byte for byte as you wrote it and needs none of
this; [`validate`](configuration.md#checking-requests-validate) holds requests against this very table before they go out. Types, ranges and words are
those of the endpoint's page; which names there are, and where `null` may stand, is what the gateway's strict schema says.
Towards another server that knows more, leave the check off. [endpoint.md](endpoint.md) says where each of them is tested.

*Generated from `src/check/rules.rs`: edit there, then run `HELIO_BLESS=1 cargo test --lib parameters`.*

| parameter | type and range | default | which servers take it |
| --- | --- | --- | --- |
";

const MIDDLE: &str = "
## Inside them

Of objects that are open, other names than these pass. `[]` is each element of a list; a word in brackets is the kind of an
object, as its `role` or `type` says it. Names in **bold** must be there.

| where | type and range |
| --- | --- |
";

const TAIL: &str = "
## What hangs together

- A `tool` message's `tool_call_id` is the id of a call in `tool_calls` of an assistant's message before it.
- At most @MOST@ `cache_control` in a request, wherever they stand.
- `messages` must be there, unless `prompt_id` is.
";

/// The rows of what lies inside of a shape.
fn inside(path: &str, shape: &Shape, rows: &mut String) {
    match shape {
        Shape::Either(shapes) => shapes.iter().for_each(|shape| inside(path, shape, rows)),
        Shape::List(each, ..) => element(&format!("{path}[]"), each, rows),
        Shape::Object(members) | Shape::Closed(members) => members_of(path, members, rows),
        Shape::Tagged(_, kinds) if kinds.len() == 1 => members_of(path, kinds[0].1, rows),
        Shape::Tagged(_, kinds) => {
            for alike in kinds.chunk_by(|one, other| std::ptr::eq(one.1, other.1)) {
                let names: Vec<_> = alike.iter().map(|(kind, _)| *kind).collect();
                members_of(&format!("{path}({})", names.join(", ")), alike[0].1, rows);
            }
        }
        _ => {}
    }
}

fn element(path: &str, shape: &Shape, rows: &mut String) {
    if !matches!(shape, Shape::Text | Shape::Any | Shape::Map(_)) {
        rows.push_str(&format!("| `{path}` | {} |\n", cell(shape)));
    }
    inside(path, shape, rows);
}

fn members_of(path: &str, members: &[Member], rows: &mut String) {
    for member in members {
        let name = format!("`{path}.{}`", member.name);
        let name = if member.is_required { format!("**{name}**") } else { name };
        if member.name == BREAKPOINT {
            rows.push_str(&format!("| {name} | as the request's |\n"));
            continue;
        }
        rows.push_str(&format!("| {name} | {} |\n", cell(&member.shape)));
        inside(&format!("{path}.{}", member.name), &member.shape, rows);
    }
}

/// A shape in words, fit for a table.
fn cell(shape: &Shape) -> String {
    shape.to_string().replace('|', "\\|")
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut rows = String::new();
    for parameter in PARAMETERS {
        let Member { name, is_required, shape } = &parameter.member;
        let name = if *is_required { format!("**`{name}`**") } else { format!("`{name}`") };
        let default = if parameter.default.is_empty() { "none, required" } else { parameter.default };
        let needs = NEEDS.iter().find(|need| need.name == parameter.member.name);
        let needs = needs.map(|need| format!("; needs `\"{}\": {}`", need.needed, need.value)).unwrap_or_default();
        page.push_str(&format!("| {name} | {}{needs} | {default} | {} |\n", cell(shape), parameter.servers));
        inside(parameter.member.name, shape, &mut rows);
    }
    page.push_str(MIDDLE);
    page.push_str(&rows);
    page.push_str(&TAIL.replace("@MOST@", &BREAKPOINTS_MOST.to_string()));
    page
}

#[test]
fn the_page_of_parameters_is_what_the_rules_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parameters.md");
    let made = page();
    if std::env::var_os("HELIO_BLESS").is_some() {
        std::fs::write(&path, &made).expect("docs/parameters.md can be written");
    }
    let written = std::fs::read_to_string(&path).expect("docs/parameters.md");
    assert!(
        written == made,
        "docs/parameters.md is not what src/check/rules.rs says: run this test with HELIO_BLESS=1"
    );
}
