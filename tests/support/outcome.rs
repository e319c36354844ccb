//! How a call ended, and what must hold however it ended.

use helio::abi::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::c::status_name;

/// A copy of one `helio_event`.
#[derive(Clone, Debug)]
pub struct Event {
    pub kind: helio_event_kind,
    pub request: helio_request_id,
    pub user_data: usize,
    pub data: Option<String>,
    pub text: Option<String>,
    pub reasoning: Option<String>,
    pub status: helio_status,
    pub http_status: i32,
    pub error: Option<Failure>,
    pub report: Option<String>,
}

/// A copy of one `helio_error`.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub status: helio_status,
    pub http_status: i32,
    pub retry_after_ms: i64,
    pub message: String,
    pub code: Option<String>,
    pub kind: Option<String>,
    pub body: Option<String>,
    pub report: Option<String>,
}

/// All that a call gave back.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: helio_status,
    pub data: Option<String>,
    pub error: Option<Failure>,
    pub events: Vec<Event>,
    /// It was cancelled, perhaps after its end was decided: chunks that waited for the host were dropped.
    pub was_cancelled: bool,
}

impl Event {
    pub fn is_chunk(&self) -> bool {
        self.kind == HELIO_EVENT_CHUNK
    }

    pub fn is_done(&self) -> bool {
        self.kind == HELIO_EVENT_DONE
    }

    pub fn is_response(&self) -> bool {
        self.kind == HELIO_EVENT_RESPONSE
    }

    pub fn data(&self) -> &str {
        self.data.as_deref().expect("an event with data")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(self.data()).expect("data in JSON")
    }
}

impl Failure {
    pub fn report(&self) -> Value {
        serde_json::from_str(self.report.as_deref().expect("an error with a report")).expect("a report in JSON")
    }

    pub fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.kind.as_deref().unwrap_or_default()
    }

    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    /// It must be this one.
    #[track_caller]
    pub fn is(&self, status: helio_status) -> &Failure {
        assert!(self.status == status, "{} instead of {}: {self:#?}", status_name(self.status), status_name(status));
        self
    }

    /// The message must speak of all of these, in any case.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Failure {
        let message = self.message.to_lowercase();
        for word in words {
            assert!(message.contains(&word.to_lowercase()), "{:?} does not say {word:?}", self.message);
        }
        self
    }
}

