//! What the hand-over to the reactor stands on: ureq's `BodyReader` survives a `WouldBlock` at every byte, over
//! every framing, plain and with TLS. Nothing of ureq documents it, so this guards it. And what its pool keeps.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::*;

const TEXT: &[u8] = b"data: {\"a\":1}\n\ndata: [DONE]\n\n";

/// The answer in one framing; the head is sent in one piece, the rest byte by byte.
fn answer(framing: &str) -> (String, Vec<u8>) {
    let head = |field: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{field}\r\n\r\n");
    match framing {
        "chunked" => {
            let parts =
                TEXT.chunks(7).map(|part| [format!("{:x};x=y\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
            (head("transfer-encoding: chunked"), parts.chain([b"0\r\n\r\n".to_vec()]).flatten().collect())
        }
        "length" => (head(&format!("content-length: {}", TEXT.len())), TEXT.to_vec()),
        _ => (head("connection: close"), TEXT.to_vec()),
    }
}

fn read_request(stream: &mut impl Read) {
    let (mut seen, mut byte) = (Vec::new(), [0u8; 1]);
    while !seen.ends_with(b"\r\n\r\n{}") {
        stream.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
}

/// Answers one request; each byte of the body waits for a word.
fn serve(mut stream: impl Read + Write, framing: &str, go: mpsc::Receiver<()>) {
    let (head, body) = answer(framing);
    read_request(&mut stream);
    stream.write_all(head.as_bytes()).unwrap();
    stream.flush().unwrap();
    for byte in body {
        go.recv().unwrap();
        stream.write_all(&[byte]).unwrap();
        stream.flush().unwrap();
    }
    let _ = go.recv();
}

fn tls_pair() -> (Arc<ServerConfig>, TlsSetup) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let options = TlsOptions { extra_roots: vec![("ca_pem", made.cert.pem().into_bytes())], ..TlsOptions::default() };
    (Arc::new(server), TlsSetup::new(&options).unwrap())
}

fn wire(runtime: &tokio::runtime::Runtime, tls: TlsSetup, idle: Idle) -> Wire {
    Wire::new(WireOptions {
        tls,
        proxy: None,
        runtime: runtime.handle().clone(),
        max_head_bytes: 1 << 16,
        idle,
        common_headers: ["test", "identity"],
    })
}

fn send(wire: &Wire, uri: &str) -> Answer {
    let slot = Slot::new(Arc::new(Stop::default()), "the test".into(), Box::new(|_| ()));
    let outgoing = Outgoing {
        uri: uri.parse().unwrap(),
        headers: Default::default(),
        body: b"{}",
        max_head_bytes: 1 << 16,
        fresh: false,
    };
    wire.send(outgoing, &slot).unwrap()
}

/// Read the body byte by byte through a `WouldBlock` before each; what came, and how often it would have blocked.
fn read_without_waiting(framing: &'static str, secure: bool) -> (Vec<u8>, usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (server, tls) = tls_pair();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("{}://{}/x", if secure { "https" } else { "http" }, listener.local_addr().unwrap());
    let (go, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        match secure {
            true => serve(rustls::StreamOwned::new(ServerConnection::new(server).unwrap(), stream), framing, wait),
            false => serve(stream, framing, wait),
        }
    });
    let wire = wire(&runtime, tls, Idle::default());
    let mut answer = send(&wire, &uri);
    let socket = answer.socket.clone().expect("the connection lives");
    socket.set_nonblocking(true);
    let (mut came, mut blocked, mut buffer) = (Vec::new(), 0, [0u8; 64]);
    loop {
        match answer.body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => came.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                blocked += 1;
                // The next byte, or, where only closing ends the body, the end.
                if go.send(()).is_ok() {
                    assert!(socket.wait_readable(10_000), "{framing}: nothing came");
                    socket.set_drained(false); // as who watches it does
                }
            }
            Err(error) => panic!("{framing}: {error} after {:?}", String::from_utf8_lossy(&came)),
        }
    }
    drop(go);
    thread.join().unwrap();
    (came, blocked)
}

#[test]
fn a_body_survives_a_would_block_before_each_of_its_bytes() {
    for secure in [false, true] {
        for framing in ["chunked", "length", "close"] {
            let (came, blocked) = read_without_waiting(framing, secure);
            assert_eq!(String::from_utf8_lossy(&came), String::from_utf8_lossy(TEXT), "{framing}, TLS {secure}");
            assert!(blocked >= answer(framing).1.len(), "{framing}: it blocked only {blocked} times");
        }
    }
}

/// Answers every request on every connection; says how many connections came.
fn answering() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (uri, count) = (format!("http://{}/x", listener.local_addr().unwrap()), Arc::<AtomicUsize>::default());
    let came = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            came.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let (mut seen, mut byte) = (Vec::new(), [0u8; 1]);
                while stream.read(&mut byte).is_ok_and(|count| count == 1) {
                    seen.push(byte[0]);
                    if seen.ends_with(b"\r\n\r\n{}") {
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
                    }
                }
            });
        }
    });
    (uri, count)
}

fn read(mut answer: Answer) {
    let mut text = String::new();
    answer.body.read_to_string(&mut text).unwrap();
    assert_eq!(text, "ok");
}

#[test]
fn idle_connections_are_kept_up_to_their_number_and_their_age() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let at_once = |wire: &Wire, uri: &str, count: usize| {
        let answers: Vec<_> = (0..count).map(|_| send(wire, uri)).collect();
        answers.into_iter().for_each(read);
    };
    let setup = || TlsSetup::new(&TlsOptions::default()).unwrap();

    let (uri, came) = answering();
    let few = wire(&runtime, setup(), Idle { most: 2, ..Idle::default() });
    at_once(&few, &uri, 5);
    assert_eq!((came.load(Ordering::SeqCst), few.connections()), (5, (2, 2)), "the others were closed");
    at_once(&few, &uri, 2);
    assert_eq!(came.load(Ordering::SeqCst), 5, "two are used again");

    let (uri, came) = answering();
    let fresh = wire(&runtime, setup(), Idle { age: Duration::ZERO, ..Idle::default() });
    (0..3).for_each(|_| read(send(&fresh, &uri)));
    assert_eq!(came.load(Ordering::SeqCst), 3, "each was too old for the next");
}
