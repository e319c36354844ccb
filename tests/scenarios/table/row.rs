//! One row: what happens, and what the host sees of it.

use std::sync::Arc;

use helio::abi::*;
use serde_json::{Value, json};

use super::stage::{Nobody, Stage, Way};
use crate::support::c::{Client, Handle, merged};
use crate::support::chat::{ASK, ASK_STREAM};
use crate::support::conn::Conn;
use crate::support::outcome::Outcome;
use crate::support::sync::Gate;

/// A place and all that was tried there.
pub struct Place {
    pub heading: &'static str,
    pub about: &'static str,
    pub rows: Vec<Row>,
}

/// How a fault is played, once for each attempt that it strikes.
pub type Strike = Arc<dyn Fn(&mut Conn, &Cue) + Send + Sync>;

/// The moment in which a fault is played.
pub struct Cue {
    /// Which of the tries it is, from 0.
    pub number: usize,
    /// To be opened where the host is to act.
    pub gate: Arc<Gate>,
}

/// What a host does by itself, and what came of it.
pub type Acts = Box<dyn Fn(&Client, &Stage) -> Outcome + Send + Sync>;

/// What the host does meanwhile.
pub enum Host {
    /// It asks once and waits.
    Waits,
    /// It ends the call from another thread, as soon as the cue is given.
    Stops(fn(Handle, u64) -> helio_status),
    /// Its callback returns non-zero at the first event of this kind.
    Returns(helio_event_kind),
    /// Anything else; what it gives back is judged.
    Acts(Acts),
}

/// What of the answer the host is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// DONE alone, without data.
    Nothing,
    /// Chunks were shown, but there is no choice to keep.
    Shown,
    /// What had come: a completion with this text, unfinished.
    Part(&'static str),
    /// The same with its finish.
    Finished(&'static str),
}

/// Whether the library tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    No,
    /// And succeeds, once the fault is over.
    Yes,
    /// As often as allowed: this fault does not pass in a test.
    InVain,
    /// By the operating system's word, which differs between machines.
    IfTemporary,
    /// Once, on a new connection, and unseen.
    Replayed,
    /// The replay fails in the same way, and then it counts.
    AfterReplay,
}

/// One row of the table.
pub struct Row {
    pub happens: &'static str,
    pub way: Way,
    pub strike: Strike,
    /// How many tries the fault strikes; without a number one, or all where nothing is to be tried again.
    pub strikes: Option<usize>,
    /// The fault waits for the second request of a connection.
    pub is_reused: bool,
    pub body: Arc<[u8]>,
    pub config: Value,
    pub host: Host,

    pub status: helio_status,
    pub http_status: i32,
    pub kept: Kept,
    pub code: Option<&'static str>,
    pub says: &'static [&'static str],
    pub again: Again,
    /// How long the server wants to be left alone, where that is to be seen.
    pub delay_ms: Option<i64>,
    /// Nothing became of the call: no event, no report.
    pub is_refused: bool,
    /// Where it is not one: the attempts of the report, and what the server saw of them.
    pub attempts: Option<usize>,
    pub tries: Option<usize>,
    /// Nothing to see without retries.
    pub needs_retries: bool,
}

fn row(happens: &'static str, way: Way, strike: Strike) -> Row {
    Row {
        happens,
        way,
        strike,
        strikes: None,
        is_reused: false,
        body: ASK.as_bytes().into(),
        config: json!({}),
        host: Host::Waits,
        status: HELIO_OK,
        http_status: 200,
        kept: Kept::Finished("Hello"),
        code: None,
        says: &[],
        again: Again::No,
        delay_ms: None,
        is_refused: false,
        attempts: None,
        tries: None,
        needs_retries: false,
    }
}

fn over(happens: &'static str, way: Way, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    row(happens, way, Arc::new(move |conn, _| strike(conn)))
}

/// The server gives this to a request for a whole answer.
pub fn whole(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Http, strike)
}

/// The server gives this to a request for a stream.
pub fn stream(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Http, strike).asking(ASK_STREAM)
}

/// The same over TLS.
pub fn secure_stream(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Https, strike).asking(ASK_STREAM)
}

/// The server does this with a connection, before it has read a byte.
pub fn connection(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Tcp, strike)
}

/// The same, where the client speaks TLS.
pub fn handshake(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Handshake, strike)
}

/// The proxy says this to a CONNECT.
pub fn proxy(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Connect, strike)
}

/// A proxy that is spoken with within TLS does this, before it has read a byte.
pub fn secure_proxy(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::SecureProxy, strike)
}

