//! A conversation: the messages of a request, kept as they are written, and what of an answer belongs among them.

use super::json::{self, Raw, write_text};
use super::merge::write_key;
use super::scan;
use crate::failure::Failure;
use crate::status::Status;

/// The roles of a message that is nothing but a text.
const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

/// The messages, in order.
#[derive(Default)]
pub struct Conversation {
    messages: Vec<String>,
}

impl Conversation {
    /// How many messages there are.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Take so many messages out, from this place on; beyond the end there are none.
    pub fn remove(&mut self, first: usize, count: usize) {
        let first = first.min(self.messages.len());
        let end = first.saturating_add(count).min(self.messages.len());
        self.messages.drain(first..end);
    }

    /// A message that is a text.
    pub fn add(&mut self, role: &str, text: &str) -> Result<(), Failure> {
        let instead = match role {
            _ if ROLES.contains(&role) => {
                let mut message = opened(role);
                write_last(&mut message, "content", text);
                self.messages.push(message);
                return Ok(());
            }
            "tool" => "is added by helio_chat_add_tool_result, with the id of its call".to_owned(),
            "function" => "is added by helio_chat_add_json, with its \"name\"".to_owned(),
            _ => format!("is none of {}: add it by helio_chat_add_json if the server knows it", ROLES.join(", ")),
        };
        Err(Failure::argument(format!("a message of the role {role:?} {instead}")))
    }

    /// What a tool answered.
    pub fn add_tool_result(&mut self, call: &str, text: &str) -> Result<(), Failure> {
        if call.is_empty() {
            return Err(Failure::argument("tool_call_id is empty: give the \"id\" of the call that is answered"));
        }
        let mut message = opened("tool");
        write_key(&mut message, "tool_call_id");
        write_text(&mut message, call);
        write_last(&mut message, "content", text);
        self.messages.push(message);
        Ok(())
    }

    /// A message as it is written, or each one of an array: all of them or none.
    pub fn add_json(&mut self, json: &str) -> Result<(), Failure> {
        let json = json.trim_ascii();
        let mut messages = Vec::new();
        if json.starts_with('[') {
            let whole = json::is_valid(json).then(|| scan::elements(json, |element| messages.push(element)));
            whole.flatten().ok_or_else(|| no_object("message", json))?;
        } else {
            messages.push(json);
        }
        for message in &messages {
            let role = members(message, "message")?.into_iter().rfind(|(name, _)| *name == "role");
            if role.and_then(|(_, raw)| json::inner(raw)).is_none_or(str::is_empty) {
                return Err(Failure::argument("the message has no \"role\": write {\"role\":\"user\",\"content\":…}"));
            }
        }
        self.messages.extend(messages.into_iter().map(str::to_owned));
        Ok(())
    }

    /// The assistant's message of an answer, as servers want it back: of a whole completion the one of choice 0, or a
    /// message by itself.
    pub fn add_reply(&mut self, json: &str) -> Result<(), Failure> {
        let json = json.trim_ascii();
        let all = members(json, "completion")?;
        let told = |name: &str| all.iter().rfind(|(key, _)| *key == name).map(|(_, raw)| *raw);
        let (message, is_finished) = match told("choices") {
            Some(choices) => reply_of(choices)?,
            None if ["role", "content", "tool_calls"].into_iter().any(|name| told(name).is_some()) => (json, true),
            None => {
                let message = "this is neither a chat.completion with \"choices\" nor a message with a \"role\"";
                return Err(Failure::argument(message));
            }
        };
        let echo = self.echo(message, is_finished)?;
        self.messages.push(echo);
        Ok(())
    }

    /// A request body: these parameters as they are written, and the messages, if there are any.
    pub fn request(&self, parameters: Option<&str>) -> Result<String, Failure> {
        let parameters = parameters.unwrap_or("{}").trim_ascii();
        if members(parameters, "parameters")?.iter().any(|(name, _)| json::plain(name) == "messages") {
            let message = "the parameters hold \"messages\", which the chat has: add those with helio_chat_add_json";
            return Err(Failure::argument(message));
        }
        let inside = &parameters[1..parameters.len() - 1];
        let total: usize = self.messages.iter().map(|message| message.len() + 1).sum();
        let mut body = String::with_capacity(parameters.len() + total + 16);
        body.push('{');
        body.push_str(inside);
        if !self.messages.is_empty() {
            if !inside.trim_ascii().is_empty() {
                body.push(',');
            }
            body.push_str("\"messages\":[");
            for (place, message) in self.messages.iter().enumerate() {
                if place > 0 {
                    body.push(',');
                }
                body.push_str(message);
            }
            body.push(']');
        }
        body.push('}');
        Ok(body)
    }

