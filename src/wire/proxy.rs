//! Proxies: HTTP, in the clear or within TLS, always by CONNECT; SOCKS5 with names looked up here or there. All are
//! spoken on the fresh connection before the target is, so that what comes through a proxy is a lane like any other.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use ureq::http::Uri;
use ureq::http::uri::Authority;

/// A proxy's answer to CONNECT is short; more is nonsense.
const HEAD_MOST: usize = 16 * 1024;

/// A host by name or address, and a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// As in a URL: IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Target {
    /// Where a URL leads.
    pub fn of(uri: &Uri) -> Self {
        let authority = uri.authority();
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        Target {
            host: authority.map_or("", |authority| authority.host()).to_owned(),
            port: authority.and_then(|authority| authority.port_u16()).unwrap_or(default_port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Which protocol a proxy speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProxyScheme {
    /// HTTP, always by CONNECT.
    Http,
    /// The same within TLS.
    Https,
    /// SOCKS5, the name looked up here.
    Socks5,
    /// SOCKS5, the name looked up there.
    Socks5h,
}

/// One proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    scheme: ProxyScheme,
    address: Target,
    login: Option<(String, String)>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.scheme, self.address)
    }
}

/// A proxy's URL cannot be used.
#[derive(Debug)]
pub struct ProxyError {
    /// Goes on after its name.
    pub why: String,
    /// It is right, but not for this version.
    pub is_unsupported: bool,
}

/// Whether a port that is given is one.
pub fn check_port(authority: &Authority) -> Result<(), &'static str> {
    let given =
        authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']') && !port.contains('@'));
    if given && authority.port_u16().is_none_or(|port| port == 0) { Err("has a port that is none") } else { Ok(()) }
}

/// Why there is no tunnel.
pub(super) struct TunnelError {
    /// Goes on after "the proxy host:port".
    pub why: String,
    pub retryable: bool,
    /// Another address of the same target may do.
    pub is_of_the_address: bool,
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof => "closed the connection instead of answering: is it another kind of proxy?",
            _ => &format!("broke the connection off ({error})"),
        };
        let why = why.to_owned();
        TunnelError { why, retryable: false, is_of_the_address: false }
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, TunnelError> {
    Err(TunnelError { why: why.into(), retryable: false, is_of_the_address: false })
}

impl Proxy {
    /// A proxy by its URL. The error never repeats the URL: it may hold a password.
    pub fn parse(url: &str) -> Result<Self, ProxyError> {
        let mistake = |why: &str| ProxyError { why: why.to_owned(), is_unsupported: false };
        let uri: Uri = url.parse().map_err(|_| mistake("is no URL like http://host:port"))?;
        let (scheme, default_port) = match uri.scheme_str() {
            Some("http") => (ProxyScheme::Http, 80),
            Some("https") => (ProxyScheme::Https, 443),
            Some("socks5") => (ProxyScheme::Socks5, 1080),
            Some("socks5h") => (ProxyScheme::Socks5h, 1080),
            Some(other) => {
                let why = format!("has the scheme {other:?}, but only http, https, socks5 and socks5h are built in");
                return Err(ProxyError { why, is_unsupported: true });
            }
            None => return Err(mistake("has no scheme: write http://host:port")),
        };
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or_else(|| mistake("has no host"))?;
        check_port(authority).map_err(mistake)?;
        let address = Target { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(default_port) };
        let login = authority.as_str().rsplit_once('@').map(|(info, _)| {
            let (user, password) = info.split_once(':').unwrap_or((info, ""));
            (percent_decoded(user), percent_decoded(password))
        });
        Ok(Proxy { scheme, address, login })
    }

    /// What must never be read anywhere: the password, and what carries it.
    pub fn secrets(&self) -> Vec<String> {
        let Some((user, password)) = &self.login else {
            return Vec::new();
        };
        // A name without a password is a token.
        let word = if password.is_empty() { user } else { password };
        vec![word.clone(), base64(format!("{user}:{password}").as_bytes())]
    }

    pub(super) fn address(&self) -> &Target {
        &self.address
    }

    pub(super) fn looks_names_up_here(&self) -> bool {
        self.scheme == ProxyScheme::Socks5
    }

    pub(super) fn wants_tls(&self) -> bool {
        self.scheme == ProxyScheme::Https
    }

    /// Ask the proxy, over a fresh connection to it, for a tunnel to the target.
    pub(super) fn open_tunnel(
        &self,
        stream: impl Read + Write,
        target: &Target,
        resolved: Option<SocketAddr>,
    ) -> Result<(), TunnelError> {
        match self.scheme {
            ProxyScheme::Http | ProxyScheme::Https => self.connect_method(stream, target),
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => self.socks5(stream, target, resolved),
        }
    }

    /// RFC 9110, 9.3.6.
    fn connect_method(&self, mut stream: impl Read + Write, target: &Target) -> Result<(), TunnelError> {
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some((user, password)) = &self.login {
            let login = base64(format!("{user}:{password}").as_bytes());
            request.push_str(&format!("Proxy-Authorization: Basic {login}\r\n"));
        }
        request.push_str("\r\n");
        say(&mut stream, request.as_bytes())?;
        match read_status(&mut stream)? {
            Some(200..=299) => Ok(()),
            // Some answer 401 to a wrong password.
            Some(code @ (401 | 407)) => refused(format!(
                "wants another user name and password ({code}): put the right ones into the proxy's URL"
            )),
            Some(code) => Err(TunnelError {
                why: format!("refused the tunnel to {target} with status {code}"),
                retryable: (502..=504).contains(&code),
                is_of_the_address: false,
            }),
            None => refused("did not answer in HTTP: is it another kind of proxy?"),
        }
    }

