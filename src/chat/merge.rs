//! Adding up what the library has no name for. Members of a delta come in pieces, members of a chunk or choice
//! are told anew each time; nothing is lost in either case.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::json;

/// Members of a delta whose text replaces the text before: a name, not a piece.
const NAMES: &[&str] = &[
    "id",
    "type",
    "index",
    "role",
    "name",
    "format",
    "signature",
    "thought_signature",
    "status",
    "mime_type",
    "encoding",
];
/// What an element is about: where two with one index both tell it and differ in it, they are two.
const SUBJECTS: [&str; 4] = ["id", "type", "image_url", "url_citation"];

/// So many elements of a list can be open at a time.
const OPEN_MOST: usize = 256;
/// With more members than this, a table finds them.
const TABLE_FROM: usize = 32;

/// Members in the order in which they came, found by name.
pub(super) struct Named<T> {
    list: Vec<(String, T)>,
    #[allow(clippy::box_collection)] // streams are many, and hardly one needs it: a pointer instead of a map
    table: Option<Box<HashMap<String, usize>>>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { list: Vec::new(), table: None }
    }
}

impl<T> Named<T> {
    fn get(&self, key: &str) -> Option<&T> {
        self.place(key).map(|place| &self.list[place].1)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.place(key).map(|place| &mut self.list[place].1)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(String, T)> {
        self.list.iter()
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.list.len() <= TABLE_FROM {
            return self.list.iter().position(|(known, _)| known == key);
        }
        self.table.as_ref()?.get(key).copied()
    }

    /// Add a member that is not there.
    pub fn push(&mut self, key: &str, value: T) {
        self.list.reserve_exact(if self.list.is_empty() { 2 } else { 0 });
        self.list.push((key.to_owned(), value));
        match self.list.len() {
            len if len <= TABLE_FROM => {}
            len if len == TABLE_FROM + 1 => {
                let places = self.list.iter().enumerate().map(|(place, (key, _))| (key.clone(), place));
                self.table = Some(Box::new(places.collect()));
            }
            len => drop(self.table.get_or_insert_default().insert(key.to_owned(), len - 1)),
        }
    }
}

/// Members that are told anew each time: the last one that says something counts.
#[derive(Default)]
pub struct Latest(Named<String>);

impl Latest {
    /// The member was told again.
    pub fn tell(&mut self, key: &str, raw: &str) {
        match self.0.get_mut(key) {
            None => self.0.push(key, raw.to_owned()),
            Some(value) => {
                if (json::is_null(value) || !json::is_empty(raw)) && value != raw {
                    value.clear();
                    value.push_str(raw);
                }
            }
        }
    }

    /// A member that was told before was told again as a string, whose inside this is.
    pub fn tell_text(&mut self, key: &str, inner: &str) {
        if let Some(value) = self.0.get_mut(key) {
            value.clear();
            value.push('"');
            value.push_str(inner);
            value.push('"');
        }
    }

    /// Append all members, each with a comma before it.
    pub fn write(&self, out: &mut String) {
        for (key, value) in self.0.iter() {
            write_member(out, key, value);
        }
    }
}

/// Members of a delta that come in pieces.
#[derive(Default)]
pub struct Pieces(Named<Piece>);

enum Piece {
    /// The joined insides of strings.
    Text(String),
    /// Something that was told, not joined.
    Raw(String),
    /// A list or an object, joined by its own rule.
    Tree(Value),
}

impl Pieces {
    /// A piece of a member has come.
    pub fn add(&mut self, key: &str, raw: &str) {
        let Some(piece) = self.0.get_mut(key) else {
            return self.0.push(key, Piece::new(key, raw));
        };
        match piece {
            _ if json::is_null(raw) => {}
            Piece::Text(text) => match json::inner(raw) {
                Some(more) => text.push_str(more),
                None if json::is_empty(raw) => {}
                None => *piece = Piece::new(key, raw),
            },
            Piece::Tree(_) if json::is_empty(raw) => {}
            Piece::Raw(known) if json::is_empty(raw) && !json::is_null(known) => {}
            Piece::Raw(_) => *piece = Piece::new(key, raw),
            Piece::Tree(tree) => {
                if let Ok(more) = serde_json::from_str(raw) {
                    join(key, tree, more);
                }
            }
        }
    }