    /// A message as it goes back. Servers refuse an assistant's message with nothing in it, an empty list of calls, and
    /// audio other than by its id; whatever else it holds (reasoning, signatures, what only its provider knows) goes back
    /// as it came.
    fn echo(&self, message: Raw<'_>, is_finished: bool) -> Result<String, Failure> {
        let all = members(message, "message")?;
        let says = |wanted: &str| all.iter().any(|(name, raw)| *name == wanted && !is_nothing(raw));
        let calls = says("tool_calls") || says("function_call");
        if calls && !is_finished {
            let message = "the answer broke off, and its tool calls may be cut: ask again instead of adding it";
            return Err(Failure::argument(message));
        }
        let mut out = opened("assistant");
        let mut has_content = false;
        for (name, raw) in &all {
            match *name {
                "role" => continue,
                "content" if json::is_null(raw) => continue,
                "content" => has_content = true,
                _ if is_nothing(raw) => continue,
                _ => {}
            }
            write_key(&mut out, name);
            match *name {
                "audio" => write_id(&mut out, raw),
                "tool_calls" => self.write_calls(&mut out, raw),
                _ => out.push_str(raw),
            }
        }
        if !has_content {
            write_key(&mut out, "content");
            out.push_str(if calls { "null" } else { "\"\"" });
        }
        out.push('}');
        Ok(out)
    }

    /// Tool calls in the shape that requests want, also those of servers that answer in another.
    fn write_calls(&self, out: &mut String, calls: Raw<'_>) {
        out.push('[');
        let mut place = 0;
        scan::elements(calls, |call| {
            if place > 0 {
                out.push(',');
            }
            self.write_call(out, call, place);
            place += 1;
        });
        out.push(']');
    }

    fn write_call(&self, out: &mut String, call: Raw<'_>, place: usize) {
        let has = |wanted: &str| scan::member(call, wanted).is_some_and(json::says);
        out.push('{');
        if !has("id") {
            out.push_str(&format!("\"id\":\"call_{}_{place}\"", self.messages.len()));
        }
        if !has("type") {
            open_member(out, "type");
            out.push_str(if has("custom") { "\"custom\"" } else { "\"function\"" });
        }
        scan::members(call, |name, raw| {
            if name == "index" || (matches!(name, "id" | "type") && !json::says(raw)) {
                return;
            }
            open_member(out, name);
            match name {
                "id" if !raw.starts_with('"') => write_text(out, raw),
                "function" if raw.starts_with('{') => write_function(out, raw),
                _ => out.push_str(raw),
            }
        });
        out.push('}');
    }
}

/// The message of choice 0, or of the first there is, and whether the choice has ended.
fn reply_of(choices: Raw<'_>) -> Result<(Raw<'_>, bool), Failure> {
    let (mut first, mut zeroth) = (None, None);
    scan::elements(choices, |choice| {
        let index = scan::member(choice, "index");
        first = first.or(Some(choice));
        if index == Some("0") {
            zeroth = zeroth.or(Some(choice));
        }
    });
    let choice = zeroth.or(first);
    let message = choice.and_then(|choice| scan::member(choice, "message")).filter(|message| message.starts_with('{'));
    let message = message.ok_or_else(|| {
        Failure::argument(
            "the completion has no choice with a \"message\": give what helio_complete gave, or the data of DONE",
        )
    })?;
    let finish = choice.and_then(|choice| scan::member(choice, "finish_reason"));
    Ok((message, finish.is_some_and(super::chunk::ends)))
}

/// Whether a member says nothing that would be missed.
fn is_nothing(raw: Raw<'_>) -> bool {
    json::is_null(raw) || (raw.starts_with('[') && raw[1..raw.len() - 1].trim_ascii().is_empty())
}

/// A function whose arguments are a string.
fn write_function(out: &mut String, function: Raw<'_>) {
    out.push('{');
    let mut has_arguments = false;
    scan::members(function, |name, raw| {
        let is_arguments = name == "arguments";
        has_arguments |= is_arguments;
        open_member(out, name);
        match raw {
            "null" if is_arguments => out.push_str("\"\""),
            _ if is_arguments && !raw.starts_with('"') => write_text(out, raw),
            _ => out.push_str(raw),
        }
    });
    if !has_arguments {
        open_member(out, "arguments");
        out.push_str("\"\"");
    }
    out.push('}');
}

/// Audio goes back by its id alone.
fn write_id(out: &mut String, audio: Raw<'_>) {
    match scan::member(audio, "id") {
        Some(id) => {
            out.push_str("{\"id\":");
            out.push_str(id);
            out.push('}');
        }
        None => out.push_str(audio),
    }
}

/// The beginning of a message.
fn opened(role: &str) -> String {
    let mut message = String::from("{\"role\":");
    write_text(&mut message, role);
    message
}

/// Its last member, and its end.
fn write_last(message: &mut String, name: &str, text: &str) {
    write_key(message, name);
    write_text(message, text);
    message.push('}');
}

/// A member of an object that may have just been opened.
fn open_member(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    out.push_str(name);
    out.push_str("\":");
}

/// All members of a text that must be one JSON object; `what` names it.
fn members<'a>(text: &'a str, what: &str) -> Result<Vec<(&'a str, Raw<'a>)>, Failure> {
    let mut all = Vec::new();
    scan::members(text, |name, raw| all.push((name, raw))).ok_or_else(|| no_object(what, text))?;
    Ok(all)
}

fn no_object(what: &str, text: &str) -> Failure {
    Failure::new(Status::InvalidJson, format!("the {what} must be one JSON object: {}", json::why_not(text)))
}
