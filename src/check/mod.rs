//! Is a request what the endpoint takes? Looked at before it is sent, and never changed.
//!
//! [`rules`] is the table of what there is, [`shape`] holds a value against it. What needs more than one value is here:
//! parameters that need another, and tool messages that need their call.

#[cfg(test)]
mod page;
mod rules;
mod shape;

use std::borrow::Cow;
use std::collections::HashSet;

use crate::chat::{json, scan};
use rules::{MESSAGES, NEEDS, PARAMETERS, PROMPT};
use shape::{Walk, shown};

/// What becomes of what is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nobody looks.
    Off,
    /// It is logged, and the request goes out.
    Warn,
    /// The request is refused.
    Strict,
}

/// All that a request body, which is one JSON object, would be refused for, each in one line.
pub fn findings(body: &str) -> Vec<String> {
    let mut walk = Walk::default();
    walk.members(&|place| PARAMETERS.get(place).map(|parameter| &parameter.member), true, body);
    let mut all = Vec::new();
    scan::members(body, |name, raw| all.push((name, raw)));
    let there = |name: &str| all.iter().rfind(|(known, _)| *known == name).map(|(_, raw)| *raw);
    let told = |name: &str| there(name).filter(|raw| !json::is_null(raw));
    for need in NEEDS.iter().filter(|need| told(need.name).is_some()) {
        if told(need.needed) != Some(need.value) {
            let found = format!("no {:?} that is {}", need.needed, need.value);
            walk.at_member(need.name, &mut |walk| {
                walk.find(&found, &format!("only with {:?}: {}", need.needed, need.value));
            });
        }
    }
    match there(MESSAGES) {
        Some(messages) => tool_messages(&mut walk, messages),
        None if told(PROMPT).is_some() => {}
        None => walk.at_member(MESSAGES, &mut |walk| {
            walk.find("nothing", &format!("at least one message, or {PROMPT:?}"));
        }),
    }
    walk.findings()
}

/// Each tool message answers a call that an assistant's message before it has made.
fn tool_messages(walk: &mut Walk, messages: &str) {
    let mut calls: HashSet<Cow<'_, str>> = HashSet::new();
    walk.at_member(MESSAGES, &mut |walk| {
        let mut place = 0;
        scan::elements(messages, |message| {
            let (mut role, mut answered, mut made) = ("", None, "");
            scan::members(message, |name, raw| match name {
                "role" => role = raw,
                "tool_call_id" => answered = Some(raw),
                "tool_calls" => made = raw,
                _ => {}
            });
            scan::elements(made, |call| calls.extend(scan::member(call, "id").and_then(json::text)));
            if json::text(role).as_deref() == Some("tool")
                && let Some(raw) = answered
                && json::text(raw).is_some_and(|id| !calls.contains(&id))
            {
                walk.at_element(place, &mut |walk| {
                    walk.at_member("tool_call_id", &mut |walk| {
                        walk.find(&shown(raw), "the id of a call in \"tool_calls\" of an earlier message");
                    });
                });
            }
            place += 1;
        });
    });
}
