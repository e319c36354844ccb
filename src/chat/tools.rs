//! Tool calls that come in fragments, in every form that servers break them into.
//!
//! The rules: an index names a call; without one, a fragment with an id belongs to the call of that id, and one
//! without continues the call that was spoken of last. A new id under an old index opens a new call, and so does a new name behind
//! arguments that are already whole. An id, type or name is never overwritten by nothing.

use std::collections::HashMap;

use super::chunk::Others;
use super::json::{self, Raw};
use super::merge::{Latest, write_key};
use super::scan;

/// The calls of one message.
#[derive(Default)]
pub struct ToolCalls {
    calls: Vec<ToolCall>,
    by_index: HashMap<i64, usize>, // the last call of an index
    by_id: HashMap<String, usize>,
    last: Option<usize>, // the call that was spoken of last
}

#[derive(Default)]
struct ToolCall {
    index: Option<i64>,
    id: String, // the insides of JSON strings, these four
    kind: String,
    name: String,
    arguments: String,
    custom: bool,
    others: Latest,
    function_others: Latest,
}

#[derive(Default)]
struct Fragment<'a> {
    index: Option<i64>,
    id: &'a str,
    kind: &'a str,
    function: Function<'a>,
    others: Others<'a, 2>,
}

/// The `function` of a call, or a whole old `function_call`.
#[derive(Default)]
struct Function<'a> {
    custom: bool,
    name: &'a str,
    arguments: Option<Raw<'a>>,
    others: Others<'a, 2>,
}

fn said<'a>(raw: Raw<'a>) -> &'a str {
    json::inner(raw).unwrap_or_default()
}

impl<'a> Fragment<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut fragment = Fragment::default();
        scan::members(text, |key, value| match key {
            "index" => fragment.index = json::whole(value),
            "id" => fragment.id = said(value),
            "type" => fragment.kind = said(value),
            "function" | "custom" if json::is_empty(value) => {} // beside the other one, which is not
            "function" => fragment.function = Function::read(value, false).unwrap_or_default(),
            "custom" => fragment.function = Function::read(value, true).unwrap_or_default(),
            _ => fragment.others.push((key, value)),
        })?;
        Some(fragment)
    }
}

impl<'a> Function<'a> {
    fn read(text: &'a str, custom: bool) -> Option<Self> {
        let mut function = Function { custom, ..Function::default() };
        scan::members(text, |key, value| match key {
            "name" => function.name = said(value),
            "arguments" if !custom => function.arguments = Some(value),
            "input" if custom => function.arguments = Some(value),
            _ => function.others.push((key, value)),
        })?;
        Some(function)
    }
}

impl ToolCalls {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Add the fragments of one delta's `tool_calls`.
    pub fn add(&mut self, list: &str) {
        scan::elements(list, |element| {
            if let Some(fragment) = Fragment::read(element) {
                let place = self.place_of(&fragment);
                self.calls[place].add(&fragment);
            }
        });
    }

    /// The call that a fragment belongs to; a new one if it opens one.
    fn place_of(&mut self, fragment: &Fragment<'_>) -> usize {
        let same_id = self.by_id.get(fragment.id).copied().filter(|_| !fragment.id.is_empty());
        let known = match fragment.index {
            Some(index) => {
                let named = same_id.filter(|place| self.calls[*place].index == Some(index));
                named.or_else(|| self.by_index.get(&index).copied())
            }
            None if !fragment.id.is_empty() => same_id,
            None => self.last,
        };
        let place = known.filter(|place| !self.calls[*place].is_followed_by(fragment)).unwrap_or_else(|| {
            self.calls.push(ToolCall { index: fragment.index, ..ToolCall::default() });
            self.calls.len() - 1
        });
        if let Some(index) = fragment.index {
            self.by_index.insert(index, place);
        }
        if !fragment.id.is_empty() {
            self.by_id.insert(fragment.id.to_owned(), place);
        }
        self.last = Some(place);
        place
    }

    /// Append them as an array, in the shape of a whole message. A call that was never given an id gets one from `new_id`.
    pub fn write(&self, out: &mut String, mut new_id: impl FnMut(usize) -> String) {
        let mut calls: Vec<&ToolCall> = self.calls.iter().collect();
        if calls.iter().all(|call| call.index.is_some()) {
            calls.sort_by_key(|call| call.index);
        }
        out.push('[');
        for (place, call) in calls.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            let id = if call.id.is_empty() { new_id(place) } else { call.id.clone() };
            call.write(out, &id);
        }
        out.push(']');
    }
}

