//! The wire: how bytes travel. ureq does all of HTTP; the sockets, names, TLS and proxies below it are ours, so
//! that every phase can be cancelled at once and a stream costs a few kilobytes.
//!
//! One exchange has a [`Slot`]: through it the call stops the exchange, and learns afterwards what happened.
//! The wire knows nothing of chat completions, retries or hosts.

mod buffers;
mod carrier;
mod connect;
mod interim;
mod lane;
mod names;
mod proxy;
mod slot;
mod socket;
mod stop;
#[cfg(test)]
mod tests;
mod tls;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use ureq::http;

pub use proxy::{Proxy, ProxyError, ProxyScheme, Target, check_port};
pub use slot::{End, Slot, Step, Times};
pub use socket::Socket;
pub use stop::{Deadline, Reason, Stop};
pub use tls::{Roots, TlsFailure, TlsOptions, TlsSetup};
pub use watch::{Readable, Watch};

use crate::status::Status;

/// Which connections are kept that nobody uses.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// So many, at most.
    pub most: usize,
    /// For so long since they were used last, at most.
    pub age: Duration,
}

impl Default for Idle {
    /// Edges close idle connections after 60 s or more.
    fn default() -> Self {
        Idle { most: 256, age: Duration::from_secs(50) }
    }
}

/// What a client's wire is made of.
pub struct WireOptions {
    /// TLS, ready to use.
    pub tls: TlsSetup,
    /// The way to all targets, if it is not direct.
    pub proxy: Option<Proxy>,
    /// The internal runtime: connecting and look-ups wait on it.
    pub runtime: tokio::runtime::Handle,
    /// The largest response head, in bytes.
    pub max_head_bytes: u64,
    /// Which connections are kept that nobody uses.
    pub idle: Idle,
    /// `User-Agent` and `Accept-Encoding` of requests that have none.
    pub common_headers: [&'static str; 2],
}

/// One client's connections.
pub struct Wire {
    agent: ureq::Agent,
    connector: connect::LaneConnector,
    max_head_bytes: u64,
}

/// One request, ready to be sent.
pub struct Outgoing<'a> {
    /// Where to.
    pub uri: http::Uri,
    /// All headers but `Host` and `Content-Length`.
    pub headers: http::HeaderMap,
    /// The bytes, sent as they are.
    pub body: &'a [u8],
    /// The largest response head for this request, in bytes.
    pub max_head_bytes: u64,
    /// Never take a connection from the pool.
    pub fresh: bool,
}

/// The head of an answer, and its body still to be read.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers, decoded where the body is.
    pub headers: http::HeaderMap,
    /// The body, framing and gzip removed.
    pub body: ureq::BodyReader<'static>,
    /// The connection it comes on, if it is still there.
    pub socket: Option<Arc<Socket>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct WireError {
    /// The outcome for the host.
    pub status: Status,
    /// A sentence.
    pub message: String,
    /// Whether the contract's table allows another attempt.
    pub retryable: bool,
    /// The connection came from the pool and died before a byte of the answer: one replay is free.
    pub stale: bool,
}

impl WireError {
    fn new(status: Status, message: impl Into<String>) -> Self {
        WireError { status, message: message.into(), retryable: false, stale: false }
    }

    fn retryable(mut self, yes: bool) -> Self {
        self.retryable = yes;
        self
    }
}

impl Wire {
    /// A wire with no connection yet.
    pub fn new(options: WireOptions) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .max_idle_connections(options.idle.most)
            .max_idle_connections_per_host(options.idle.most)
            .max_idle_age(options.idle.age)
            .max_response_header_size(usize::try_from(options.max_head_bytes).unwrap_or(usize::MAX))
            .user_agent(options.common_headers[0])
            .accept_encoding(options.common_headers[1])
            .build();
        let max_head_bytes = options.max_head_bytes;
        let connector = connect::LaneConnector::new(options);
        let agent = ureq::Agent::with_parts(config, connector.clone(), names::LookUpLater);
        Wire { agent, connector, max_head_bytes }
    }

    /// Open a connection ahead, on this thread, and keep it for a request.
    pub fn prewarm(&self, uri: &http::Uri, slot: &Arc<Slot>) -> Result<(), WireError> {
        self.connector.prewarm(uri, slot)
    }

    /// Connections that are open, and those of them that nobody uses.
    pub fn connections(&self) -> (usize, usize) {
        self.connector.connections()
    }

    /// Name look-ups that the system does not end and nobody waits for.
    pub fn stuck_lookups(&self) -> usize {
        self.connector.stuck_lookups()
    }

    /// Send a request and wait for the head of its answer, on this thread.
    pub fn send(&self, outgoing: Outgoing<'_>, slot: &Arc<Slot>) -> Result<Answer, WireError> {
        let mut request = http::Request::new(outgoing.body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = outgoing.uri;
        *request.headers_mut() = outgoing.headers;
        if outgoing.fresh || outgoing.max_head_bytes != self.max_head_bytes {
            let limit = usize::try_from(outgoing.max_head_bytes).unwrap_or(usize::MAX);
            let mut config = self.agent.configure_request(request).max_response_header_size(limit);
            if outgoing.fresh {
                slot.want_fresh();
                // Idle connections of this host are put away: the one before was dead, and they are as old.
                config = config.max_idle_age(Duration::ZERO);
            }
            request = config.build();
        }
        slot.limit_heads(outgoing.max_head_bytes);
        let result = slot::with_current(slot, || self.agent.run(request));
        match result {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                slot.head_arrived();
                let socket = slot.stop().socket();
                Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.into_reader(), socket })
            }
            Err(error) => Err(explain(error, slot, outgoing.max_head_bytes)),
        }
    }
}

/// ureq's error as one of the contract.
fn explain(error: ureq::Error, slot: &Slot, max_head_bytes: u64) -> WireError {
    if let Some(known) = slot.take_failure() {
        return known;
    }
    let peer = slot.peer();
    match error {
        ureq::Error::LargeResponseHeader(..) => WireError::new(
            Status::TooLarge,
            format!("the response head of {peer} is larger than limits.max_head_bytes ({max_head_bytes}): raise it"),
        ),
        ureq::Error::Protocol(ureq_error) if ureq_error.to_string().contains("too many headers") => WireError::new(
            Status::TooLarge,
            format!("the response head of {peer} has more than 128 fields, which cannot be raised"),
        ),
        ureq::Error::Io(io) => match tls::of_io(&io) {
            Some(tls) => WireError::new(Status::Tls, format!("{peer} ended TLS instead of answering: {tls}")),
            None => WireError {
                status: Status::Network,
                message: format!("{peer} closed the connection before it answered ({io})"),
                retryable: true,
                stale: slot.was_stale(),
            },
        },
        other => WireError::new(Status::Protocol, format!("{peer} did not answer in HTTP/1.1: {other}")),
    }
}
