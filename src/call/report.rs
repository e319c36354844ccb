//! The evidence of one request: what was tried, how long it took, what the server said of itself.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::HeaderMap;

use crate::chat::json::{is_valid, write_inner, write_text};
use crate::chat::merge::{write_key, write_member};
use crate::provider;
use crate::status::Status;
use crate::wire::{Deadline, Times};

/// One attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The HTTP status; 0 before a response.
    pub http_status: u16,
    /// How it ended.
    pub status: Status,
    /// Whether its connection came from the pool.
    pub reused: bool,
    /// The wait before the next one.
    pub wait_ms: Option<u64>,
}

/// The report while it grows.
#[derive(Default)]
pub struct Report {
    /// The request's id.
    pub request: u64,
    /// The id the host gave it.
    pub client_request_id: Option<String>,
    /// Where requests go: scheme, host and path.
    pub endpoint: Arc<str>,
    /// All attempts, in order.
    pub attempts: Vec<Attempt>,
    /// Waiting for admission.
    pub queued: Duration,
    /// Of the last attempt.
    pub times: Times,
    /// From the start of the call, if it came.
    pub head: Option<Duration>,
    /// Likewise.
    pub first_event: Option<Duration>,
    /// Likewise.
    pub last_event: Option<Duration>,
    /// Of all attempts.
    pub bytes_sent: u64,
    /// Of all attempts.
    pub bytes_received: u64,
    /// CHUNKs.
    pub events: u64,
    /// `[DONE]` was seen.
    pub terminator: bool,
    /// Of the last answer, until they are closed.
    pub headers: HeaderMap,
    /// What is told of them, as it is written.
    pub(super) closed: Option<Told>,
    /// As it is written.
    pub model: Option<String>,
    /// As it is written.
    pub usage: Option<String>,
}

/// What a report tells of the headers, as JSON.
#[derive(Clone)]
pub(super) struct Told {
    request_id: Box<str>,
    headers: Box<str>,
}

impl Told {
    fn of(headers: &HeaderMap, mask: impl Fn(String) -> String) -> Self {
        let (mut request_id, mut told) = (String::new(), String::new());
        write_or_null(&mut request_id, provider::request_id(headers).map(|id| mask(id.to_owned())).as_deref());
        write_headers(&mut told, headers, |name, value| {
            provider::is_reported(name).then(|| (mask(name.to_owned()).into(), mask(value)))
        });
        Told { request_id: request_id.into(), headers: told.into() }
    }
}

impl Report {
    /// No other answer comes: of the headers only what is told is kept. `mask` removes secrets from it.
    pub fn close_headers(&mut self, mask: impl Fn(String) -> String) {
        self.closed = Some(Told::of(&std::mem::take(&mut self.headers), mask));
    }

    /// As one JSON object. `mask` removes secrets from what the server said.
    pub fn write(
        &self,
        status: Status,
        timeout: Option<(Deadline, Duration)>,
        total: Duration,
        mask: impl Fn(String) -> String,
    ) -> String {
        let told = self.closed.clone().unwrap_or_else(|| Told::of(&self.headers, &mask));
        let mut out = String::with_capacity(512);
        out.push_str("{\"status\":");
        write_text(&mut out, status.name());
        write_key(&mut out, "timeout");
        write_or_null(&mut out, timeout.map(|(deadline, _)| deadline.name()));
        let limit = timeout.map(|(_, limit)| limit.as_millis().to_string());
        write_member(&mut out, "timeout_ms", limit.as_deref().unwrap_or("null"));
        write_member(&mut out, "request", &self.request.to_string());
        write_key(&mut out, "client_request_id");
        write_or_null(&mut out, self.client_request_id.as_deref());
        write_member(&mut out, "server_request_id", &told.request_id);
        write_key(&mut out, "attempts");
        self.write_attempts(&mut out, &mask(self.endpoint.to_string()));
        write_key(&mut out, "us");
        self.write_times(&mut out, total);
        write_member(&mut out, "bytes_sent", &self.bytes_sent.to_string());
        write_member(&mut out, "bytes_received", &self.bytes_received.to_string());
        write_member(&mut out, "events", &self.events.to_string());
        write_member(&mut out, "terminator", if self.terminator { "true" } else { "false" });
        write_member(&mut out, "headers", &told.headers);
        for (key, told) in [("model", &self.model), ("usage", &self.usage)] {
            write_member(&mut out, key, &told.as_deref().map_or("null".to_owned(), |raw| masked_raw(raw, &mask)));
        }
        out.push('}');
        out
    }

