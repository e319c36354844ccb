//! How soon things happen, and the server of paced streams: `cargo bench --bench streams -- WHAT`. `make bench` runs the
//! parts of it that its page shows.
//!
//! | what | measures |
//! | --- | --- |
//! | `cancel [COUNT]` | from `helio_cancel` to DONE, in each phase and delivery |
//! | `poll [COUNT]` | the longest `helio_poll(0)` of a 60 Hz loop with COUNT streams |
//! | `serve RATE WAIT_FOR CHUNKS` | nothing: it is the server of the clients of `paced.h` |
//!
//! The server is a process of its own (this program again), pinned to one core, the client to the other. It has a thread for each
//! connection and answers the head at once. When all streams are open it sends RATE chunks a second on each, each at its own time;
//! their text is the time at which they are sent. All on 127.0.0.1, bounded in count and time; the server ends when its standard input does.

use std::ffi::c_void;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use helio::abi::*;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
    server: bench\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\nopenai-organization: org-benchmark\r\nopenai-processing-ms: 412\r\n\
    x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\nx-request-id: req_0123456789abcdef0123456789abcdef\r\n\r\n";

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str);
    let count = |at, default| argument(at).map_or(default, |text: &str| text.parse().expect("a number"));
    match argument(0) {
        Some("serve") => serve(count(1, 1) as u64, count(2, 0) as u64, count(3, 15)),
        Some("cancel") => cancel(count(1, 101)),
        Some("poll") => poll(count(1, 100)),
        Some(other) => panic!("what is {other:?}? cancel, poll or serve"),
        None => {
            cancel(101);
            poll(100);
        }
    }
}

// ---- the server ----

fn pin(core: usize) {
    // SAFETY: an all-zero set is valid, and the calls only read and write it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// Prints its ports, plain and TLS, and its certificate; ends with its standard input. No stream goes on before so many
/// are open.
fn serve(chunks_per_second: u64, wait_for: u64, chunks: usize) {
    pin(0);
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).expect("TLS");
    let config = Arc::new(config);
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let [plain, tls] = listeners.each_ref().map(|listener| listener.local_addr().expect("a port").port());
    println!("{plain} {tls}\n{}", made.cert.pem().replace(['\r', '\n'], "|"));
    let pause = Duration::from_nanos(1_000_000_000 / chunks_per_second);
    for (number, listener) in listeners.into_iter().enumerate() {
        let config = (number == 1).then(|| config.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let config = config.clone();
                let answer = move || {
                    let _gone = stream.set_nodelay(true);
                    let _gone = match config {
                        None => answer(stream, pause, wait_for, chunks),
                        Some(config) => {
                            let connection = ServerConnection::new(config).expect("TLS");
                            answer(StreamOwned::new(connection, stream), pause, wait_for, chunks)
                        }
                    };
                };
                std::thread::Builder::new().stack_size(96 * 1024).spawn(answer).expect("a thread");
            }
        });
    }
    let _until_the_client_ends = std::io::stdin().read(&mut [0]);
}

/// Answers what comes on a connection until the client goes.
fn answer(mut stream: impl Read + Write, pause: Duration, wait_for: u64, chunks: usize) -> std::io::Result<()> {
    loop {
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut buffer = [0; 1024];
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                count => request.extend_from_slice(&buffer[..count]),
            }
        }
        answer_one(&mut stream, &String::from_utf8_lossy(&request), pause, wait_for, chunks)?;
    }
}

/// What a request wants stands in its `user` member.
fn answer_one(
    stream: &mut (impl Read + Write),
    request: &str,
    pause: Duration,
    wait_for: u64,
    chunks: usize,
) -> std::io::Result<()> {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    let wants = |what: &str| request.contains(what);
    if wants("\"json\"") {
        std::thread::sleep(Duration::from_secs(1));
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", ANSWER.len());
        stream.write_all((head + ANSWER).as_bytes())?;
        return stream.flush();
    }
    if wants("\"silent\"") {
        return stream.read_exact(&mut [0]); // until it is cancelled
    }
    let number = STREAMS.fetch_add(1, Ordering::Relaxed);
    stream.write_all(HEAD.as_bytes())?;
    stream.flush()?;
    let mut send = |data: &str| {
        let event = format!("data: {data}\n\n");
        stream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
        stream.flush()
    };
    if wants("\"stalling\"") {
        send(&chunk("Hello", "null"))?;
        return stream.read_exact(&mut [0]);
    }
    static ALL_ARE_OPEN: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    let (lock, opened) = &ALL_ARE_OPEN;
    if number + 1 >= wait_for {
        let _held = lock.lock().expect("the lock");
        opened.notify_all();
    } else if !wants("\"first\"") {
        let held = lock.lock().expect("the lock");
        drop(opened.wait_while(held, |()| STREAMS.load(Ordering::Relaxed) < wait_for));
    }
    let mut next = Instant::now() + pause.mul_f64((number % 1000) as f64 / 1000.0);
    for _ in 0..chunks {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += pause;
        send(&chunk(&format!(" t{}", monotonic_ns()), "null"))?;
    }
    send(&chunk("", "\"stop\""))?;
    send("[DONE]")?;
    stream.write_all(b"0\r\n\r\n")?;
    stream.flush()
}

