//! All that is Helicone's: where its gateway is, where its key comes from, and its headers as typed config.

use serde_json::Value;
use ureq::http::{HeaderMap, HeaderName, Uri};

use crate::failure::Failure;
use crate::section::{Section, header_value};
use crate::text::excerpt;

/// The gateway.
pub const BASE_URL: &str = "https://ai-gateway.helicone.ai/v1";
/// Where its key is looked for.
pub const KEY_VARIABLE: &str = "HELICONE_API_KEY";
/// The gateway's name for a request, in its answer.
pub const ID_HEADER: &str = "helicone-id";

/// What its cache holds at most for one request.
const BUCKET_MOST: u64 = 20;
/// A year: its cache keeps nothing longer.
const AGE_MOST_S: u64 = 365 * 24 * 3600;
/// Its rate limits count over no shorter time.
const WINDOW_LEAST_S: u64 = 60;

/// The keys of the `helicone` section.
pub const KEYS: &[&str] = &[
    "request_id",
    "user_id",
    "session",
    "properties",
    "cache",
    "rate_limit_policy",
    "retry",
    "fallbacks",
    "prompt_id",
    "model_override",
    "token_limit_handler",
    "moderations",
    "security",
    "omit_request",
    "omit_response",
];

/// Whether the hosted gateway is there.
pub fn is_gateway(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    host == "helicone.ai" || host.ends_with(".helicone.ai")
}

/// Whether a header of an answer is the gateway's own.
pub fn is_reported(name: &str) -> bool {
    name.starts_with("helicone-")
}

/// The request's id, a UUID version 4 (the gateway silently replaces others). Only a request can have one.
pub fn request_id(section: &Section<'_>, for_request: bool) -> Result<Option<String>, Failure> {
    let Some(id) = section.text("request_id")? else {
        return Ok(None);
    };
    if !for_request {
        return Err(section.mistake("request_id", "names one request: give it in the request's overrides"));
    }
    if !is_uuid_v4(id) {
        return Err(
            section.mistake("request_id", "expects a UUID of version 4, like 6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b")
        );
    }
    Ok(Some(id.to_owned()))
}

