//! A client's config, and what of it a request may change.
//!
//! The config is JSON. [`Config`] is what lasts as long as the client, [`Settings`] the part that `overrides` may
//! change for one request: a merge patch on the client's own JSON, read again from the beginning, so that there is
//! one way to read a setting and one place where it has its default.

mod settings;
mod way;

use std::sync::Arc;

use serde_json::{Map, Value};
use ureq::http::{HeaderValue, Uri};

use crate::check::Mode;
use crate::failure::Failure;
use crate::provider::helicone;
use crate::section::Section;
use crate::status::Status;
use crate::wire::{Proxy, Roots, TlsOptions, check_port};

pub use settings::{Limits, Retry, Settings, Timeouts};

const KEYS: &[&str] = &[
    "base_url", "api_key", "headers", "helicone", "timeouts", "retry", "limits", "tls", "proxy", "no_proxy", "validate",
];
const FOR_CLIENT: &[&str] = &["base_url", "api_key", "tls", "proxy", "no_proxy"];
const LIMITS_FOR_CLIENT: &[&str] =
    &["max_in_flight", "max_queued", "max_threads", "requests_per_minute", "tokens_per_minute"];

/// Everything a client is told.
pub struct Config {
    /// Where requests go.
    pub endpoint: Endpoint,
    /// Whether `base_url` is the default, which needs a key.
    pub is_default_endpoint: bool,
    /// The key, if there is one, as it is sent.
    pub authorization: Option<HeaderValue>,
    /// TLS, PEM read from its files.
    pub tls: TlsOptions,
    /// The proxy through which it is reached.
    pub proxy: Option<Proxy>,
    /// The key of each secret that must never be read anywhere.
    pub secrets: Vec<String>,
    /// How many requests at a time.
    pub max_in_flight: usize,
    /// How many more may wait.
    pub max_queued: usize,
    /// How many threads.
    pub max_threads: usize,
    /// How many requests may begin in a minute.
    pub requests_per_minute: Option<u64>,
    /// How many tokens may be used in a minute.
    pub tokens_per_minute: Option<u64>,
    /// What becomes of what is found in a request, if the settings do not say it.
    pub usual_check: Mode,
    /// What a request may change.
    pub settings: Arc<Settings>,
    own: Value,
}

/// Where requests go.
#[derive(Clone)]
pub struct Endpoint {
    /// `base_url` with `/chat/completions` behind its path.
    pub uri: Uri,
    /// Scheme, host, port and path, for reports: a query may hold what is nobody's business.
    pub text: Arc<str>,
    /// Host and port, for messages.
    pub peer: Arc<str>,
}

impl From<Uri> for Endpoint {
    fn from(uri: Uri) -> Self {
        let peer = uri.authority().map_or("", |authority| authority.as_str());
        let text = format!("{}://{peer}{}", uri.scheme_str().unwrap_or_default(), uri.path());
        Endpoint { text: text.into(), peer: peer.into(), uri }
    }
}

