//! The commonest scenario: one request, one scripted answer.

use std::sync::Arc;

use helio::abi::*;
use serde_json::{Value, json};

use super::c::{Client, merged, status_name};
use super::chat::{ASK, ASK_STREAM, completion};
use super::conn::Conn;
use super::outcome::Outcome;
use super::request::Request;
use super::server::Server;

/// Asks for a stream and lets `script` answer.
pub fn ask_stream(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    ask_with(json!({}), ASK_STREAM, script)
}

/// Asks for a whole answer and lets `script` answer.
pub fn ask_whole(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    ask_with(json!({}), ASK, script)
}

/// Asks with something of its own in the config, and lets `script` answer: first without retries, which gives the
/// outcome, then with them, which must end the same way and ask again exactly where the contract allows it.
#[track_caller]
pub fn ask_with(config: Value, body: &str, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let script = Arc::new(script);
    let (once, requests) = ask_at_most(1, &config, body, script.clone());
    assert_eq!(requests, 1, "only one request was expected");
    let again = if may_be_asked_again(&once) { 3 } else { 1 };
    let (retried, requests) = ask_at_most(3, &config, body, script);
    assert_eq!(
        (status_name(once.status), again, again),
        (status_name(retried.status), requests, retried.attempts().len()),
        "with retries on: the outcome, the requests, the attempts of the report"
    );
    once
}

fn ask_at_most(
    attempts: usize,
    config: &Value,
    body: &str,
    script: Arc<impl Fn(&mut Conn) + Send + Sync + 'static>,
) -> (Outcome, usize) {
    let server = Server::new(move |_, conn| script(conn));
    let config = merged(json!({"retry": {"max_retries": attempts - 1}}), config);
    let outcome = Client::with(&server, config).ask(body);
    (outcome, server.requests().len())
}

/// What the contract's table says of an outcome with which the server can be asked again: only before it has begun to
/// answer.
fn may_be_asked_again(outcome: &Outcome) -> bool {
    let has_begun = outcome.events.iter().any(|event| !event.is_done());
    let is_passing = [HELIO_ERR_NETWORK, HELIO_ERR_RATE_LIMITED, HELIO_ERR_OVERLOADED, HELIO_ERR_SERVER];
    !has_begun && is_passing.contains(&outcome.status)
}

/// Streams these events to one request.
pub fn ask_events<T: AsRef<[u8]> + Send + Sync + 'static>(events: Vec<T>) -> Outcome {
    ask_stream(move |conn| conn.stream(&events))
}

/// A server that says `Hello` to every request, in JSON.
pub fn answering() -> Server {
    Server::new(|_, conn| conn.json(200, completion("Hello")))
}

/// A server that nobody may talk to, and its client.
pub fn untouched() -> (Server, Client) {
    let server = Server::raw(|_| panic!("nothing should have been sent"));
    let client = Client::of(&server);
    (server, client)
}

/// What goes out for this config and these overrides.
#[track_caller]
pub fn sent(config: Value, overrides: Value) -> Request {
    let server = answering();
    Client::with(&server, config).call(ASK).overrides(&overrides).run().ok();
    server.only_request()
}
