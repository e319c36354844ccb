//! The scripted server itself, asked by plain sockets: what it promises the other scenarios.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::black_hole::BlackHole;
use crate::support::certs::{self, Leaf};
use crate::support::conn::Framing;
use crate::support::server::Server;

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

fn post(stream: &mut impl Write, body: &str) {
    let length = body.len();
    let request =
        format!("POST /v1/x HTTP/1.1\r\nHost: h\r\nX-Twice: 1\r\nx-twice: 2\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
}

fn read_all(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn the_server_keeps_what_it_was_sent_and_the_connection_open() {
    let server = Server::new(|request, conn| conn.json(200, format!("{{\"place\":{}}}", request.place)));
    let mut stream = connect(&server);
    for place in 0..2 {
        post(&mut stream, "{\"a\":1}");
        let mut answer = [0; 256];
        let count = stream.read(&mut answer).unwrap();
        assert!(String::from_utf8_lossy(&answer[..count]).ends_with(&format!("\r\n\r\n{{\"place\":{place}}}")));
    }
    let requests = server.requests();
    assert_eq!((requests.len(), server.connections()), (2, 1));
    assert_eq!((requests[1].number, requests[1].connection, requests[1].place), (1, 0, 1));
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/v1/x"));
    assert_eq!(requests[0].all("X-TWICE"), ["1", "2"]);
    assert_eq!((requests[0].text(), requests[0].segments, requests[1].segments), ("{\"a\":1}", 1, 2));
}

#[test]
fn pieces_are_read_one_by_one() {
    let server = Server::new(|_, conn| {
        conn.send_split("abcdef", &[1, 4]);
        conn.wait_until_read();
        conn.in_pieces(1);
        conn.send("xy");
        conn.cut();
    });
    let mut stream = connect(&server);
    post(&mut stream, "");
    let mut pieces = Vec::new();
    let mut buffer = [0; 64];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        pieces.push(String::from_utf8_lossy(&buffer[..count]).into_owned());
    }
    assert_eq!(pieces, ["a", "bcd", "ef", "x", "y"]);
}

#[test]
fn every_framing_comes_out_as_named() {
    for (framing, wire) in [
        (Framing::Length(4), "content-length: 4\r\n\r\nabcd"),
        (Framing::Chunked, "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"),
        (Framing::UntilClose, "connection: close\r\n\r\nabcd"),
    ] {
        let server = Server::new(move |_, conn| {
            conn.head(200, &[("a", "b")], framing);
            conn.body("ab");
            conn.body("cd");
            conn.end();
            conn.cut();
        });
        let mut stream = connect(&server);
        post(&mut stream, "");
        assert_eq!(read_all(&mut stream), format!("HTTP/1.1 200 Scripted\r\na: b\r\n{wire}"));
    }
}

#[test]
fn a_reset_is_a_reset_and_a_cut_is_an_end() {
    let server = Server::new(|request, conn| if request.number == 0 { conn.reset() } else { conn.cut() });
    let mut stream = connect(&server);
    post(&mut stream, "");
    let error = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut stream = connect(&server);
    post(&mut stream, "");
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_script_that_fails_fails_the_test() {
    let server = Server::new(|_, _| panic!("as it must"));
    let mut stream = connect(&server);
    post(&mut stream, "");
    assert_eq!(read_all(&mut stream), "");
    let told = catch_unwind(AssertUnwindSafe(|| drop(server))).unwrap_err();
    assert!(told.downcast_ref::<String>().unwrap().contains("as it must"));
}

#[test]
fn a_stall_ends_when_the_client_leaves() {
    let server = Server::new(|_, conn| conn.stall());
    for _ in 0..2 {
        let mut stream = connect(&server);
        post(&mut stream, "");
        server.wait_for_requests(1);
        drop(stream);
    }
}

#[test]
fn a_client_of_ours_accepts_only_the_good_certificate() {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certs::ours().pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let asked = |tls| {
        let server = Server::secure(tls, |_, conn| {
            conn.in_pieces(3);
            conn.head(200, &[], Framing::UntilClose);
            conn.body("over TLS");
            conn.end();
        });
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let session = ClientConnection::new(config.clone(), name).unwrap();
        let mut stream = StreamOwned::new(session, connect(&server));
        let request = b"POST / HTTP/1.1\r\nhost: h\r\n\r\n";
        stream.write_all(request).and_then(|()| {
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text)
        })
    };
    assert!(asked(certs::ours().server(Leaf::Good)).unwrap().ends_with("\r\n\r\nover TLS"));
    for leaf in [Leaf::WrongName, Leaf::Expired, Leaf::NotYetValid] {
        let error = asked(certs::ours().server(leaf)).unwrap_err();
        assert!(error.to_string().contains("certificate"), "{leaf:?}: {error}");
    }
    assert!(asked(certs::foreign().server(Leaf::Good)).is_err());
}

#[test]
fn nothing_comes_out_of_a_black_hole() {
    let hole = BlackHole::open();
    let address = hole.url().replace("http://", "").replace("/v1", "").parse().unwrap();
    let error = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