fn is_uuid_v4(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            14 => byte == b'4',
            19 => matches!(byte, b'8' | b'9' | b'a' | b'b' | b'A' | b'B'),
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether it is a policy; another one the gateway takes without a word, and limits nothing.
fn is_policy(text: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let mut parts = text.split(';').map(str::trim);
    let quota = parts.next().and_then(number);
    let window_s = parts.next().and_then(|part| number(part.strip_prefix("w=")?));
    let mut seen = "";
    let are_known = parts.all(|part| {
        let (name, value) = part.split_once('=').unwrap_or_default();
        let is_known = match name {
            "u" => seen.is_empty() && matches!(value, "request" | "cents"),
            "s" => seen != "s" && !value.is_empty(),
            _ => false,
        };
        seen = name;
        is_known
    });
    quota.is_some() && window_s >= Some(WINDOW_LEAST_S) && are_known
}

/// The headers that the section stands for. What is off sends nothing: the gateway only knows `true`.
pub fn headers(section: &Section<'_>) -> Result<HeaderMap, Failure> {
    let mut out = Headers(HeaderMap::new());
    let session = section.section("session", &["id", "name", "path"])?;
    let cache = section.section("cache", &["enabled", "max_age_s", "bucket_size", "seed"])?;
    let retry = section.section("retry", &["enabled", "num", "factor", "min_timeout_ms", "max_timeout_ms"])?;
    for (from, key, name) in [
        (section, "request_id", "helicone-request-id"),
        (section, "user_id", "helicone-user-id"),
        (section, "rate_limit_policy", "helicone-ratelimit-policy"),
        (section, "prompt_id", "helicone-prompt-id"),
        (section, "model_override", "helicone-model-override"),
        (&session, "id", "helicone-session-id"),
        (&session, "name", "helicone-session-name"),
        (&session, "path", "helicone-session-path"),
        (&cache, "seed", "helicone-cache-seed"),
    ] {
        if let Some(text) = from.text(key)? {
            out.set(from, key, name, text)?;
        }
    }
    for (from, key, name) in [
        (section, "moderations", "helicone-moderations-enabled"),
        (section, "omit_request", "helicone-omit-request"),
        (section, "omit_response", "helicone-omit-response"),
        (&cache, "enabled", "helicone-cache-enabled"),
        (&retry, "enabled", "helicone-retry-enabled"),
    ] {
        if from.flag(key)? == Some(true) {
            out.set(from, key, name, "true")?;
        }
    }
    for (key, name) in [
        ("num", "helicone-retry-num"),
        ("min_timeout_ms", "helicone-retry-min-timeout"),
        ("max_timeout_ms", "helicone-retry-max-timeout"),
    ] {
        if let Some(number) = retry.whole(key, 0)? {
            out.set(&retry, key, name, &number.to_string())?;
        }
    }
    if let Some(size) = cache.whole_within("bucket_size", 1..=BUCKET_MOST)? {
        out.set(&cache, "bucket_size", "helicone-cache-bucket-max-size", &size.to_string())?;
    }
    if let Some(seconds) = cache.whole_within("max_age_s", 0..=AGE_MOST_S)? {
        out.set(&cache, "max_age_s", "cache-control", &format!("max-age={seconds}"))?;
    }
    if let Some(policy) = section.text("rate_limit_policy")?.filter(|policy| !is_policy(policy)) {
        let expected = "expects <quota>;w=<seconds, 60 or more>[;u=request|cents][;s=user|<property>], like 1000;w=3600;u=cents;s=user";
        return Err(section.mistake("rate_limit_policy", format!("{expected}, not {:?}", excerpt(policy, 60))));
    }
    if let Some(factor) = retry.number("factor", 0.0..=1000.0)? {
        out.set(&retry, "factor", "helicone-retry-factor", &factor.to_string())?;
    }
    if let Some(handler) = section.word("token_limit_handler", &["truncate", "middle-out", "fallback"])? {
        out.set(section, "token_limit_handler", "helicone-token-limit-exception-handler", handler)?;
    }
    if let Some(level) = section.word("security", &["basic", "advanced"])? {
        out.set(section, "security", "helicone-llm-security-enabled", "true")?;
        if level == "advanced" {
            out.set(section, "security", "helicone-llm-security-advanced", "true")?;
        }
    }
    match section.get("fallbacks") {
        None => {}
        Some(list @ Value::Array(_)) => out.set(section, "fallbacks", "helicone-fallbacks", &ascii_json(list))?,
        Some(other) => return Err(section.wrong("fallbacks", "an array", other)),
    }
    let properties = section.object("properties")?;
    for (name, value) in properties.members() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            other => return Err(properties.wrong(name, "a string, a number or true or false", other)),
        };
        out.set(&properties, name, &format!("helicone-property-{name}"), &text)?;
    }
    Ok(out.0)
}

/// Show each secret of the section: the headers that fall-backs bring along.
pub fn secrets(section: &Section<'_>, mut visit: impl FnMut(&str)) {
    let fallbacks = section.get("fallbacks").and_then(Value::as_array).into_iter().flatten();
    let headers =
        fallbacks.filter_map(|fallback| fallback.get("headers")?.as_object()).flat_map(|headers| headers.values());
    headers.filter_map(Value::as_str).for_each(&mut visit);
}

struct Headers(HeaderMap);

impl Headers {
    fn set(&mut self, section: &Section<'_>, key: &str, name: &str, text: &str) -> Result<(), Failure> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| section.mistake(key, "cannot stand in a header's name"))?;
        let value = header_value(text).map_err(|why| section.mistake(key, why))?;
        self.0.insert(name, value);
        Ok(())
    }
}

/// JSON with nothing but ASCII in it, so that a header can carry it.
fn ascii_json(value: &Value) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0u16; 2];
            character.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_4_is_a_request_id() {
        assert!(is_uuid_v4("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b"));
        for wrong in [
            "6f1c2a34-5b6d-7e7f-8a9b-0c1d2e3f4a5b",
            "6f1c2a34-5b6d-4e7f-0a9b-0c1d2e3f4a5b",
            "6f1c2a345b6d4e7f8a9b0c1d2e3f4a5b",
            "",
            "x",
        ] {
            assert!(!is_uuid_v4(wrong), "{wrong}");
        }
    }

    #[test]
    fn json_in_a_header_is_ascii() {
        assert_eq!(ascii_json(&serde_json::json!(["ü🌍"])), r#"["\u00fc\ud83c\udf0d"]"#);
    }
}
