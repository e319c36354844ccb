//! Errors in every shape that servers give them, and which outcome each one is.
//!
//! Content counts before number: a quota, a context overflow and a content filter are told by their codes and words,
//! whatever status carries them; a gateway's `details[].statusCode` or a numeric `error.code` stands for the status.

use serde_json::Value;

use crate::status::Status;

/// Errors are looked for no deeper inside each other.
const DEEPEST: u8 = 5;

/// A refusal, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The outcome.
    pub status: Status,
    /// The status it stands for, which decides about another attempt.
    pub stands_for: u16,
    /// The server's words, or what can be said in their place.
    pub message: String,
    /// The server's code; a number as its digits.
    pub code: Option<String>,
    /// The server's type.
    pub kind: Option<String>,
    /// The words that decided said "never again": quota, authentication, or a request the server called wrong.
    pub is_final: bool,
}

/// Understand the body of a refusal. `http_status` is what the server sent; 0: inside an answer, which stands for 500
/// unless it says more.
pub fn understand(http_status: u16, body: &str) -> Refusal {
    let value: Value = serde_json::from_str(body.trim()).unwrap_or(Value::Null);
    let told = Told::read(&value);
    let stands_for = told.stands_for().unwrap_or(if http_status == 0 { 500 } else { http_status });
    let status = told.by_content(stands_for).unwrap_or_else(|| by_number(stands_for));
    // Inside an answer its own code wraps nothing: it is the status.
    let is_inside = http_status == 0 && told.details.is_empty();
    let says_wrong = (400..500).contains(&stands_for) && !matches!(stands_for, 408 | 409 | 429);
    let wrapped = stands_for != http_status && !is_inside && says_wrong;
    Refusal {
        status,
        stands_for,
        message: told.message.clone().unwrap_or_else(|| plain_message(body, &value)),
        code: told.code.clone(),
        kind: told.kind.clone(),
        is_final: match status {
            Status::QuotaExceeded | Status::Authentication => true,
            Status::ContextLength | Status::ContentFiltered => wrapped || http_status >= 500,
            _ => wrapped,
        },
    }
}

/// The contract's table from numbers to outcomes.
fn by_number(status: u16) -> Status {
    match status {
        401 => Status::Authentication,
        402 => Status::QuotaExceeded,
        403 => Status::Permission,
        404 | 410 => Status::NotFound,
        429 => Status::RateLimited,
        503 | 529 => Status::Overloaded,
        408 | 409 => Status::Server,
        400..=499 => Status::BadRequest,
        _ => Status::Server,
    }
}

/// Whether the contract's table retries a status.
pub fn is_retried(status: u16) -> bool {
    matches!(status, 408 | 409 | 429) || status >= 500
}

/// What an error body says, wherever it says it.
#[derive(Default)]
struct Told {
    message: Option<String>,
    code: Option<String>,
    kind: Option<String>,
    details: Vec<u16>,
    codes: String, // codes and types in lower case, one a line
    words: String, // messages likewise
}

impl Told {
    fn read(value: &Value) -> Self {
        let mut told = Told::default();
        told.read_value(value, 0);
        told.words.make_ascii_lowercase();
        told.codes.make_ascii_lowercase();
        told
    }

    fn read_value(&mut self, value: &Value, depth: u8) {
        match value {
            Value::String(text) if depth > 0 => self.set_message(text),
            Value::Array(list) if depth < DEEPEST => {
                list.first().into_iter().for_each(|first| self.read_value(first, depth + 1))
            }
            Value::Object(_) if depth < DEEPEST => {
                for name in ["error", "errors"] {
                    value.get(name).into_iter().for_each(|inner| self.read_value(inner, depth + 1));
                }
                self.read_members(value);
            }
            _ => {}
        }
    }