    /// A piece of a member that came as a string before, whose inside this is.
    pub fn add_inner(&mut self, key: &str, inner: &str) {
        if let Some(Piece::Text(text)) = self.0.get_mut(key) {
            text.push_str(inner);
        }
    }

    /// The text of a member that came as strings.
    pub fn text(&self, key: &str) -> Option<String> {
        self.0.get(key).and_then(|piece| match piece {
            Piece::Text(inner) => {
                let mut out = String::new();
                json::unescape(inner, &mut out);
                Some(out)
            }
            _ => None,
        })
    }

    /// The value of a member that came as a list or an object.
    pub fn tree(&self, key: &str) -> Option<&Value> {
        self.0.get(key).and_then(|piece| match piece {
            Piece::Tree(tree) => Some(tree),
            _ => None,
        })
    }

    /// Append all members, each with a comma before it.
    pub fn write(&self, out: &mut String) {
        for (key, piece) in self.0.iter() {
            match piece {
                Piece::Text(inner) => {
                    write_key(out, key);
                    out.push('"');
                    out.push_str(inner);
                    out.push('"');
                }
                Piece::Raw(raw) => write_member(out, key, raw),
                Piece::Tree(tree) => write_member(out, key, &tree.to_string()),
            }
        }
    }
}

impl Piece {
    fn new(key: &str, raw: &str) -> Self {
        if let Some(inner) = json::inner(raw).filter(|_| !NAMES.contains(&key)) {
            return Piece::Text(inner.to_owned());
        }
        // A value nested too deep for a tree is kept as it is written.
        match raw.starts_with(['[', '{']).then(|| serde_json::from_str::<Value>(raw)) {
            Some(Ok(Value::Array(list))) => {
                let mut tree = Value::Array(Vec::new());
                join(key, &mut tree, Value::Array(list));
                Piece::Tree(tree)
            }
            Some(Ok(tree)) => Piece::Tree(tree),
            _ => Piece::Raw(raw.to_owned()),
        }
    }
}

/// Join a piece to what came before it: text to text, elements to the list (those that are one, by index and subject,
/// into one), members to the object. Anything else is replaced.
fn join(key: &str, into: &mut Value, piece: Value) {
    match (into, piece) {
        (known, piece) if !says(&piece) && !known.is_null() => {}
        (Value::String(text), Value::String(more)) if !NAMES.contains(&key) => text.push_str(&more),
        (Value::Array(list), Value::Array(more)) => {
            for (place, element) in more.into_iter().enumerate() {
                join_element(list, element, place == 0);
            }
        }
        (Value::Object(members), Value::Object(more)) => {
            for (key, value) in more {
                match members.get_mut(&key) {
                    Some(known) => join(&key, known, value),
                    None => drop(members.insert(key, value)),
                }
            }
        }
        (into, piece) => *into = piece,
    }
}

fn join_element(list: &mut Vec<Value>, mut element: Value, is_first: bool) {
    match place_of(list, &element, is_first) {
        Some(place) => {
            if let (Value::Object(known), Value::Object(new)) = (&list[place], &mut element) {
                // Told again, and not in pieces.
                new.retain(|name, value| !SUBJECTS.contains(&name.as_str()) || known.get(name) != Some(value));
            }
            join("", &mut list[place], element);
        }
        None => list.push(element),
    }
}

/// The element that this one goes on with. `None`: it is a new one.
fn place_of(list: &[Value], element: &Value, is_first: bool) -> Option<usize> {
    let new = element.as_object()?;
    if new.contains_key("index") {
        let oldest = list.len().saturating_sub(OPEN_MOST);
        let open = list[oldest..].iter().rposition(|known| known.as_object().is_some_and(|known| is_same(known, new)));
        return open.map(|place| oldest + place);
    }
    let last = list.last()?.as_object()?;
    (is_first && is_same_thought(last, new)).then(|| list.len() - 1)
}

/// Whether an element goes on with one that came before.
fn is_same(known: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let differ = |name: &str| match (told(known, name), told(new, name)) {
        (Some(before), Some(now)) => before != now,
        _ => false,
    };
    // A signature ends a block; the next turn needs each with its own.
    let speaks = ["text", "thinking", "summary"].iter().any(|name| told(new, name).is_some());
    let is_signed = told(known, "signature").is_some_and(|signature| told(new, "signature") != Some(signature));
    known.get("index") == new.get("index") && !SUBJECTS.into_iter().any(differ) && !(speaks && is_signed)
}

/// Whether a list's first element goes on with the last one of the list before: a thinking block of Anthropic's in the
/// form of LiteLLM, which gives no index. Its signature ends it.
fn is_same_thought(last: &Map<String, Value>, first: &Map<String, Value>) -> bool {
    let is_thinking = |block: &Map<String, Value>| {
        block.get("type").is_some_and(|kind| kind == "thinking") && !block.contains_key("index")
    };
    is_thinking(last) && is_thinking(first) && told(last, "signature").is_none()
}

/// A member that says something.
fn told<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    members.get(name).filter(|value| says(value))
}

