//! `logprobs` that come in pieces.

use super::merge::Named;
use super::{json, scan};

/// `logprobs`: its lists grow, as they are written.
#[derive(Default)]
pub(super) struct Logprobs(Option<Named<List>>);

enum List {
    Elements(String),
    Other(String),
}

impl Logprobs {
    /// A piece has come.
    pub fn add(&mut self, raw: &str) {
        if !raw.starts_with('{') {
            return;
        }
        let lists = self.0.get_or_insert_default();
        let _ = scan::members(raw, |key, value| {
            let elements = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::trim);
            match (lists.get_mut(key), elements) {
                (None, Some(elements)) => lists.push(key, List::Elements(elements.to_owned())),
                (None, None) => lists.push(key, List::Other(value.to_owned())),
                (Some(List::Elements(all)), Some(elements)) => {
                    if !all.is_empty() && !elements.is_empty() {
                        all.push(',');
                    }
                    all.push_str(elements);
                }
                (Some(list), Some(elements)) => *list = List::Elements(elements.to_owned()),
                (Some(_), None) if json::is_null(value) => {}
                (Some(list), None) => *list = List::Other(value.to_owned()),
            }
        });
    }

    /// Append them as JSON.
    pub fn write(&self, out: &mut String) {
        let Some(lists) = &self.0 else {
            return out.push_str("null");
        };
        out.push('{');
        for (place, (key, list)) in lists.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str(&format!("\"{key}\":"));
            match list {
                List::Elements(elements) => {
                    out.push('[');
                    out.push_str(elements);
                    out.push(']');
                }
                List::Other(raw) => out.push_str(raw),
            }
        }
        out.push('}');
    }
}
