//! How an answer is packed: chunks and gzip.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use helio::abi::*;

use super::row::{Row, stream};
use crate::support::chat::{DONE, finish, hello, say};
use crate::support::conn::{Conn, Framing};

/// `Hello` in a chunk, and then these bytes.
fn chunks(happens: &'static str, bytes: &'static str) -> Row {
    let row = stream(happens, move |conn| {
        conn.stream_head();
        conn.body(say("Hello"));
        conn.send(bytes);
        conn.cut();
    });
    row.fails(HELIO_ERR_PROTOCOL, 200).keeps("Hello").says(&["chunked"])
}

/// A stream with this `Content-Encoding`.
fn coded(happens: &'static str, coding: &'static str, send: impl Fn(&mut Conn) + Send + Sync + 'static) -> Row {
    stream(happens, move |conn| {
        conn.head(200, &[("content-type", "text/event-stream"), ("content-encoding", coding)], Framing::Chunked);
        send(conn);
    })
}

fn packed(text: &str) -> GzEncoder<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("a buffer");
    encoder.flush().expect("a buffer");
    encoder
}

/// What has been packed so far, without its end.
fn beginning(text: &str) -> Vec<u8> {
    packed(text).get_ref().clone()
}

fn gzip(text: &str) -> Vec<u8> {
    packed(text).finish().expect("a buffer")
}

faults!(
    "Framing and packing",
    "HTTP cuts an answer into chunks, and gzip makes it smaller.",
    size_no_number = chunks("a chunk's size is no number", "zz\r\n"),
    size_negative = chunks("a chunk's size is negative", "-1\r\nx\r\n"),
    size_missing = chunks("a chunk's size is missing", "\r\n\r\n"),
    size_too_small = chunks("a chunk is longer than its size", "5\r\nabcdefgh\r\n"),
    extension = stream("chunks have extensions, and a trailer follows", |conn| {
        conn.stream_head();
        let text = hello().concat();
        conn.send(format!("{:x};name=value\r\n{text}\r\n0\r\nx-trailer: 1\r\n\r\n", text.len()));
    }),
    gzip_broken = coded("the gzip data is wrong", "gzip", |conn| {
        conn.body(beginning(&say("Hello")));
        conn.wait_until_read();
        conn.body([0xff; 64]);
        conn.end();
    })
    .fails(HELIO_ERR_PROTOCOL, 200)
    .keeps("Hello")
    .says(&["gzip"]),
    gzip_none = coded("it is called gzip, but is not packed", "gzip", |conn| {
        conn.body(hello().concat());
        conn.end();
    })
    .fails(HELIO_ERR_PROTOCOL, 200)
    .says(&["gzip"]),
    gzip_cut = coded("the connection closes within the gzip data", "gzip", |conn| {
        conn.body(beginning(&say("Hello")));
        conn.cut();
    })
    .fails(HELIO_ERR_TRUNCATED, 200)
    .keeps("Hello"),
    gzip_unfinished = coded("the body ends in an orderly way, the gzip data does not", "gzip", |conn| {
        conn.body(beginning(&say("Hello")));
        conn.end();
    })
    .fails(HELIO_ERR_TRUNCATED, 200)
    .keeps("Hello"),
    gzip_without_its_end = coded("a finished answer lacks the end of its gzip data", "gzip", |conn| {
        conn.body(beginning(&(say("Hello") + &finish("stop") + DONE)));
        conn.end();
    }),
    gzip_empty = coded("the gzip data holds nothing", "gzip", |conn| {
        conn.body(gzip(""));
        conn.end();
    })
    .fails(HELIO_ERR_PROTOCOL, 200),
    brotli = coded("it is packed in a way that was not asked for", "br", |conn| {
        conn.body(b"\x0b\x02\x80data\x03");
        conn.end();
    })
    .fails(HELIO_ERR_PROTOCOL, 200)
    .says(&["Content-Encoding", "br"]),
);