    fn read_members(&mut self, value: &Value) {
        for name in ["message", "detail", "error_message", "msg"] {
            match value.get(name) {
                Some(Value::String(text)) => self.set_message(text),
                Some(inner @ (Value::Object(_) | Value::Array(_))) => self.read_value(inner, 2),
                _ => {}
            }
        }
        set(&mut self.code, value.get("code"), &mut self.codes);
        set(&mut self.kind, value.get("type"), &mut self.codes);
        for inner in ["innererror", "inner_error"].iter().filter_map(|name| value.get(name)) {
            set(&mut None, inner.get("code"), &mut self.codes);
        }
        for detail in value.get("details").and_then(Value::as_array).into_iter().flatten() {
            self.details.extend(detail.get("statusCode").and_then(number));
            for name in ["type", "code"] {
                set(&mut None, detail.get(name), &mut self.codes);
            }
            set(&mut None, detail.get("message"), &mut self.words);
        }
    }

    fn set_message(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.words.push_str(text);
            self.words.push('\n');
            self.message.get_or_insert_with(|| text.trim().to_owned());
        }
    }

    /// The status that a gateway wrapped: all details alike, or a code that is a status.
    fn stands_for(&self) -> Option<u16> {
        let alike = self.details.first().filter(|first| self.details.iter().all(|status| status == *first)).copied();
        let code = self.code.as_deref().and_then(|code| code.parse().ok());
        alike.or(code).filter(|status| (400..600).contains(status))
    }

    fn by_content(&self, stands_for: u16) -> Option<Status> {
        let says = |phrases: &[&str], words: &str| {
            phrases.iter().any(|phrase| self.codes.contains(phrase) || words.contains(phrase))
        };
        // A rate limit may speak of contexts and filters in passing.
        let words = if stands_for == 429 { "" } else { &self.words };
        if says(QUOTA, &self.words) {
            Some(Status::QuotaExceeded)
        } else if says(CONTEXT, words) {
            Some(Status::ContextLength)
        } else if says(FILTER, words) {
            Some(Status::ContentFiltered)
        } else {
            None
        }
    }
}

const QUOTA: &[&str] = &[
    "insufficient_quota",
    "insufficient_credit",
    "insufficient credit",
    "insufficient_balance",
    "insufficient balance",
    "insufficient funds",
    "billing_hard_limit_reached",
    "billing_error",
    "billing_not_active",
    "exceeded your current quota",
    "credit balance is too low",
    "quota_exceeded",
    "out of credits",
    "payment_required",
];
const CONTEXT: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "context length exceeded",
    "context size",
    "context window",
    "context_window",
    "prompt is too long",
    "exceeds the context",
];
const FILTER: &[&str] = &[
    "content_filter",
    "content_policy_violation",
    "responsibleaipolicyviolation",
    "content management policy",
    "content_filtered",
];

/// Remember the first text or number that says something, and its words.
fn set(known: &mut Option<String>, value: Option<&Value>, words: &mut String) {
    let text = match value {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return,
    };
    words.push_str(&text);
    words.push('\n');
    known.get_or_insert(text);
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|number| number.try_into().ok()),
    }
}