    /// RFC 1928 and RFC 1929.
    fn socks5(
        &self,
        mut stream: impl Read + Write,
        target: &Target,
        resolved: Option<SocketAddr>,
    ) -> Result<(), TunnelError> {
        const NO_LOGIN: u8 = 0;
        const PASSWORD: u8 = 2;
        let methods: &[u8] = if self.login.is_some() { &[5, 2, NO_LOGIN, PASSWORD] } else { &[5, 1, NO_LOGIN] };
        say(&mut stream, methods)?;
        let mut choice = [0u8; 2];
        stream.read_exact(&mut choice)?;
        match (choice, &self.login) {
            ([5, NO_LOGIN], _) => {}
            ([5, PASSWORD], Some((user, password))) => {
                let mut login = vec![1u8];
                for part in [user, password] {
                    let Ok(length) = u8::try_from(part.len()) else {
                        return refused("cannot take a user name or password of more than 255 bytes");
                    };
                    login.push(length);
                    login.extend_from_slice(part.as_bytes());
                }
                say(&mut stream, &login)?;
                let mut verdict = [0u8; 2];
                stream.read_exact(&mut verdict)?;
                if verdict[1] != 0 {
                    return refused("does not accept the user name and password of its URL");
                }
            }
            ([5, _], None) => return refused("wants a user name and password: put them into its URL"),
            ([5, _], Some(_)) => return refused("accepts no way to log in that helio knows"),
            _ => return refused("did not answer in SOCKS5: is it another kind of proxy?"),
        }
        say(&mut stream, &socks5_request(target, resolved)?)?;
        let mut head = [0u8; 4];
        stream.read_exact(&mut head)?;
        if head[0] != 5 || head[1] != 0 {
            let why = match head[1] {
                1 => "general failure",
                2 => "not allowed by its rules",
                3 => "network unreachable",
                4 => "host unreachable",
                5 => "connection refused",
                6 => "time to live expired",
                _ => "unknown reason",
            };
            return Err(TunnelError {
                is_of_the_address: matches!(head[1], 1..=8),
                why: format!("refused the tunnel to {target} ({why}, code {})", head[1]),
                retryable: false,
            });
        }
        let mut rest = match head[3] {
            1 => vec![0; 4 + 2],
            4 => vec![0; 16 + 2],
            3 => {
                let mut length = [0u8; 1];
                stream.read_exact(&mut length)?;
                vec![0; usize::from(length[0]) + 2]
            }
            _ => return refused("answered with an address of unknown type"),
        };
        stream.read_exact(&mut rest)?;
        Ok(())
    }
}

fn socks5_request(target: &Target, resolved: Option<SocketAddr>) -> Result<Vec<u8>, TunnelError> {
    let literal = target.host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let mut request = vec![5u8, 1, 0];
    match resolved.map(|address| address.ip()).or(literal) {
        Some(IpAddr::V4(ip)) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Some(IpAddr::V6(ip)) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        None => {
            let Ok(length) = u8::try_from(target.host.len()) else {
                return refused("cannot take a name of more than 255 bytes");
            };
            request.extend_from_slice(&[3, length]);
            request.extend_from_slice(target.host.as_bytes());
        }
    }
    request.extend_from_slice(&target.port.to_be_bytes());
    Ok(request)
}

fn say(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

/// The status of the answer, if it is one, read up to and with the blank line behind it, byte by byte: what follows is
/// already the target's. Interim answers are passed over.
fn read_status(stream: &mut impl Read) -> Result<Option<u16>, TunnelError> {
    let mut head = Vec::new();
    let mut byte = [0u8; 1];
    for _ in 0..HEAD_MOST {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
        if !head.ends_with(b"\n\r\n") && !head.ends_with(b"\n\n") {
            continue;
        }
        let code = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
        let status = code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
        if !matches!(status, Some(100..=199)) {
            return Ok(status);
        }
        head.clear();
    }
    refused("answered with an endless head")
}

fn percent_decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_url_gives_address_and_login() {
        let proxy = Proxy::parse("socks5h://us%65r:p%40ss@proxy.test:1081").unwrap();
        assert_eq!(proxy.address.to_string(), "proxy.test:1081");
        assert_eq!(proxy.login, Some(("user".into(), "p@ss".into())));
        assert_eq!(Proxy::parse("http://proxy.test").unwrap().address.port, 80);
        assert_eq!(Proxy::parse("https://u:secret@p").unwrap().address.port, 443);
        assert!(Proxy::parse("socks4://u:secret@p").unwrap_err().is_unsupported);
        for wrong in ["proxy.test", "nonsense", "http://p:99999", "http://p:", "http://", ""] {
            assert!(!Proxy::parse(wrong).unwrap_err().is_unsupported, "{wrong}");
        }
        assert_eq!(Proxy::parse("http://token@p").unwrap().secrets()[0], "token");
        assert!(!format!("{proxy:?}").contains("ss@"));
    }
}