impl ToolCall {
    /// Whether this fragment is the beginning of the next call, though its index or its lack of one says this call.
    fn is_followed_by(&self, fragment: &Fragment<'_>) -> bool {
        if !fragment.id.is_empty() && !self.id.is_empty() {
            return fragment.id != self.id;
        }
        let named_again = !fragment.function.name.is_empty() && !self.name.is_empty();
        named_again
            && (fragment.index.is_none() || !self.arguments.is_empty())
            && fragment.id.is_empty()
            && self.has_whole_arguments()
    }

    fn has_whole_arguments(&self) -> bool {
        if !self.arguments.is_empty() && !self.arguments.ends_with('}') || self.arguments.len() > 64 * 1024 {
            return false;
        }
        let mut text = String::new();
        json::unescape(&self.arguments, &mut text);
        text.is_empty() || json::is_valid(&text)
    }

    fn add(&mut self, fragment: &Fragment<'_>) {
        if self.id.is_empty() {
            self.id.push_str(fragment.id);
        }
        if self.kind.is_empty() {
            self.kind.push_str(fragment.kind);
        }
        let function = &fragment.function;
        self.custom |= function.custom;
        self.add_name(function.name);
        if let Some(arguments) = function.arguments.filter(|raw| !json::is_null(raw)) {
            self.add_arguments(arguments, function.custom);
        }
        fragment.others.iter().for_each(|(key, value)| self.others.tell(key, value));
        function.others.iter().for_each(|(key, value)| self.function_others.tell(key, value));
    }

    /// A name that is told again is the same name; another one before any argument is its next piece.
    fn add_name(&mut self, name: &str) {
        if self.name.is_empty() || (self.name != name && self.arguments.is_empty()) {
            self.name.push_str(name);
        }
    }

    /// Arguments come as pieces of a string; some servers give the object itself, which becomes its own text. An empty
    /// one before or behind the pieces (Anthropic begins a call with it) says nothing.
    fn add_arguments(&mut self, raw: Raw<'_>, custom: bool) {
        let inner = json::inner(raw);
        if self.arguments == "{}" && !custom && inner.unwrap_or(raw).starts_with('{') {
            self.arguments.clear();
        }
        match inner {
            Some(inner) => self.arguments.push_str(inner),
            None if raw == "{}" && !self.arguments.is_empty() => {}
            None => json::write_inner(&mut self.arguments, raw),
        }
    }

    fn write(&self, out: &mut String, id: &str) {
        let custom = self.custom && self.kind != "function";
        let (kind, content) = if custom { ("custom", "input") } else { ("function", "arguments") };
        let shown = if self.kind.is_empty() { kind } else { &self.kind };
        out.push_str(&format!("{{\"id\":\"{id}\",\"type\":\"{shown}\",\"{kind}\":{{\"name\":\"{}\"", self.name));
        write_key(out, content);
        out.push_str(&format!("\"{}\"", self.arguments));
        self.function_others.write(out);
        out.push('}');
        self.others.write(out);
        out.push('}');
    }
}

/// The old form: one call per message.
#[derive(Default)]
pub struct FunctionCall(Option<Box<ToolCall>>);

impl FunctionCall {
    /// Add the fragment of one delta's `function_call`.
    pub fn add(&mut self, text: &str) {
        if let Some(function) = Function::read(text, false) {
            self.0.get_or_insert_default().add(&Fragment { function, ..Fragment::default() });
        }
    }