/// What can be said of a body that is no error object: its text, or the title of its page.
fn plain_message(body: &str, value: &Value) -> String {
    let text = body.trim();
    if text.is_empty() || value.is_null() && text == "null" {
        return "the server gave no reason".to_owned();
    }
    if text.starts_with('<') {
        let lower = text.to_ascii_lowercase();
        let title = lower
            .find("<title>")
            .and_then(|from| lower[from + 7..].find("</title>").map(|length| &text[from + 7..from + 7 + length]));
        return match title {
            Some(title) => format!("an HTML page came instead of JSON: {}", title.trim()),
            None => "an HTML page came instead of JSON".to_owned(),
        };
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_gives_message_code_and_type() {
        let shapes = [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, Some("c"), Some("t")),
            (r#"{"error":{"message":"m","code":17}}"#, Some("17"), None),
            (r#"{"error":"m"}"#, None, None),
            (r#"[{"error":{"message":"m","code":"c","status":"X"}}]"#, Some("c"), None),
            (r#"{"message":"m"}"#, None, None),
            (r#"{"object":"error","message":{"detail":[{"msg":"m"}]},"type":"t"}"#, None, Some("t")),
            (r#"{"detail":"m"}"#, None, None),
            (r#"{"success":false,"error":{"code":"c","message":"m","details":"x"}}"#, Some("c"), None),
            ("m", None, None),
            ("  m \n", None, None),
        ];
        for (body, code, kind) in shapes {
            let refusal = understand(400, body);
            assert_eq!(
                (refusal.message.as_str(), refusal.code.as_deref(), refusal.kind.as_deref()),
                ("m", code, kind),
                "{body}"
            );
            assert_eq!(refusal.status, Status::BadRequest, "{body}");
        }
    }

    #[test]
    fn numbers_map_as_the_contract_says() {
        let table = [
            (400, Status::BadRequest),
            (401, Status::Authentication),
            (402, Status::QuotaExceeded),
            (403, Status::Permission),
            (404, Status::NotFound),
            (408, Status::Server),
            (409, Status::Server),
            (410, Status::NotFound),
            (413, Status::BadRequest),
            (422, Status::BadRequest),
            (429, Status::RateLimited),
            (500, Status::Server),
            (503, Status::Overloaded),
            (529, Status::Overloaded),
        ];
        for (number, status) in table {
            assert_eq!(understand(number, "").status, status, "{number}");
        }
    }

    #[test]
    fn content_counts_before_number() {
        let credits = r#"{"success":false,"error":{"code":"request_failed","message":"Insufficient credits","details":[{"type":"insufficient_credit_limit","statusCode":429}]}}"#;
        let refusal = understand(429, credits);
        assert_eq!((refusal.status, refusal.is_final), (Status::QuotaExceeded, true));
        let context = r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}"#;
        assert_eq!(understand(500, context).status, Status::ContextLength);
        let filter = r#"{"error":{"code":"content_filter","message":"no","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
        assert_eq!(understand(400, filter).status, Status::ContentFiltered);
    }

    #[test]
    fn a_rate_limit_may_speak_of_contexts_in_passing() {
        let said = |code: &str| {
            let body = format!(r#"{{"error":{{"code":"{code}","message":"Your context window usage this minute"}}}}"#);
            understand(429, &body).status
        };
        assert_eq!(said("rate_limited"), Status::RateLimited);
        assert_eq!(said("context_length_exceeded"), Status::ContextLength);
    }

    #[test]
    fn inside_an_answer_a_code_is_the_status_and_wraps_nothing() {
        let inside = |error: &str| {
            let refusal = understand(0, &format!(r#"{{"error":{{"message":"m"{error}}}}}"#));
            (refusal.status, refusal.stands_for, refusal.is_final)
        };
        assert_eq!(inside(""), (Status::Server, 500, false));
        assert_eq!(inside(r#","code":400"#), (Status::BadRequest, 400, false));
        assert_eq!(inside(r#","code":429"#), (Status::RateLimited, 429, false));
        assert_eq!(inside(r#","code":401"#), (Status::Authentication, 401, true));
        assert_eq!(inside(r#","details":[{"statusCode":400}]"#), (Status::BadRequest, 400, true));
    }

    #[test]
    fn what_a_gateway_wraps_stands_for_the_status() {
        let wrapped = |details: &str| {
            understand(
                500,
                &format!(r#"{{"error":{{"code":"all_attempts_failed","message":"m","details":[{details}]}}}}"#),
            )
        };
        let wrong = wrapped(r#"{"statusCode":422},{"statusCode":422}"#);
        assert_eq!((wrong.status, wrong.stands_for, wrong.is_final), (Status::BadRequest, 422, true));
        let busy = wrapped(r#"{"statusCode":503}"#);
        assert_eq!((busy.status, busy.is_final), (Status::Overloaded, false));
        assert_eq!(wrapped(r#"{"statusCode":400},{"statusCode":503}"#).stands_for, 500);
        assert_eq!(understand(500, r#"{"error":{"code":"429","message":"m"}}"#).status, Status::RateLimited);
        assert_eq!(understand(500, r#"{"error":{"code":200,"message":"m"}}"#).status, Status::Server);
    }

    #[test]
    fn pages_and_silence_are_told_in_words() {
        assert_eq!(
            understand(502, "<html><TITLE>522: timed out</TITLE></html>").message,
            "an HTML page came instead of JSON: 522: timed out"
        );
        for body in ["", " \n", "null"] {
            assert_eq!(understand(500, body).message, "the server gave no reason");
        }
    }
}
