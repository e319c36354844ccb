//! Heads that cannot begin an answer.

use helio::abi::*;

use super::row::{Row, stream, whole};
use crate::support::chat::{completion, hello};
use crate::support::conn::{Framing, chunk, head};

/// These bytes come, and the connection ends.
fn head_of(happens: &'static str, bytes: &'static str) -> Row {
    let row = whole(happens, move |conn| {
        conn.send(bytes);
        conn.cut();
    });
    row.fails(HELIO_ERR_PROTOCOL, 0)
}

/// A redirect with this status.
fn redirect(happens: &'static str, http_status: u16) -> Row {
    let row =
        whole(happens, move |conn| conn.answer(http_status, &[("location", "https://elsewhere.example/v1")], "moved"));
    row.fails(HELIO_ERR_PROTOCOL, http_status.into()).says(&["https://elsewhere.example/v1", "base_url"])
}

faults!(
    "The head",
    "A head comes, but not that of an answer. Refusals (4xx, 5xx) have tables of their own.",
    not_http = head_of("the greeting of an SSH server", "SSH-2.0-OpenSSH_9.2\r\n").says(&["HTTP"]),
    page = head_of("an HTML page without a head", "<html>hello</html>\r\n\r\n"),
    tls = head_of("a TLS alert: the port speaks TLS, `base_url` does not", "\x15\x03\x01\x00\x02\x02\x46"),
    http_2 = head_of("the first frame of HTTP/2", "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0d\0\x04\0\0\0\0\r\n\r\n"),
    status_no_number = head_of("a status that is no number", "HTTP/1.1 abc OK\r\n\r\n"),
    line_without_colon = head_of("a header line without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n{}"),
    name_with_space = head_of("a header name with a space in it", "HTTP/1.1 200 OK\r\nno name: 1\r\n\r\n{}"),
    nul = head_of("a header value with a NUL in it", "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n{}"),
    length_no_number =
        head_of("a `Content-Length` that is no number", "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}"),
    length_negative = head_of("a negative `Content-Length`", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"),
    two_lengths =
        head_of("two lengths that differ", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}\n"),
    folded = head_of("a header line that goes on in the next", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n{}"),
    version_2 = head_of("HTTP/2.0 in the first line", "HTTP/2.0 200 OK\r\n\r\n{}"),
    status_600 = head_of("a status that HTTP does not have: 600", "HTTP/1.1 600 Odd\r\n\r\n")
        .fails(HELIO_ERR_PROTOCOL, 600)
        .says(&["600"]),
    status_199 = head_of("an informational status that nobody knows: 199", "HTTP/1.1 199 Odd\r\n\r\n").says(&["199"]),
    status_204 = head_of("success without content: 204", "HTTP/1.1 204 No Content\r\n\r\n")
        .fails(HELIO_ERR_PROTOCOL, 204)
        .says(&["204"]),
    status_205 = whole("success without content: 205", |conn| conn.answer(205, &[], ""))
        .fails(HELIO_ERR_PROTOCOL, 205)
        .says(&["205"]),
    status_300 = redirect("a redirect: 300", 300),
    status_301 = redirect("a redirect: 301", 301),
    status_302 = redirect("a redirect: 302", 302),
    status_303 = redirect("a redirect: 303", 303),
    status_304 = head_of("304, as if we had asked from a cache", "HTTP/1.1 304 Not Modified\r\n\r\n")
        .fails(HELIO_ERR_PROTOCOL, 304)
        .says(&["304"]),
    status_307 = redirect("a redirect: 307", 307),
    status_308 = redirect("a redirect: 308", 308),
    redirect_nowhere = whole("a redirect that does not say where to", |conn| conn.answer(302, &[], ""))
        .fails(HELIO_ERR_PROTOCOL, 302)
        .says(&["302"]),
    redirect_with_secret = whole("a redirect whose target repeats a password", |conn| {
        conn.answer(302, &[("location", "https://someone:hunter2@elsewhere.example/")], "");
    })
    .fails(HELIO_ERR_PROTOCOL, 302)
    .says(&["https://elsewhere.example/"]),
    odd_bytes = whole("a header value that is no ASCII", |conn| {
        let body = completion("Hello");
        conn.send(b"HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\n");
        conn.send(format!("content-length: {}\r\n\r\n{body}", body.len()));
    }),
    line_feeds = whole("lines that end in LF alone", |conn| {
        let body = completion("Hello");
        conn.send(format!("HTTP/1.1 200 OK\ncontent-length: {}\n\n{body}", body.len()));
    }),
    both_framings = whole("a length beside chunks: the chunks count", |conn| {
        conn.send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n");
        conn.send(chunk(completion("Hello").as_bytes()));
        conn.send("0\r\n\r\n");
        conn.cut();
    }),
    http_1_0 = whole("an answer in HTTP/1.0, without a length", |conn| {
        conn.send("HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n");
        conn.send(completion("Hello"));
        conn.cut();
    }),
    hundred_fields = stream("a head of a hundred fields", |conn| {
        let names: Vec<_> = (0..100).map(|n| format!("x-{n}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        conn.send(head(200, &headers, Framing::UntilClose));
        conn.send(hello().concat());
        conn.cut();
    }),
);