    /// Append it as a member, if there is one.
    pub fn write(&self, out: &mut String) {
        if let Some(call) = &self.0 {
            write_key(out, "function_call");
            out.push_str(&format!("{{\"name\":\"{}\",\"arguments\":\"{}\"", call.name, call.arguments));
            call.function_others.write(out);
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(id, name, arguments)` of the calls that these `tool_calls` add up to.
    fn calls(deltas: &[&str]) -> Vec<(String, String, String)> {
        let mut all = ToolCalls::default();
        deltas.iter().for_each(|delta| all.add(delta));
        let mut out = String::new();
        all.write(&mut out, |place| format!("new_{place}"));
        let list: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        list.iter()
            .map(|call| (text(&call["id"]), text(&call["function"]["name"]), text(&call["function"]["arguments"])))
            .collect()
    }

    fn call(id: &str, name: &str, arguments: &str) -> (String, String, String) {
        (id.to_owned(), name.to_owned(), arguments.to_owned())
    }

    #[test]
    fn fragments_follow_their_index() {
        let deltas = [
            r#"[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]"#,
            r#"[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}},{"index":0,"function":{"arguments":"{\"x\":1}"}}]"#,
            r#"[{"index":1,"id":null,"function":{"name":"","arguments":":2}"}}]"#,
        ];
        assert_eq!(calls(&deltas), [call("a", "f", "{\"x\":1}"), call("b", "g", "{\"y\":2}")]);
    }

    #[test]
    fn a_new_id_under_an_old_index_is_a_new_call() {
        let deltas = [
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]"#,
            r#"[{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}]"#,
            r#"[{"index":0,"function":{"arguments":"}"}}]"#,
        ];
        assert_eq!(calls(&deltas), [call("a", "f", "{}"), call("b", "g", "{}")]);
    }

    #[test]
    fn without_an_index_the_id_decides_and_without_both_the_name() {
        let deltas = [
            r#"[{"id":"a","function":{"name":"f","arguments":"{"}}]"#,
            r#"[{"function":{"arguments":"}"}}]"#,
            r#"[{"id":"b","function":{"name":"g","arguments":"{}"}}]"#,
            r#"[{"id":"a","function":{"arguments":" "}}]"#,
        ];
        assert_eq!(calls(&deltas), [call("a", "f", "{} "), call("b", "g", "{}")]);
        let nameless = r#"[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":"{}"}}]"#;
        assert_eq!(calls(&[nameless]), [call("new_0", "f", "{}"), call("new_1", "f", "{}")]);
    }

    #[test]
    fn calls_that_take_turns_stay_apart() {
        let part =
            |id: &str, arguments: &str| format!(r#"[{{"index":0,{id}"function":{{"arguments":"{arguments}"}}}}]"#);
        let deltas = [
            part(r#""id":"a","#, "1"),
            part(r#""id":"b","#, "2"),
            part(r#""id":"a","#, "3"),
            part(r#""id":"b","#, "4"),
            part("", "5"),
        ];
        assert_eq!(calls(&deltas.each_ref().map(String::as_str)), [call("a", "", "13"), call("b", "", "245")]);
        let without_index = deltas.map(|delta| delta.replace(r#""index":0,"#, ""));
        assert_eq!(calls(&without_index.each_ref().map(String::as_str)), [call("a", "", "13"), call("b", "", "245")]);
    }

    #[test]
    fn arguments_given_as_an_object_become_their_text() {
        assert_eq!(
            calls(&[r#"[{"index":0,"id":"a","function":{"name":"f","arguments":{"x":"ü\n"}}}]"#]),
            [call("a", "f", r#"{"x":"ü\n"}"#)]
        );
    }

    #[test]
    fn an_empty_object_beside_the_pieces_says_nothing() {
        for empty in ["{}", "\"{}\""] {
            let begun = format!(r#"[{{"index":0,"id":"a","function":{{"name":"f","arguments":{empty}}}}}]"#);
            let piece = |text: &str| format!(r#"[{{"index":0,"function":{{"arguments":"{text}"}}}}]"#);
            assert_eq!(calls(&[&begun, &piece(""), &piece(r#"{\"x\""#), &piece(":1}")]), [call("a", "f", "{\"x\":1}")]);
            assert_eq!(calls(&[&begun, &piece("")]), [call("a", "f", "{}")]);
        }
        let behind = r#"[{"index":0,"function":{"arguments":{}}}]"#;
        let whole = r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]"#;
        assert_eq!(calls(&[whole, behind]), [call("a", "f", "{\"x\":1}")]);
        let twice = [r#"[{"function":{"name":"f","arguments":{}}}]"#, r#"[{"function":{"name":"g","arguments":{}}}]"#];
        assert_eq!(calls(&twice), [call("new_0", "f", "{}"), call("new_1", "g", "{}")]);
    }

    #[test]
    fn what_is_unknown_is_kept() {
        let mut all = ToolCalls::default();
        all.add(r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"s"}}}]"#);
        let mut out = String::new();
        all.write(&mut out, |_| String::new());
        assert!(out.contains(r#""extra_content":{"google":{"thought_signature":"s"}}"#), "{out}");
    }
}
