//! Answers that do not wait for the whole request: they count, whatever becomes of the sending.

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::c::Client;
use crate::support::certs::{Leaf, ours};
use crate::support::chat::{ASK, completion, hello};
use crate::support::conn::{Conn, Framing, head};
use crate::support::outcome::Outcome;
use crate::support::server::Server;

/// Far more than the sockets hold.
fn large() -> String {
    json!({"messages": [{"role": "user", "content": "x".repeat(20_000_000)}]}).to_string()
}

const TOO_LARGE: &str = "{\"error\":{\"message\":\"The request is too large\"}}";

/// Sends that to a server that has read only its beginning when it does this, over TCP and over TLS.
fn asked(script: impl Fn(&mut Conn) + Send + Sync + Clone + 'static) -> [Outcome; 2] {
    [false, true].map(|is_secure| {
        let script = script.clone();
        let server = Server::raw(move |conn| {
            if is_secure && !conn.secure(&ours().server(Leaf::Good)) {
                return;
            }
            conn.skip(100);
            script(conn);
        });
        let scheme = if is_secure { "https" } else { "http" };
        let config = json!({
            "base_url": format!("{scheme}://127.0.0.1:{}/v1", server.port()),
            "tls": {"ca_pem": ours().pem},
            "retry": {"max_retries": 0},
        });
        Client::with(&server, config).ask(large())
    })
}

fn refused_early(script: impl Fn(&mut Conn) + Send + Sync + Clone + 'static) {
    for outcome in asked(script) {
        let error = outcome.fails(HELIO_ERR_BAD_REQUEST);
        assert_eq!(error.http_status, 413);
        error.says(&["The request is too large"]);
    }
}

/// In parts: the client has taken each before the next is sent.
fn refuse_in_parts(conn: &mut Conn) {
    conn.head(413, &[("content-type", "application/json")], Framing::Length(TOO_LARGE.len()));
    conn.wait_until_read();
    for part in TOO_LARGE.as_bytes().chunks(20) {
        conn.body(part);
        conn.wait_until_read();
    }
}

#[test]
fn an_early_answer_counts_when_the_server_reads_on() {
    refused_early(|conn| {
        conn.json(413, TOO_LARGE);
        conn.stall();
    });
}

#[test]
fn an_early_answer_counts_when_the_server_reads_no_more() {
    refused_early(|conn| {
        conn.json(413, TOO_LARGE);
        conn.stall_unread();
    });
    refused_early(|conn| {
        refuse_in_parts(conn);
        conn.stall_unread();
    });
    for outcome in asked(|conn| {
        conn.stream_head();
        for event in hello() {
            conn.body(event);
            conn.wait_until_read();
        }
        conn.stall_unread();
    }) {
        outcome.ok();
        assert_eq!(outcome.content(), "Hello");
    }
}

#[test]
fn an_early_answer_counts_when_sending_fails_afterwards() {
    // Closing with unread data in the socket resets the connection; the answer was there before.
    refused_early(|conn| {
        conn.json(413, TOO_LARGE);
        conn.cut();
    });
    refused_early(|conn| {
        conn.json(413, TOO_LARGE);
        conn.wait_until_read();
        conn.cut();
    });
}

#[test]
fn interim_answers_during_the_upload_are_none_and_cost_nothing() {
    refused_early(|conn| {
        for _ in 0..100 {
            conn.send("HTTP/1.1 102 Processing\r\n\r\n");
        }
        conn.json(413, TOO_LARGE);
        conn.stall_unread();
    });
    // More than is read at once, in one record of TLS, and nothing behind it.
    refused_early(|conn| {
        let head = head(413, &[("content-type", "application/json")], Framing::Length(TOO_LARGE.len()));
        conn.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(500) + &head + TOO_LARGE);
        conn.stall_unread();
    });
    for outcome in asked(|conn| {
        while !conn.has_left() {
            conn.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(100));
        }
    }) {
        outcome.fails(HELIO_ERR_TOO_LARGE).says(&["interim", "max_head_bytes"]);
    }
    for outcome in asked(|conn| {
        conn.send("HTTP/1.1 104 Strange\r\n\r\n");
        conn.json(413, TOO_LARGE);
        conn.stall_unread();
    }) {
        outcome.fails(HELIO_ERR_PROTOCOL).says(&["104"]);
    }
}

// ---- Expect: 100-continue ----

/// Asks with the header that makes the body wait for a 100, over TCP and over TLS. The server has read the head.
fn expecting(script: impl Fn(&mut Conn) + Send + Sync + Clone + 'static) -> [Outcome; 2] {
    [false, true].map(|is_secure| {
        let script = script.clone();
        let server = Server::raw(move |conn| {
            if is_secure && !conn.secure(&ours().server(Leaf::Good)) {
                return;
            }
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.extend(conn.take(1));
            }
            assert!(String::from_utf8_lossy(&head).to_lowercase().contains("expect: 100-continue\r\n"));
            script(conn);
        });
        let scheme = if is_secure { "https" } else { "http" };
        let config: Value = json!({
            "base_url": format!("{scheme}://127.0.0.1:{}/v1", server.port()),
            "tls": {"ca_pem": ours().pem},
            "headers": {"Expect": "100-continue"},
            "retry": {"max_retries": 0},
        });
        Client::with(&server, config).ask(ASK)
    })
}

fn take_body(conn: &mut Conn) {
    assert_eq!(conn.take(ASK.len()), ASK.as_bytes());
}

#[test]
fn a_body_that_waits_for_a_100_goes_out_with_it() {
    for interim in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\nvia: 1.1 x\r\n\r\n",
    ] {
        for outcome in expecting(move |conn| {
            conn.send(interim);
            take_body(conn);
            conn.json(200, completion("Hello"));
            conn.stall();
        }) {
            outcome.ok();
        }
    }
}

#[test]
fn a_body_that_waits_for_a_100_in_vain_goes_out_without() {
    for outcome in expecting(|conn| {
        take_body(conn);
        conn.json(200, completion("Hello"));
        conn.stall();
    }) {
        outcome.ok();
    }
}

#[test]
fn an_answer_in_the_place_of_a_100_counts() {
    let large_head = |conn: &mut Conn| conn.answer(413, &[("x-large", &"x".repeat(12_000))], TOO_LARGE);
    let scripts: [fn(&mut Conn); 3] = [|conn| conn.json(413, TOO_LARGE), refuse_in_parts, large_head];
    for script in scripts {
        for outcome in expecting(move |conn| {
            script(conn);
            conn.stall_unread();
        }) {
            outcome.fails(HELIO_ERR_BAD_REQUEST).says(&["The request is too large"]);
        }
    }
    for outcome in expecting(Conn::cut) {
        outcome.fails(HELIO_ERR_NETWORK);
    }
    for outcome in expecting(|conn| {
        conn.send("HTTP/1.1 4");
        conn.wait_until_read();
        conn.cut();
    }) {
        outcome.fails(HELIO_ERR_NETWORK);
    }
}
