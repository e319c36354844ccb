//! A client with every kind of secret, and how to find one in what the library says.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use base64::Engine;
use helio::abi::*;
use serde_json::{Value, json};

use super::c::{Client, config_of, merged, status_name};
use super::certs::{Pair, ours};
use super::outcome::{Failure, Outcome};

pub const KEY: &str = r#"sk-live/"4f1d9b7c2e8a60"+=="#;
/// What becomes the key later.
pub const NEXT_KEY: &str = r#"sk-next/"b8e07a135f2d"+=="#;
/// Of a request's own header.
pub const ONCE: &str = "once-8d2e44c1b03f";
/// Could be a header's name, too.
pub const COOKIE: &str = "ck-51d0e7aa93f1";
const TOKEN: &str = r#"Token tk/"0a91cc35e6d2"\ü"#;
const FALLBACK: &str = r#"Bearer fb/"6e1d0c84b7a9"\"#;
const PASSWORD: &str = r#"px/"c3b7f20e9d14"@"#;

/// Of each secret a part that stays as it is, however the rest of it is written.
const CORES: [&str; 7] =
    ["4f1d9b7c2e8a60", "b8e07a135f2d", "8d2e44c1b03f", "51d0e7aa93f1", "0a91cc35e6d2", "6e1d0c84b7a9", "c3b7f20e9d14"];

fn certificate() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| ours().client())
}

/// A part of the client's private key.
fn private_key() -> &'static str {
    certificate().key_pem.lines().nth(1).expect("a line of the key").split_at(24).0
}

/// User and password for a proxy, as HTTP sends them.
pub fn login() -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("user:{PASSWORD}"))
}

/// The URL of a proxy on this machine, with user and password.
pub fn proxy(scheme: &str, port: u16) -> String {
    let password = percent_encoding::utf8_percent_encode(PASSWORD, percent_encoding::NON_ALPHANUMERIC);
    format!("{scheme}://user:{password}@127.0.0.1:{port}")
}

/// A config for this URL with every kind of secret, and `patch` over it.
pub fn secretive(url: &str, patch: &Value) -> Value {
    let pair = certificate();
    let secrets = json!({
        "api_key": KEY,
        "headers": {"X-Token": TOKEN, "Cookie": COOKIE},
        "helicone": {"fallbacks": [{"target-url": "https://b.example", "headers": {"Authorization": FALLBACK}}]},
        "tls": {"ca_pem": ours().pem, "client_cert_pem": pair.cert_pem, "client_key_pem": pair.key_pem},
        "proxy": proxy("http", 9),
        "no_proxy": "127.0.0.1, no-such-host.invalid",
        "retry": {"max_retries": 1},
    });
    merged(merged(config_of(url), &secrets), patch)
}

/// All of them in one line. The private key never leaves the client, so no server can say it.
pub fn said() -> String {
    let login = login();
    format!("({KEY}) Bearer {KEY} ({TOKEN}) ({COOKIE}) ({FALLBACK}) ({ONCE}) ({PASSWORD}) Basic {login}")
}

/// The line inside a JSON string.
pub fn said_in_json() -> String {
    let quoted = json!(said()).to_string();
    quoted[1..quoted.len() - 1].to_string()
}

/// The text shows no secret, also where it is JSON and must be read first.
#[track_caller]
pub fn is_silent(what: &str, text: &str) {
    let shows = |text: &str| {
        let lower = text.to_lowercase();
        CORES.iter().any(|core| lower.contains(core)) || text.contains(&login()) || text.contains(private_key())
    };
    let read = serde_json::from_str(text).map_or(Vec::new(), |value| strings(&value));
    assert!(!shows(text) && !read.iter().any(|text| shows(text)), "{what}: there is a secret in {text}");
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| [vec![name.clone()], strings(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the library repeats the text in which somebody has said the secrets.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Repeats {
    It,
    Nothing,
}

/// Which outcomes have been looked at.
#[derive(Default)]
pub struct Looked(pub BTreeSet<helio_status>);

impl Looked {
    /// At all that the library says of an outcome. Where it repeats what it was told, a mask must be seen: a row that
    /// shows none has tried nothing.
    #[track_caller]
    pub fn at_outcome(
        &mut self,
        what: &str,
        status: helio_status,
        repeats: Repeats,
        outcome: &Outcome,
        client: &Client,
    ) {
        let mut texts = client.logs();
        texts.push(client.handle().stats().to_string());
        texts.extend(outcome.events.last().and_then(|done| done.report.clone()));
        texts.extend(outcome.error.as_ref().map(parts).unwrap_or_default());
        self.at(what, (status, outcome.status), repeats, &texts);
    }

    /// At a client that did not come about.
    #[track_caller]
    pub fn at_refused(&mut self, what: &str, status: helio_status, config: &[u8]) {
        let Err(error) = Client::try_new(Some(config)) else { panic!("{what} was accepted") };
        self.at(what, (status, error.status), Repeats::Nothing, &parts(&error));
    }

    #[track_caller]
    pub fn at(&mut self, what: &str, (wanted, is): (helio_status, helio_status), repeats: Repeats, texts: &[String]) {
        assert!(is == wanted, "{what}: {} instead of {}: {texts:#?}", status_name(is), status_name(wanted));
        texts.iter().for_each(|text| is_silent(what, text));
        let is_masked = texts.iter().any(|text| text.contains("***"));
        assert_eq!(is_masked, repeats == Repeats::It, "{what}: whether a mask is seen in {texts:#?}");
        self.0.insert(is);
    }
}

fn parts(error: &Failure) -> Vec<String> {
    let Failure { message, code, kind, body, report, .. } = error.clone();
    [Some(message), code, kind, body, report].into_iter().flatten().collect()
}
