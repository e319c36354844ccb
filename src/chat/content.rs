//! What a choice says: its content, in the forms that servers give it, and the text in its reasoning details.

use serde_json::Value;

use super::{json, scan};
use crate::text::ZString;

/// `content`: nothing, a string, or a list of parts.
#[derive(Default)]
pub(super) enum Content {
    #[default]
    Nothing,
    Text(String), // the inside of a JSON string
    Parts(Vec<Value>),
}

impl Content {
    /// A piece has come; the text in it is appended to `text`.
    pub fn add(&mut self, raw: &str, text: Option<&mut ZString>) {
        if let Some(inner) = json::inner(raw) {
            if let Some(text) = text {
                text.append(|text| json::unescape(inner, text));
            }
            self.add_inner(inner);
            return;
        }
        let more = match serde_json::from_str(raw) {
            Ok(Value::Array(more)) => more,
            Ok(part @ Value::Object(_)) => vec![part],
            _ => return,
        };
        if let Some(text) = text {
            let said = more.iter().filter_map(part_text);
            text.append(|text| text.extend(said));
        }
        let mut parts = match std::mem::take(self) {
            Content::Nothing => Vec::new(),
            Content::Text(inner) if inner.is_empty() => Vec::new(),
            Content::Text(inner) => vec![text_part(&inner)],
            Content::Parts(parts) => parts,
        };
        more.into_iter().for_each(|part| add_part(&mut parts, part));
        *self = Content::Parts(parts);
    }

    /// A string has come, whose inside this is.
    pub fn add_inner(&mut self, inner: &str) {
        match self {
            Content::Nothing => *self = Content::Text(inner.to_owned()),
            Content::Text(known) => known.push_str(inner),
            Content::Parts(parts) => add_part(parts, text_part(inner)),
        }
    }

    /// Append all of its text.
    pub fn read(&self, text: &mut String) {
        match self {
            Content::Nothing => {}
            Content::Text(inner) => json::unescape(inner, text),
            Content::Parts(parts) => parts.iter().for_each(|part| text.push_str(part_text(part).unwrap_or_default())),
        }
    }

    /// Append it as JSON. Parts that are text and nothing else are the string that they add up to.
    pub fn write(&self, out: &mut String) {
        match self {
            Content::Nothing => out.push_str("null"),
            Content::Text(inner) => {
                out.push('"');
                out.push_str(inner);
                out.push('"');
            }
            Content::Parts(parts) if parts.len() == 1 && is_plain(&parts[0]) => {
                json::write_text(out, part_text(&parts[0]).unwrap_or_default());
            }
            Content::Parts(parts) => {
                out.push('[');
                for (place, part) in parts.iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    out.push_str(&part.to_string());
                }
                out.push(']');
            }
        }
    }
}

fn text_part(inner: &str) -> Value {
    let mut text = String::new();
    json::unescape(inner, &mut text);
    serde_json::json!({"type": "text", "text": text})
}

/// The text of a text part.
pub(super) fn part_text(part: &Value) -> Option<&str> {
    (part.get("type")? == "text").then(|| part.get("text")?.as_str())?
}

fn is_plain(part: &Value) -> bool {
    part_text(part).is_some() && part.as_object().is_some_and(|members| members.len() == 2)
}

/// Text behind text is one part.
fn add_part(parts: &mut Vec<Value>, part: Value) {
    match parts.last_mut() {
        Some(last) if is_plain(last) && is_plain(&part) => {
            if let (Some(Value::String(text)), Some(more)) = (last.get_mut("text"), part_text(&part)) {
                text.push_str(more);
            }
        }
        _ => parts.push(part),
    }
}

/// The readable text of `reasoning_details`, in the shapes that servers give it.
pub(super) fn details_text(list: &str) -> String {
    let mut out = String::new();
    scan::elements(list, |detail| {
        let texts = ["text", "thinking", "summary"].iter().filter_map(|name| scan::member(detail, name));
        if let Some(inner) = texts.into_iter().find_map(|raw| json::inner(raw)) {
            json::unescape(inner, &mut out);
        }
    });
    out
}