impl Outcome {
    /// The answer of a call that must have succeeded.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status == HELIO_OK, "{}: {self:#?}", status_name(self.status));
        self.answer()
    }

    /// The error of a call that must have failed like this.
    #[track_caller]
    pub fn fails(&self, status: helio_status) -> &Failure {
        let (is, wanted) = (status_name(self.status), status_name(status));
        assert!(self.status == status, "{is} instead of {wanted}: {self:#?}");
        self.error.as_ref().expect("an error")
    }

    /// The same for a call that was refused before it became a request.
    #[track_caller]
    pub fn refused(&self, status: helio_status) -> &Failure {
        assert!(self.events.is_empty(), "events of a refused call: {self:#?}");
        assert_eq!(self.data, None, "data of a refused call");
        self.fails(status)
    }

    /// What was handed out as JSON, whole or in part.
    #[track_caller]
    pub fn answer(&self) -> Value {
        let data = self.data.as_deref().unwrap_or_else(|| panic!("no data: {self:#?}"));
        serde_json::from_str(data).expect("an answer in JSON")
    }

    /// The message of choice 0.
    #[track_caller]
    pub fn message(&self) -> Value {
        self.answer()["choices"][0]["message"].clone()
    }

    /// The content of choice 0, or "" for none.
    #[track_caller]
    pub fn content(&self) -> String {
        self.message()["content"].as_str().unwrap_or_default().to_string()
    }

    pub fn done(&self) -> &Event {
        self.events.last().unwrap_or_else(|| panic!("no events: {self:#?}"))
    }

    pub fn chunks(&self) -> Vec<&Event> {
        self.events.iter().filter(|event| event.is_chunk()).collect()
    }

    /// The report, from wherever it is to be had.
    pub fn report(&self) -> Value {
        let report = match &self.error {
            Some(error) => error.report.as_deref(),
            None => self.done().report.as_deref(),
        };
        serde_json::from_str(report.unwrap_or_else(|| panic!("no report: {self:#?}"))).expect("a report in JSON")
    }

    pub fn attempts(&self) -> Vec<Value> {
        self.report()["attempts"].as_array().expect("attempts").clone()
    }

    /// What holds for every outcome of every call.
    #[track_caller]
    pub fn check(&self, id: u64, watched: bool, secrets: &[String]) {
        let name = status_name(self.status);
        assert!(!name.contains("UNKNOWN"), "status {} has no name", self.status);
        match &self.error {
            None => assert_eq!(self.status, HELIO_OK, "no error: {self:#?}"),
            Some(error) => {
                assert_ne!(self.status, HELIO_OK, "an error with OK: {self:#?}");
                assert_eq!(error.status, self.status, "the error's status: {self:#?}");
                assert!(!error.message.is_empty(), "an error without words: {self:#?}");
                error.check(secrets);
            }
        }
        if let Some(data) = &self.data {
            assert!(is_object(data), "no object: {data}");
        } else {
            assert_ne!(self.status, HELIO_OK, "OK without data");
        }
        if watched {
            self.check_events(id, secrets);
        } else {
            assert!(self.events.is_empty(), "events without on_event: {self:#?}");
        }
    }

    /// `RESPONSE? CHUNK* DONE`, or nothing at all.
    #[track_caller]
    fn check_events(&self, id: u64, secrets: &[String]) {
        let Some((done, before)) = self.events.split_last() else {
            assert_ne!(self.status, HELIO_OK, "OK without DONE");
            assert_eq!(self.data, None, "data without DONE: {self:#?}");
            return;
        };
        assert!(done.is_done(), "the last event is no DONE: {self:#?}");
        for (place, event) in before.iter().enumerate() {
            let wanted = if place == 0 { HELIO_EVENT_RESPONSE } else { HELIO_EVENT_CHUNK };
            assert_eq!(event.kind, wanted, "event {place}: {self:#?}");
            assert_eq!(event.status, HELIO_OK, "a status before DONE: {self:#?}");
            assert!(event.error.is_none() && event.report.is_none(), "only DONE has error and report: {self:#?}");
            assert!(is_object(event.data()), "data that is no object: {event:#?}");
        }
        for event in &self.events {
            assert_ne!(event.request, 0, "an event without its request");
            assert_eq!(event.request, done.request, "events of two requests: {self:#?}");
            assert!(id == 0 || event.request == id, "the id is not the reserved one: {self:#?}");
        }
        if let Some(response) = before.first() {
            check_response(response);
        }
        assert_eq!(done.status, self.status, "DONE and the call disagree: {self:#?}");
        assert_eq!(done.data, self.data, "DONE and the call have different data");
        assert_eq!(done.error, self.error, "DONE and the call have different errors");
        if let Some(error) = &done.error {
            assert_eq!(done.http_status, error.http_status, "two HTTP statuses: {self:#?}");
            assert_eq!(done.report, error.report, "two reports");
        }
        check_report(done.report.as_deref(), self.status, secrets);
        self.check_text(before, done);
    }

    /// `text` and `reasoning` of the events are what the answer says.
    #[track_caller]
    fn check_text(&self, before: &[Event], done: &Event) {
        let joined = |part: fn(&Event) -> Option<&str>| before.iter().filter_map(part).collect::<String>();
        let text = joined(|event| event.text.as_deref());
        let reasoning = joined(|event| event.reasoning.as_deref());
        let (all, all_reasoning) = (done.text.as_deref().unwrap_or(""), done.reasoning.as_deref().unwrap_or(""));
        if text.contains('\u{fffd}') {
            return; // Two chunks may each hold half a character that is whole in DONE.
        }
        assert!(all.starts_with(&text), "chunks said {text:?}, DONE says {all:?}");
        assert!(all_reasoning.starts_with(&reasoning), "chunks thought {reasoning:?}, DONE {all_reasoning:?}");
        if self.status == HELIO_OK && before.len() > 1 && !self.was_cancelled {
            assert_eq!(all, text, "the text of DONE");
            assert_eq!(all_reasoning, reasoning, "the reasoning of DONE");
        }
        match self.data.as_deref().map(serde_json::from_str) {
            Some(Ok(data)) => assert_eq!(all, text_of_choice_0(&data), "text and data of DONE differ: {self:#?}"),
            // Valid all the same: nested too deeply for our parser, or with half a surrogate pair.
            Some(Err(_)) => {}
            None => assert_eq!(all, "", "text without data"),
        }
    }
}

impl Failure {
    #[track_caller]
    fn check(&self, secrets: &[String]) {
        for secret in secrets {
            for text in [Some(&self.message), self.code.as_ref(), self.kind.as_ref(), self.body.as_ref()] {
                assert!(!text.is_some_and(|text| text.contains(secret.as_str())), "an error shows a secret: {self:#?}");
            }
        }
        if self.report.is_some() {
            check_report(self.report.as_deref(), self.status, secrets);
        }
        assert!(self.retry_after_ms >= -1, "retry after {} ms", self.retry_after_ms);
    }
}

#[track_caller]
fn check_response(event: &Event) {
    let response = event.json();
    assert_eq!(response["status"].as_i64(), Some(event.http_status.into()), "{response}");
    let headers = response["headers"].as_object().expect("headers");
    for (name, value) in headers {
        assert_eq!(*name, name.to_lowercase(), "a header's name");
        assert!(value.is_string(), "the value of {name}: {value}");
    }
}

#[track_caller]
fn check_report(report: Option<&str>, status: helio_status, secrets: &[String]) {
    let text = report.expect("DONE has a report");
    for secret in secrets {
        assert!(!text.contains(secret.as_str()), "a report shows a secret: {text}");
    }
    let report: Value = serde_json::from_str(text).expect("a report in JSON");
    let name = report["status"].as_str().unwrap_or_else(|| panic!("no status in {report}"));
    let wanted = status_name(status);
    assert!(!name.is_empty() && wanted.ends_with(name), "report of {name}, status {wanted}");
    assert!(report["attempts"].is_array(), "attempts in {report}");
    assert!(report["us"].is_object(), "us in {report}");
    for count in ["bytes_sent", "bytes_received", "events"] {
        assert!(report[count].is_u64(), "{count} in {report}");
    }
}

/// Whether this is one JSON object, however deep, whatever its strings escape.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The text of choice 0, its parts joined if it is an array.
fn text_of_choice_0(answer: &Value) -> String {
    let choices = answer["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = choices.iter().find(|choice| choice["index"].as_i64().unwrap_or(0) == 0);
    match first.map(|choice| &choice["message"]["content"]) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