/// Whether all of a request is there: a head and as much of a body as it announces.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.is_some_and(|length| body.len() >= length.trim().parse().expect("a length"))
}

fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is ours to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn chunk(text: &str, finish: &str) -> String {
    format!(
        "{{\"id\":\"chatcmpl-C0123456789abcdefghijklmnopqr\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\
         \"model\":\"bench-model\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{{\"index\":0,\
         \"delta\":{{\"content\":\"{text}\"}},\"logprobs\":null,\"finish_reason\":{finish}}}]}}"
    )
}

struct Server {
    child: std::process::Child,
    port: u16,
}

impl Server {
    fn start(chunks_per_second: u64) -> Server {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["serve", &chunks_per_second.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a server");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let port = line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        Server { child, port }
    }

    fn client(&self, limits: &str) -> *mut helio_client {
        let base_url = format!("http://127.0.0.1:{}/v1", self.port);
        client(&format!("{{\"base_url\":\"{base_url}\",\"api_key\":\"bench\",\"limits\":{{{limits}}}}}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ended = self.child.wait();
    }
}

// ---- the client ----

fn client(config: &str) -> *mut helio_client {
    let (mut client, mut error) = (null_mut(), null_mut());
    // SAFETY: all pointers are valid for the calls, and the options are made by their _init function.
    unsafe {
        let mut options: helio_client_options = std::mem::zeroed();
        helio_client_options_init(&mut options, size_of::<helio_client_options>() as u32);
        (options.config, options.config_len) = (config.as_ptr().cast(), config.len());
        let status = helio_client_create(&options, &mut client, &mut error);
        assert_eq!(status, HELIO_OK, "no client of {config}");
    }
    client
}

#[derive(Default)]
struct Seen {
    chunks: AtomicUsize,
    done: AtomicUsize,
    ok: AtomicUsize,
}

unsafe extern "C" fn on_event(event: *const helio_event, user_data: *mut c_void) -> i32 {
    // SAFETY: a valid event, and what was given at the submission.
    let (event, seen) = unsafe { (&*event, &*user_data.cast::<Seen>()) };
    let count = match event.kind {
        HELIO_EVENT_RESPONSE => return 0,
        HELIO_EVENT_CHUNK => &seen.chunks,
        _ => {
            seen.ok.fetch_add(usize::from(event.status == HELIO_OK), Ordering::Relaxed);
            &seen.done
        }
    };
    count.fetch_add(1, Ordering::Release);
    0
}

fn submit(client: *mut helio_client, delivery: helio_delivery, what: &str, seen: &Seen) -> u64 {
    let body = format!("{{\"model\":\"m\",\"stream\":true,\"user\":\"{what}\",\"messages\":[]}}");
    let mut id = 0;
    // SAFETY: all pointers are valid for the call; `seen` outlives the client.
    unsafe {
        let mut options: helio_request_options = std::mem::zeroed();
        helio_request_options_init(&mut options, size_of::<helio_request_options>() as u32);
        options.delivery = delivery;
        options.on_event = (delivery != HELIO_DELIVERY_PULL).then_some(on_event);
        options.user_data = std::ptr::from_ref(seen).cast_mut().cast();
        let status = helio_submit(client, body.as_ptr().cast(), body.len(), &options, &mut id, null_mut());
        assert_eq!(status, HELIO_OK, "submit");
    }
    id
}

fn poll_once(client: *mut helio_client, timeout_ms: u32) {
    // SAFETY: the client is alive.
    unsafe { helio_poll(client, timeout_ms, 0, null_mut()) };
}

fn destroy(client: *mut helio_client) {
    // SAFETY: the client is alive, and not used any more.
    assert_eq!(unsafe { helio_client_destroy(client, 30_000) }, HELIO_OK);
}

fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
    }
}

/// Median and 99th percentile in microseconds, from the call of `helio_cancel` until DONE is in the host's hands.
fn cancel(count: usize) {
    let server = Server::start(1);
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    // Its queue is full, so nobody more gets a connection.
    let address = closed.local_addr().expect("a port");
    let mut filled = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
        filled.push(stream);
    }
    let tls_hangs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let plain = |limits: &str| server.client(limits);
    let other = |url: String| client(&format!("{{\"base_url\":\"{url}\",\"api_key\":\"bench\"}}"));
    for (name, delivery) in
        [("thread", HELIO_DELIVERY_THREAD), ("poll", HELIO_DELIVERY_POLL), ("pull", HELIO_DELIVERY_PULL)]
    {
        let connecting = other(format!("http://{address}/v1"));
        let handshake = other(format!("https://{}/v1", tls_hangs.local_addr().expect("a port")));
        let one_at_a_time = plain("\"max_in_flight\":1");
        let seen = Seen::default();
        submit(one_at_a_time, HELIO_DELIVERY_POLL, "silent", &seen);
        let asking = plain("");
        for (phase, client, what) in [
            ("queued", one_at_a_time, "silent"),
            ("connecting", connecting, "silent"),
            ("TLS", handshake, "silent"),
            ("head", asking, "silent"),
            ("body", asking, "stalling"),
        ] {
            let mut took: Vec<f64> = (0..count).map(|_| cancel_once(client, delivery, what)).collect();
            took.sort_by(f64::total_cmp);
            let (p50, p99) = (took[(count - 1) / 2], took[(count * 99).div_ceil(100) - 1]);
            println!("mode=cancel delivery={name} phase={phase} p50_us={p50:.0} p99_us={p99:.0}");
        }
        for client in [connecting, handshake, one_at_a_time, asking] {
            destroy(client);
        }
    }
}

