//! The way to where requests go: directly, or through which proxy. The environment is asked when the config says so.

use std::net::IpAddr;

use ureq::http::Uri;

use super::Environment;
use crate::failure::Failure;
use crate::section::Section;
use crate::status::Status;
use crate::wire::{Proxy, ProxyError, Target};

fn proxy_mistake(root: &Section<'_>, error: ProxyError) -> Failure {
    let failure = root.mistake("proxy", error.why);
    Failure { status: if error.is_unsupported { Status::Unsupported } else { failure.status }, ..failure }
}

/// The proxy through which this is reached, if there is one. What variables of the environment say of other targets may
/// be wrong; what is secret in them and in `proxy` stays so, whether it is used or not.
pub(super) fn to(
    uri: &Uri,
    root: &Section<'_>,
    environment: Environment<'_>,
    secrets: &mut Vec<String>,
) -> Result<Option<Proxy>, Failure> {
    let variable = |names: &[&'static str]| names.iter().find_map(|name| environment(name).map(|value| (*name, value)));
    let (proxy, list) = (root.text("proxy")?, root.text("no_proxy")?);
    let mut list = list.map(str::to_owned);
    let found = match proxy {
        None => return Ok(None),
        Some("environment") => {
            list = list.or_else(|| Some(variable(&["NO_PROXY", "no_proxy"])?.1));
            // HTTP_PROXY in capitals is a request header in CGI programs, and so never read.
            let names: [&[_]; 2] =
                [&["http_proxy", "ALL_PROXY", "all_proxy"], &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]];
            // There, a host alone means an HTTP proxy.
            let with_scheme = |url: String| if url.contains("://") { url } else { format!("http://{url}") };
            let [http, https] = names.map(|names| {
                let (name, url) = variable(names)?;
                Some(Proxy::parse(&with_scheme(url)).map_err(|error| {
                    let why = format!("is \"environment\", and the URL in {name} {}", error.why);
                    ProxyError { why, ..error }
                }))
            });
            for proxy in [&http, &https].into_iter().flatten().flatten() {
                secrets.extend(proxy.secrets());
            }
            if uri.scheme_str() == Some("https") { https } else { http }
        }
        Some(url) => {
            // Wrong it is, whether it is used or not.
            let proxy = Proxy::parse(url).map_err(|error| proxy_mistake(root, error))?;
            secrets.extend(proxy.secrets());
            Some(Ok(proxy))
        }
    };
    let is_direct = list.is_some_and(|list| NoProxy::parse(&list).covers(&Target::of(uri)));
    found.filter(|_| !is_direct).transpose().map_err(|error| proxy_mistake(root, error))
}

/// A list like that of `NO_PROXY`: hosts and all below them, addresses, `.suffix`, `*`, each perhaps with a port.
struct NoProxy(Vec<String>);

impl NoProxy {
    /// Entries separated by commas.
    fn parse(list: &str) -> Self {
        NoProxy(
            list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).collect(),
        )
    }

    /// Whether the target is reached directly.
    fn covers(&self, target: &Target) -> bool {
        let host = bare(&target.host);
        let is_name = host.parse::<IpAddr>().is_err();
        self.0.iter().any(|entry| {
            let (name, port) = split_port(entry);
            let name = bare(name.strip_prefix("*.").unwrap_or(name).trim_start_matches('.'));
            // An address has no domain.
            let is_within = || is_name && host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'));
            entry == "*"
                || !name.is_empty() && port.is_none_or(|port| port == target.port) && (host == name || is_within())
        })
    }
}

/// A host as it is compared: without brackets and the dot of the root.
fn bare(host: &str) -> String {
    host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}

/// An entry like `host:8080` or `[::1]:8080`; an IPv6 address alone has no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let port = entry.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    match port.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => (host, Some(port)),
        None => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_knows_hosts_suffixes_ports_and_the_star() {
        let at = |host: &str, port| Target { host: host.to_owned(), port };
        let list =
            NoProxy::parse("localhost, .corp.test ,127.0.0.1,*.star.test,[::1],fe80::1,dot.test.,port.test:8080");
        for host in [
            "localhost",
            "LOCALHOST",
            "a.localhost",
            "localhost.",
            "a.corp.test",
            "corp.test",
            "127.0.0.1",
            "a.star.test",
            "[::1]",
            "[fe80::1]",
            "dot.test",
        ] {
            assert!(list.covers(&at(host, 443)), "{host}");
        }
        for host in ["notlocalhost", "xcorp.test", "1.127.0.0.1x", "example.org", "[::2]", "port.test"] {
            assert!(!list.covers(&at(host, 443)), "{host}");
        }
        assert!(list.covers(&at("a.port.test", 8080)));
        assert!(!NoProxy::parse("0.0.1,.0.0.1").covers(&at("127.0.0.1", 80)), "an address has no domain");
        assert!(NoProxy::parse("[::1]:80").covers(&at("[::1]", 80)));
        assert!(NoProxy::parse("*").covers(&at("any", 80)));
        for nothing in ["", ",", ".", ":80"] {
            assert!(!NoProxy::parse(nothing).covers(&at("any", 80)), "{nothing:?}");
        }
    }
}