/// The target says this through the proxy's tunnel.
pub fn tunnel(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Tunnel, strike)
}

/// The SOCKS proxy does this, before it has read a byte.
pub fn socks(happens: &'static str, strike: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    over(happens, Way::Socks, strike)
}

/// There is no server at all.
pub fn nobody(happens: &'static str, nobody: fn() -> Nobody) -> Row {
    over(happens, Way::Nobody(nobody), |_| {})
}

/// A call that the library itself refuses.
pub fn refused(happens: &'static str, acts: impl Fn(&Client, &Stage) -> Outcome + Send + Sync + 'static) -> Row {
    let mut row = over(happens, Way::Http, |conn| conn.stall()).acting(acts);
    (row.is_refused, row.tries) = (true, Some(0));
    row
}

impl Row {
    // ---- what happens ----

    /// The request that is sent.
    pub fn asking(mut self, body: impl AsRef<[u8]>) -> Row {
        self.body = body.as_ref().into();
        self
    }

    /// Something else in the client's config.
    pub fn config(mut self, patch: Value) -> Row {
        self.config = merged(self.config, &patch);
        self
    }

    /// On a connection that has served a request before.
    pub fn reused(mut self) -> Row {
        (self.is_reused, self.strikes) = (true, Some(1));
        self
    }

    /// So many tries are struck, however often it is tried.
    pub fn strikes(mut self, count: usize) -> Row {
        self.strikes = Some(count);
        self
    }

    /// Where the fault must know the moment.
    pub fn on_cue(mut self, strike: impl Fn(&mut Conn, &Cue) + Send + Sync + 'static) -> Row {
        self.strike = Arc::new(strike);
        self
    }

    /// The host does this by itself.
    pub fn acting(mut self, acts: impl Fn(&Client, &Stage) -> Outcome + Send + Sync + 'static) -> Row {
        self.host = Host::Acts(Box::new(acts));
        self
    }

    /// The host ends the call from another thread.
    pub fn stopped_by(mut self, stop: fn(Handle, u64) -> helio_status) -> Row {
        self.host = Host::Stops(stop);
        self
    }

    /// The host's callback returns non-zero.
    pub fn returning_at(mut self, kind: helio_event_kind) -> Row {
        self.host = Host::Returns(kind);
        self
    }

    /// Without retries there is nothing to see.
    pub fn with_retries_only(mut self) -> Row {
        self.needs_retries = true;
        self
    }

    // ---- what the host sees ----

    /// This status, with the HTTP status that the server sent, or 0.
    pub fn fails(mut self, status: helio_status, http_status: i32) -> Row {
        (self.status, self.http_status, self.kept) = (status, http_status, Kept::Nothing);
        self
    }

    /// A deadline, by its name.
    pub fn times_out(mut self, deadline: &'static str, http_status: i32) -> Row {
        self.code = Some(deadline);
        self.fails(HELIO_ERR_TIMEOUT, http_status)
    }

    /// What had come is kept: this text.
    pub fn keeps(mut self, text: &'static str) -> Row {
        self.kept = Kept::Part(text);
        self
    }

    /// The same, with its finish.
    pub fn keeps_finished(mut self, text: &'static str) -> Row {
        self.kept = Kept::Finished(text);
        self
    }

    /// Chunks were seen, but they hold no choice.
    pub fn keeps_no_choice(mut self) -> Row {
        self.kept = Kept::Shown;
        self
    }

    /// `helio_error_code`.
    pub fn code(mut self, code: &'static str) -> Row {
        self.code = Some(code);
        self
    }

    /// The message says all of these.
    pub fn says(mut self, words: &'static [&'static str]) -> Row {
        self.says = words;
        self
    }

    /// Another attempt is made, and succeeds.
    pub fn again(mut self) -> Row {
        self.again = Again::Yes;
        self
    }

    /// Another attempt is made, perhaps in vain or unseen.
    pub fn tried_again(mut self, again: Again) -> Row {
        self.again = again;
        self
    }

    /// The server's wish: obeyed before another attempt, or told to the host.
    pub fn after(mut self, delay_ms: i64) -> Row {
        self.delay_ms = Some(delay_ms);
        self
    }

    /// So many attempts are in the report.
    pub fn attempts(mut self, count: usize) -> Row {
        self.attempts = Some(count);
        self
    }

    /// So many tries reach the server.
    pub fn tries(mut self, count: usize) -> Row {
        self.tries = Some(count);
        self
    }
}