fn cancel_once(client: *mut helio_client, delivery: helio_delivery, what: &str) -> f64 {
    let seen = Seen::default();
    let id = submit(client, delivery, what, &seen);
    std::thread::sleep(Duration::from_millis(20)); // to where it waits: the phase, not the outcome, depends on it
    let began = Instant::now();
    // SAFETY: the client is alive; an event is released once.
    unsafe {
        helio_cancel(client, id);
        if delivery == HELIO_DELIVERY_POLL {
            while seen.done.load(Ordering::Acquire) == 0 {
                poll_once(client, 1000);
            }
        } else if delivery == HELIO_DELIVERY_PULL {
            loop {
                let mut event = std::ptr::null();
                helio_next_event(client, 10_000, &mut event);
                let is_done = !event.is_null() && (*event).kind == HELIO_EVENT_DONE;
                helio_event_release(event);
                if is_done {
                    break;
                }
            }
        } else {
            while seen.done.load(Ordering::Acquire) == 0 {
                std::thread::yield_now();
            }
        }
    }
    let took = began.elapsed().as_secs_f64() * 1e6;
    std::thread::sleep(Duration::from_millis(2)); // `seen` must not go while the callback returns
    took
}

/// What this thread has had of the processor.
fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is ours to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn poll(count: usize) {
    let server = Server::start(50);
    let client = server.client("");
    let seen = Seen::default();
    let (mut longest, mut longest_cpu, mut calls) = (Duration::ZERO, Duration::ZERO, 0);
    for round in 1..=10 {
        for _ in 0..count {
            submit(client, HELIO_DELIVERY_POLL, "paced", &seen);
        }
        let mut frame = Instant::now();
        until("the streams", Duration::from_secs(60), || {
            let (began, cpu) = (Instant::now(), thread_cpu());
            poll_once(client, 0);
            longest = longest.max(began.elapsed());
            longest_cpu = longest_cpu.max(thread_cpu() - cpu);
            calls += 1;
            frame += Duration::from_micros(16_667);
            std::thread::sleep(frame.saturating_duration_since(Instant::now()));
            seen.done.load(Ordering::Acquire) == count * round
        });
    }
    let (ok, chunks) = (seen.ok.load(Ordering::Acquire), seen.chunks.load(Ordering::Acquire));
    assert_eq!(ok, count * 10);
    println!(
        "{count} streams of 50 chunks a second in a 60 Hz loop: {chunks} chunks, longest of {calls} helio_poll(0): {:.3} ms, {:.3} ms of the processor",
        longest.as_secs_f64() * 1e3,
        longest_cpu.as_secs_f64() * 1e3
    );
    destroy(client);
}