/// Reads an environment variable; empty counts as absent.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Read a config; no text: defaults and environment.
    pub fn read(text: Option<&str>, environment: Environment<'_>) -> Result<Self, Failure> {
        let own = match text {
            Some(text) => parse_object(text, "config")?,
            None => Value::Object(Map::new()),
        };
        let root = Section::root(&own, KEYS)?;
        let settings = Arc::new(Settings::read(&root, false)?);
        // A mistake in the environment is named by its variable.
        let of_variable = |name: &str, why: String| Failure::argument(format!("the environment variable {name} {why}"));
        let own_url = root.text("base_url")?;
        let given = own_url.map(str::to_owned).or_else(|| environment("HELIO_BASE_URL"));
        let endpoint =
            endpoint(given.as_deref().unwrap_or(helicone::BASE_URL)).map_err(|(status, why)| match own_url {
                Some(_) => Failure { status, ..root.mistake("base_url", why) },
                None => Failure { status, ..of_variable("HELIO_BASE_URL", why) },
            })?;
        let is_default_endpoint = given.as_deref().is_none_or(|url| url.trim_end_matches('/') == helicone::BASE_URL);
        let of_environment = || {
            let helicones = || environment(helicone::KEY_VARIABLE).filter(|_| is_default_endpoint);
            environment("HELIO_API_KEY").or_else(helicones)
        };
        let own_key = root.text("api_key")?;
        let api_key = own_key.map(str::to_owned).or_else(of_environment).filter(|key| !key.is_empty());
        let authorization = api_key.as_deref().map(authorization).transpose();
        let authorization = authorization.map_err(|why| match own_key {
            Some(_) => root.mistake("api_key", why),
            None => of_variable("HELIO_API_KEY or HELICONE_API_KEY", why.to_owned()),
        })?;
        let mut secrets: Vec<String> = api_key.into_iter().collect();
        let proxy = way::to(&endpoint, &root, environment, &mut secrets)?;
        let tls = tls_options(&root)?;
        let limits = root.section("limits", settings::LIMITS)?;
        let count = |key, default| -> Result<usize, Failure> {
            Ok(usize::try_from(limits.whole(key, 1)?.unwrap_or(default)).unwrap_or(usize::MAX))
        };
        let max_queued = limits.whole("max_queued", 0)?.unwrap_or(1024);
        let max_in_flight = count("max_in_flight", 256)?.min(tokio::sync::Semaphore::MAX_PERMITS);
        let max_threads = count("max_threads", 256)?;
        let usual_check = if helicone::is_gateway(&endpoint) { Mode::Warn } else { Mode::Off };
        Ok(Config {
            requests_per_minute: limits.whole("requests_per_minute", 1)?,
            tokens_per_minute: limits.whole("tokens_per_minute", 1)?,
            usual_check,
            endpoint: endpoint.into(),
            is_default_endpoint,
            authorization,
            tls,
            proxy,
            secrets,
            max_in_flight,
            max_threads,
            max_queued: usize::try_from(max_queued).unwrap_or(usize::MAX),
            settings,
            own,
        })
    }

    /// The settings of a request with these overrides.
    pub fn with_overrides(&self, text: &str) -> Result<Arc<Settings>, Failure> {
        let patch = parse_object(text, "overrides")?;
        let members = || patch.as_object().into_iter().flatten();
        let limits = patch.get("limits").and_then(Value::as_object).into_iter().flatten();
        let fixed = members().map(|(key, _)| key).find(|key| FOR_CLIENT.contains(&key.as_str()));
        let fixed = fixed.cloned().or_else(|| {
            let key = limits.map(|(key, _)| key).find(|key| LIMITS_FOR_CLIENT.contains(&key.as_str()))?;
            Some(format!("limits.{key}"))
        });
        if let Some(key) = fixed {
            return Err(Failure::argument(format!(
                "{key:?} cannot be changed for one request: give it to helio_client_create"
            )));
        }
        let mut merged = self.own.clone();
        merge(&mut merged, &patch, "");
        Section::root(&patch, KEYS)?;
        Ok(Arc::new(Settings::read(&Section::root(&merged, KEYS)?, true)?))
    }
}

/// RFC 7396, but for `timeouts`, where null is a value: no deadline.
fn merge(into: &mut Value, patch: &Value, key: &str) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(members) = into else { return };
    for (name, value) in patch {
        if value.is_null() && key != "timeouts" {
            members.remove(name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value, name);
        }
    }
}

/// A text that must be one JSON object; `what` names it.
fn parse_object(text: &str, what: &str) -> Result<Value, Failure> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Failure::new(Status::InvalidJson, format!("the {what} must be one JSON object, {{…}}"))),
        Err(error) => Err(Failure::new(Status::InvalidJson, format!("the {what} is no JSON object: {error}"))),
    }
}

/// What a key is sent as. It does not show in Debug.
pub fn authorization(key: &str) -> Result<HeaderValue, &'static str> {
    let value = HeaderValue::try_from(format!("Bearer {key}")).ok();
    let value = value.filter(|_| key.bytes().all(|byte| (0x21..0x7f).contains(&byte)));
    let mut value = value.ok_or("holds a blank, a control character or a letter that HTTP does not allow in a key")?;
    value.set_sensitive(true);
    Ok(value)
}