    fn write_attempts(&self, out: &mut String, endpoint: &str) {
        out.push('[');
        for (place, attempt) in self.attempts.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            out.push_str("{\"endpoint\":");
            write_text(out, endpoint);
            write_member(out, "http_status", &attempt.http_status.to_string());
            write_key(out, "status");
            write_text(out, attempt.status.name());
            write_member(out, "reused", if attempt.reused { "true" } else { "false" });
            write_member(out, "wait_ms", &attempt.wait_ms.map_or("null".to_owned(), |ms| ms.to_string()));
            out.push('}');
        }
        out.push(']');
    }

    fn write_times(&self, out: &mut String, total: Duration) {
        out.push_str(&format!(
            "{{\"queued\":{},\"dns\":{},\"connect\":{},\"tls\":{}",
            self.queued.as_micros(),
            self.times.dns.as_micros(),
            self.times.connect.as_micros(),
            self.times.tls.as_micros()
        ));
        for (key, time) in [
            ("head", self.head),
            ("first_event", self.first_event),
            ("last_event", self.last_event),
            ("total", Some(total)),
        ] {
            write_member(out, key, &time.map_or("null".to_owned(), |time| time.as_micros().to_string()));
        }
        out.push('}');
    }
}

/// JSON without secrets, which is still JSON: a number that looks like a secret takes its value with it.
fn masked_raw(raw: &str, mask: impl Fn(String) -> String) -> String {
    let masked = mask(raw.to_owned());
    if masked == raw || is_valid(&masked) { masked } else { "\"***\"".to_owned() }
}

fn write_or_null(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => write_text(out, text),
        None => out.push_str("null"),
    }
}

/// Append headers as an object; several of one name are joined by commas. `keep` chooses and may change them.
pub fn write_headers<'a>(
    out: &mut String,
    headers: &'a HeaderMap,
    keep: impl Fn(&'a str, String) -> Option<(Cow<'a, str>, String)>,
) {
    out.push('{');
    let mut first = true;
    for name in headers.keys() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let Some((name, value)) = keep(name.as_str(), values.join(", ")) else { continue };
        if !first {
            out.push(',');
        }
        first = false;
        write_text(out, &name);
        out.push_str(":\"");
        write_inner(out, &value);
        out.push('"');
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_json_and_keeps_what_the_server_says_of_itself() {
        let mut report = Report { request: 7, endpoint: "http://h/v1".into(), ..Report::default() };
        report.headers.insert("x-request-id", "rid-\"1\"".parse().unwrap());
        report.headers.insert("set-cookie", "secret".parse().unwrap());
        report.headers.append("x-ratelimit-limit", "1".parse().unwrap());
        report.headers.append("x-ratelimit-limit", "2".parse().unwrap());
        report.attempts.push(Attempt { http_status: 503, status: Status::Overloaded, reused: false, wait_ms: Some(5) });
        let text = report.write(
            Status::Timeout,
            Some((Deadline::Idle, Duration::from_millis(2))),
            Duration::from_millis(3),
            |text| text,
        );
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["status"], &value["timeout"], &value["timeout_ms"], &value["request"]),
            (&"TIMEOUT".into(), &"idle".into(), &2.into(), &7.into())
        );
        assert_eq!(
            (&value["server_request_id"], &value["us"]["total"], &value["us"]["head"]),
            (&"rid-\"1\"".into(), &3000.into(), &serde_json::Value::Null)
        );
        assert_eq!(value["headers"], serde_json::json!({"x-request-id": "rid-\"1\"", "x-ratelimit-limit": "1, 2"}));
        assert_eq!(value["attempts"][0]["wait_ms"], 5);
        report.usage = Some(r#"{"prompt_tokens":1234}"#.to_owned());
        let text = report.write(Status::Ok, None, Duration::ZERO, |text| text.replace("1234", "***"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["usage"], "***");
    }
}