/// Whether a value is neither null nor empty.
fn says(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// Append `,"key":`, the key as it is written in JSON.
pub fn write_key(out: &mut String, key: &str) {
    out.push_str(",\"");
    out.push_str(key);
    out.push_str("\":");
}

/// Append `,"key":value`.
pub fn write_member(out: &mut String, key: &str, raw: &str) {
    write_key(out, key);
    out.push_str(raw);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&str]) -> String {
        let mut all = Pieces::default();
        for piece in pieces {
            all.add("x", piece);
        }
        let mut out = String::new();
        all.write(&mut out);
        out
    }

    #[test]
    fn texts_are_joined_and_null_says_nothing() {
        assert_eq!(joined(&["null", "\"a\"", "null", "\"\\n\"", "\"b\""]), r#","x":"a\nb""#);
        assert_eq!(joined(&["null", "null"]), r#","x":null"#);
        assert_eq!(joined(&["1", "2.50"]), r#","x":2.50"#);
    }

    #[test]
    fn lists_grow_and_elements_with_an_index_are_joined() {
        assert_eq!(joined(&["[1]", "[2,3]"]), r#","x":[1,2,3]"#);
        let pieces = [
            r#"[{"index":0,"type":"reasoning.text","text":"a"}]"#,
            r#"[{"index":0,"type":"reasoning.text","text":"b","signature":"s"}]"#,
        ];
        assert_eq!(joined(&pieces), r#","x":[{"index":0,"type":"reasoning.text","text":"ab","signature":"s"}]"#);
        assert_eq!(joined(&[r#"[{"text":"ha"}]"#, r#"[{"text":"ha"}]"#]), r#","x":[{"text":"ha"},{"text":"ha"}]"#);
    }

    #[test]
    fn elements_of_one_index_that_are_about_different_things_stay_apart() {
        let joins = |first: &str, second: &str| {
            let both = [first, second].map(|inner| format!(r#"[{{"index":0,{inner}}}]"#));
            let value: Value = serde_json::from_str(&joined(&both.each_ref().map(String::as_str))[5..]).unwrap();
            value.as_array().unwrap().clone()
        };
        for [first, second] in [
            [r#""image_url":{"url":"data:1"}"#, r#""image_url":{"url":"data:2"}"#],
            [r#""url_citation":{"url":"a"}"#, r#""url_citation":{"url":"b"}"#],
            [r#""id":"a","data":"x""#, r#""id":"b","data":"y""#],
            [r#""text":"A","signature":"1""#, r#""text":"B","signature":"2""#],
            [r#""text":"A","signature":"1""#, r#""text":"B""#],
        ] {
            assert_eq!(joins(first, second).len(), 2, "{first} {second}");
        }
        let image = r#""image_url":{"url":"data:1","detail":"auto"}"#;
        assert_eq!(joins(image, image)[0]["image_url"], serde_json::json!({"url": "data:1", "detail": "auto"}));
        let signed = joins(r#""text":"A","signature":"1""#, r#""text":"B","signature":"1""#);
        assert_eq!((signed.len(), &signed[0]["text"], &signed[0]["signature"]), (1, &"AB".into(), &"1".into()));
        let unsigned = joins(r#""text":"A","signature":"1""#, r#""text":"","signature":"""#);
        assert_eq!((unsigned.len(), &unsigned[0]["signature"]), (1, &"1".into()));
        for later in [r#""text":"B","id":null"#, r#""text":"B","type":"reasoning.text""#, r#""text":"B","id":"""#] {
            let one = joins(r#""text":"A","id":"a""#, later);
            assert_eq!((one.len(), &one[0]["text"]), (1, &"AB".into()), "{later}");
        }
    }

    #[test]
    fn thinking_without_an_index_goes_on_until_it_is_signed() {
        let block = |text: &str, signature: &str| format!(r#"{{"type":"thinking","thinking":"{text}"{signature}}}"#);
        let signed = |text: &str, signature: &str| block(text, &format!(r#","signature":"{signature}""#));
        let list = |elements: &[String]| format!("[{}]", elements.join(","));
        let pieces = [
            list(&[block("Let ", "")]),
            list(&[signed("me ", "")]),
            list(&[signed("", "s")]),
            list(&[block("B", ""), block("C", "")]),
        ];
        let whole = format!(",\"x\":{}", list(&[signed("Let me ", "s"), block("B", ""), block("C", "")]));
        assert_eq!(joined(&pieces.each_ref().map(String::as_str)), whole);
    }

    #[test]
    fn what_is_empty_takes_nothing_away() {
        assert_eq!(joined(&["[1]", "\"\"", "{}"]), r#","x":[1]"#);
        assert_eq!(joined(&["\"a\"", "{}", "[]", "\"b\""]), r#","x":"ab""#);
        assert_eq!(joined(&["null", "\"\""]), r#","x":"""#);
        assert_eq!(joined(&["17", "\"\"", "[]"]), r#","x":17"#);
        let object = r#"{"a":null,"b":[1],"c":{"d":"e"}}"#;
        assert_eq!(
            joined(&[object, r#"{"a":"","b":"","c":{},"c":{"d":[]}}"#]),
            format!(",\"x\":{}", object.replace("null", "\"\""))
        );
        let mut latest = Latest::default();
        ["{\"a\":1}", "{}", "\"\"", "[]"].iter().for_each(|raw| latest.tell("x", raw));
        let mut out = String::new();
        latest.write(&mut out);
        assert_eq!(out, r#","x":{"a":1}"#);
    }

    #[test]
    fn objects_are_joined_member_by_member() {
        let pieces = [
            r#"{"id":"audio_1","transcript":"Hel"}"#,
            r#"{"id":"audio_1","transcript":"lo","expires_at":12345678901234567890123}"#,
        ];
        assert_eq!(
            joined(&pieces),
            r#","x":{"id":"audio_1","transcript":"Hello","expires_at":12345678901234567890123}"#
        );
    }

    #[test]
    fn the_latest_telling_counts() {
        let mut latest = Latest::default();
        for (key, raw) in [("a", "null"), ("a", "1"), ("b", "\"x\""), ("a", "2e400"), ("a", "null")] {
            latest.tell(key, raw);
        }
        let mut out = String::new();
        latest.write(&mut out);
        assert_eq!(out, r#","a":2e400,"b":"x""#);
    }

    #[test]
    fn many_members_are_found_as_well() {
        let mut latest = Latest::default();
        for round in 0..2 {
            (0..10 * TABLE_FROM).for_each(|number| latest.tell(&number.to_string(), &format!("{}", number + round)));
        }
        assert_eq!(latest.0.list.len(), 10 * TABLE_FROM);
        assert!(
            latest
                .0
                .list
                .iter()
                .all(|(key, value)| key.parse::<usize>().unwrap() + 1 == value.parse::<usize>().unwrap())
        );
    }

    #[test]
    fn deep_values_are_kept_without_a_tree() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        assert_eq!(joined(&[&deep]), format!(",\"x\":{deep}"));
    }
}