/// `base_url` with `/chat/completions` behind its path, unless it ends so; a query is kept.
fn endpoint(base_url: &str) -> Result<Uri, (Status, String)> {
    let mistake = |why: &str| (Status::InvalidArgument, why.to_owned());
    let uri: Uri = base_url.trim().parse().map_err(|_| mistake("is no URL like https://host/v1"))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        Some(other) => {
            return Err((
                Status::Unsupported,
                format!("has the scheme {other:?}, but only http and https are built in"),
            ));
        }
        None => return Err(mistake("has no scheme: write https://host/v1")),
    }
    let authority =
        uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(|| mistake("has no host"))?;
    if authority.as_str().contains('@') {
        return Err(mistake("holds a user name or password: give the key as \"api_key\""));
    }
    check_port(authority).map_err(mistake)?;
    let path = uri.path().trim_end_matches('/');
    let whole = if path.ends_with("/chat/completions") { path.to_owned() } else { format!("{path}/chat/completions") };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or_default();
    format!("{scheme}://{authority}{whole}{query}").parse().map_err(|_| mistake("is no URL like https://host/v1"))
}

fn tls_options(root: &Section<'_>) -> Result<TlsOptions, Failure> {
    let keys =
        ["roots", "ca_file", "ca_pem", "client_cert_file", "client_cert_pem", "client_key_file", "client_key_pem"];
    let tls = root.section("tls", &keys)?;
    let file = |key: &'static str| -> Result<Option<(&'static str, Vec<u8>)>, Failure> {
        let Some(path) = tls.text(key)? else { return Ok(None) };
        if path.contains("-----BEGIN") || path.contains('\n') {
            return Err(
                tls.mistake(key, "holds PEM text, but names a file: give the text to the key that ends in _pem")
            );
        }
        let pem = std::fs::read(path).map_err(|error| {
            // It may be no name but the key itself.
            let name = if key == "client_key_file" { String::new() } else { format!(": {path:?}") };
            tls.mistake(key, format!("names a file that cannot be read{name} ({error})"))
        })?;
        Ok(Some((key, pem)))
    };
    let text = |key: &'static str| -> Result<Option<(&'static str, Vec<u8>)>, Failure> {
        Ok(tls.text(key)?.map(|pem| (key, pem.as_bytes().to_vec())))
    };
    let roots = match tls.word("roots", &["bundled", "system"])? {
        Some("system") => Roots::System,
        _ => Roots::Bundled,
    };
    let extra_roots = [file("ca_file")?, text("ca_pem")?].into_iter().flatten().collect();
    let chain = text("client_cert_pem")?.or(file("client_cert_file")?);
    let key = text("client_key_pem")?.or(file("client_key_file")?);
    let client = match (chain, key) {
        (Some(chain), Some(key)) => Some([chain, key]),
        (None, None) => None,
        (Some((given, _)), None) => return Err(tls.mistake(given, "needs its key: client_key_file or client_key_pem")),
        (None, Some((given, _))) => {
            return Err(tls.mistake(given, "needs its certificate: client_cert_file or client_cert_pem"));
        }
    };
    Ok(TlsOptions { roots, extra_roots, client })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, Failure> {
        Config::read(Some(text), &|_| None)
    }

    fn mistake(text: &str) -> String {
        let failure = read(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(failure.status, Status::InvalidArgument, "{text}");
        failure.message
    }

    #[test]
    fn the_path_is_appended_once_and_a_query_kept() {
        let table = [
            ("https://h/v1", "https://h/v1/chat/completions"),
            ("https://h/v1/", "https://h/v1/chat/completions"),
            ("http://h:81", "http://h:81/chat/completions"),
            ("https://h/x/chat/completions", "https://h/x/chat/completions"),
            ("https://h/v1?api-version=2", "https://h/v1/chat/completions?api-version=2"),
            ("http://[::1]:8080/v1", "http://[::1]:8080/v1/chat/completions"),
        ];
        for (base, whole) in table {
            assert_eq!(endpoint(base).unwrap().to_string(), whole);
        }
        for wrong in
            ["", "h/v1", "https://", "https://user:pass@h/v1", "http://h:99999/v1", "http://h:/v1", "https:///v1"]
        {
            assert!(endpoint(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(endpoint("ftp://h/").unwrap_err().0, Status::Unsupported);
    }

    #[test]
    fn the_environment_counts_where_the_config_is_silent() {
        let all = |name: &str| match name {
            "HELIO_BASE_URL" => Some("http://env/v1".to_owned()),
            "HELIO_API_KEY" => Some("env-key".to_owned()),
            "HELICONE_API_KEY" => Some("helicone-key".to_owned()),
            _ => None,
        };
        fn sent(config: &Config) -> Option<&str> {
            config.authorization.as_ref().and_then(|value| value.to_str().ok())
        }
        let config = Config::read(None, &all).unwrap();
        assert_eq!((config.endpoint.uri.host(), sent(&config)), (Some("env"), Some("Bearer env-key")));
        let config = Config::read(Some(r#"{"base_url":"http://own","api_key":"own"}"#), &all).unwrap();
        assert_eq!((config.endpoint.uri.host(), sent(&config)), (Some("own"), Some("Bearer own")));
        let helicones = |name: &str| all(name).filter(|_| name == "HELICONE_API_KEY");
        let config = Config::read(None, &helicones).unwrap();
        assert_eq!((config.is_default_endpoint, sent(&config)), (true, Some("Bearer helicone-key")));
        let wrong = |name: &str| (name == "HELIO_BASE_URL").then(|| "nonsense".to_owned());
        assert!(Config::read(None, &wrong).err().unwrap().message.contains("HELIO_BASE_URL"));
        let config = Config::read(Some(r#"{"base_url":"http://own"}"#), &helicones).unwrap();
        assert_eq!((config.is_default_endpoint, sent(&config)), (false, None));
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_key() {
        assert!(mistake(r#"{"bas_url":"x"}"#).contains("base_url"));
        assert!(mistake(r#"{"timeouts":{"conect_ms":1}}"#).contains("timeouts.connect_ms"));
        assert!(mistake(r#"{"timeouts":{"connect_ms":0}}"#).contains("timeouts.connect_ms"));
        assert!(mistake(r#"{"limits":{"max_in_flight":true}}"#).contains("whole number"));
        assert!(mistake(r#"{"retry":{"jitter":2}}"#).contains("from 0 to 1"));
        assert!(mistake(r#"{"tls":{"ca_file":"/nowhere.pem"}}"#).contains("/nowhere.pem"));
        assert!(mistake(r#"{"tls":{"client_key_pem":"x"}}"#).contains("needs its certificate"));
        assert!(!mistake(r#"{"api_key":"secret with blank"}"#).contains("secret"));
        assert!(!mistake(r#"{"proxy":"http://u:secret@p:99999"}"#).contains("secret"));
        assert!(!mistake(r#"{"tls":{"client_key_file":"-----BEGIN secret"}}"#).contains("secret"));
        let failure = read(r#"{"proxy":"ftp://u:secret@p"}"#).err().unwrap();
        assert!(failure.status == Status::Unsupported && !failure.message.contains("secret"));
    }

    #[test]
    fn overrides_patch_the_clients_own_and_null_gives_the_default() {
        let config =
            read(r#"{"headers":{"A":"1","B":"2"},"timeouts":{"idle_ms":5,"total_ms":7},"retry":{"max_retries":9}}"#)
                .unwrap();
        let settings = config
            .with_overrides(
                r#"{"headers":{"A":null,"C":"3"},"timeouts":{"idle_ms":null},"retry":{"max_retries":null}}"#,
            )
            .unwrap();
        let names: Vec<_> = settings.headers.keys().map(|name| name.as_str().to_owned()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!((settings.timeouts.idle, settings.timeouts.total.map(|total| total.as_millis())), (None, Some(7)));
        assert_eq!(settings.retry.max_retries, 2);
        assert_eq!(config.settings.retry.max_retries, 9);
        for fixed in
            [r#"{"base_url":"x"}"#, r#"{"api_key":null}"#, r#"{"limits":{"max_in_flight":1}}"#, r#"{"proxy":"x"}"#]
        {
            assert!(
                config.with_overrides(fixed).is_err_and(|failure| failure.status == Status::InvalidArgument),
                "{fixed}"
            );
        }
        assert_eq!(config.with_overrides("[]").err().unwrap().status, Status::InvalidJson);
    }

    #[test]
    fn the_proxys_password_is_a_secret() {
        let config = read(r#"{"proxy":"http://user:pa55word@p:1","api_key":"key-1234"}"#).unwrap();
        assert!(config.secrets.contains(&"pa55word".to_owned()) && config.secrets.contains(&"key-1234".to_owned()));
    }
}
