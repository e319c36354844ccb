//! The commonest scenario: one request, one scripted answer.

use serde_json::{Value, json};

use super::c::{Client, merged};
use super::chat::{ASK, ASK_STREAM, completion};
use super::conn::Conn;
use super::outcome::Outcome;
use super::server::Server;

/// Asks for a stream, once, and lets `script` answer.
pub fn ask_stream(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    ask_with(json!({}), ASK_STREAM, script)
}

/// Asks for a whole answer, once, and lets `script` answer.
pub fn ask_whole(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    ask_with(json!({}), ASK, script)
}

/// Asks once, with something of its own in the config, and lets `script` answer. Nothing is retried.
pub fn ask_with(config: Value, body: &str, script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Outcome {
    let server = Server::new(move |request, conn| {
        assert_eq!(request.number, 0, "only one request was expected");
        script(conn);
    });
    let config = merged(json!({"retry": {"max_retries": 0}}), &config);
    Client::with(&server, config).ask(body)
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
