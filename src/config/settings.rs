//! The part of the config that a request may change.

use std::time::Duration;

use serde_json::Value;
use ureq::http::header::COOKIE;
use ureq::http::{HeaderMap, HeaderName};

use crate::check::Mode;
use crate::deliver::QueueLimits;
use crate::failure::Failure;
use crate::provider::helicone;
use crate::secrets::Secrets;
use crate::section::{Section, header_value};

pub(super) const LIMITS: &[&str] = &[
    "max_in_flight",
    "max_queued",
    "max_threads",
    "requests_per_minute",
    "tokens_per_minute",
    "max_event_bytes",
    "max_head_bytes",
    "max_response_bytes",
    "queue_events",
    "queue_bytes",
];
/// These are ours to set: a request that contradicts its own framing is no request.
const FORBIDDEN: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

/// What holds for one request.
#[derive(Debug)]
pub struct Settings {
    /// Headers of the host's choice, over all others.
    pub headers: HeaderMap,
    /// Headers that the `helicone` section stands for.
    pub helicone: HeaderMap,
    /// The id the host gave the request.
    pub request_id: Option<String>,
    /// The deadlines.
    pub timeouts: Timeouts,
    /// Whether and how to try again.
    pub retry: Retry,
    /// How large things may become.
    pub limits: Limits,
    /// How much may wait for the host.
    pub queue: QueueLimits,
    /// Whether requests are held against what the endpoint takes; `None`: as it is usual there.
    pub validate: Option<Mode>,
    /// Header values, which must never be read anywhere.
    pub secrets: Secrets,
}

/// The deadlines; `None`: none.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // the contract, section 8
pub struct Timeouts {
    pub connect: Option<Duration>,
    pub first_event: Option<Duration>,
    pub idle: Option<Duration>,
    pub total: Option<Duration>,
}

/// Whether and how to try again.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Retry {
    pub max_retries: u64,
    pub base_ms: u64,
    pub max_ms: u64,
    pub jitter: f64,
    pub max_server_delay_ms: u64,
}

/// How large things may become, in decoded bytes.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Limits {
    pub max_event_bytes: u64,
    pub max_head_bytes: u64,
    pub max_response_bytes: u64,
}

impl Settings {
    /// Read them from a whole config. `for_request`: keys that only a request may have are allowed.
    pub(super) fn read(root: &Section<'_>, for_request: bool) -> Result<Self, Failure> {
        let validate = root.word("validate", &["off", "warn", "strict"])?.map(|word| match word {
            "off" => Mode::Off,
            "warn" => Mode::Warn,
            _ => Mode::Strict,
        });
        let section = root.section("helicone", helicone::KEYS)?;
        let request_id = helicone::request_id(&section, for_request)?;
        let headers = headers(root)?;
        let mut secrets = Secrets::default();
        for (name, value) in &headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            secrets.add(&value);
            if name == COOKIE {
                secrets.add_cookies(&value);
            }
        }
        helicone::secrets(&section, |value| secrets.add(value));
        Ok(Settings {
            headers,
            helicone: helicone::headers(&section)?,
            request_id,
            timeouts: timeouts(root)?,
            retry: retry(root)?,
            limits: limits(root)?,
            queue: queue(root)?,
            validate,
            secrets,
        })
    }
}

fn headers(root: &Section<'_>) -> Result<HeaderMap, Failure> {
    let section = root.object("headers")?;
    let mut headers = HeaderMap::new();
    for (name, value) in section.members() {
        let lower = name.to_ascii_lowercase();
        if FORBIDDEN.contains(&lower.as_str()) {
            return Err(section.mistake(name, "cannot be set: it belongs to the connection"));
        }
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| section.mistake(name, "is no header name"))?;
        match value {
            Value::Null => {}
            Value::String(text) => {
                let mut value = header_value(text).map_err(|why| section.mistake(name, why))?;
                value.set_sensitive(true);
                headers.insert(key, value);
            }
            other => return Err(section.wrong(name, "a string", other)),
        }
    }
    Ok(headers)
}

fn timeouts(root: &Section<'_>) -> Result<Timeouts, Failure> {
    let section = root.section("timeouts", &["connect_ms", "first_event_ms", "idle_ms", "total_ms"])?;
    let read = |key: &str, default: Option<u64>| -> Result<Option<Duration>, Failure> {
        let given = section.whole(key, 1)?;
        let none = section.is_null(key);
        Ok(given.or(default.filter(|_| !none)).map(Duration::from_millis))
    };
    Ok(Timeouts {
        connect: read("connect_ms", Some(10_000))?,
        first_event: read("first_event_ms", Some(600_000))?,
        idle: read("idle_ms", Some(120_000))?,
        total: read("total_ms", None)?,
    })
}

fn retry(root: &Section<'_>) -> Result<Retry, Failure> {
    let section = root.section("retry", &["max_retries", "base_ms", "max_ms", "jitter", "max_server_delay_ms"])?;
    Ok(Retry {
        max_retries: section.whole("max_retries", 0)?.unwrap_or(2),
        base_ms: section.whole("base_ms", 0)?.unwrap_or(500),
        max_ms: section.whole("max_ms", 0)?.unwrap_or(8000),
        jitter: section.number("jitter", 0.0..=1.0)?.unwrap_or(0.25),
        max_server_delay_ms: section.whole("max_server_delay_ms", 0)?.unwrap_or(60_000),
    })
}

fn limits(root: &Section<'_>) -> Result<Limits, Failure> {
    let section = root.section("limits", LIMITS)?;
    Ok(Limits {
        max_event_bytes: section.whole("max_event_bytes", 1)?.unwrap_or(32 << 20),
        max_head_bytes: section.whole("max_head_bytes", 1)?.unwrap_or(64 << 10),
        max_response_bytes: section.whole("max_response_bytes", 1)?.unwrap_or(256 << 20),
    })
}

fn queue(root: &Section<'_>) -> Result<QueueLimits, Failure> {
    let section = root.section("limits", LIMITS)?;
    let read = |key, default: u64| -> Result<usize, Failure> {
        Ok(usize::try_from(section.whole(key, 1)?.unwrap_or(default)).unwrap_or(usize::MAX))
    };
    Ok(QueueLimits { events: read("queue_events", 1024)?, bytes: read("queue_bytes", 8 << 20)? })
}
