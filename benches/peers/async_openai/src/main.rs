//! async-openai, as its users would: one client, a runtime on this thread, typed requests and chunks. The command line and the
//! results are those of the clients in C (`bench.h`, `paced.h`).

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::types::chat::CreateChatCompletionRequest;
use futures::StreamExt;

const EXTRA_CHUNKS: usize = 3;
const KEY: &str = "bench-key-0123456789abcdef0123456789abcdef";

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Arguments {
    mode: String,
    count: usize,
    warm_up: usize,
    chunks: usize,
    ca: Option<String>,
    base_url: String,
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "--version") {
        println!("async-openai 0.43.0 (reqwest, hyper, rustls)");
        return Ok(());
    }
    let [port, mode, count, warm_up, rest @ ..] = &words[..] else {
        return Err("usage: PORT requests COUNT WARMUP | PORT stream|plain|paced COUNT WARMUP CHUNKS".into());
    };
    let ca = std::env::var("BENCH_CA").ok();
    let scheme = if ca.is_some() { "https" } else { "http" };
    let arguments = Rc::new(Arguments {
        mode: mode.clone(),
        count: count.parse()?,
        warm_up: warm_up.parse()?,
        chunks: rest.first().map_or(Ok(0), |chunks| chunks.parse())?,
        ca,
        base_url: format!("{scheme}://127.0.0.1:{port}/v1"),
    });
    pin_to_core_1();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let client = client(&arguments)?;
        match mode.as_str() {
            "paced" => paced(client, &arguments).await,
            _ => one_by_one(client, &arguments).await,
        }
    })
}

fn client(arguments: &Arguments) -> Outcome<Client<OpenAIConfig>> {
    let mut http = reqwest::Client::builder().no_proxy();
    if let Some(path) = &arguments.ca {
        http = http.tls_certs_only([reqwest::Certificate::from_pem(&std::fs::read(path)?)?]);
    }
    let config = OpenAIConfig::new().with_api_base(&arguments.base_url).with_api_key(KEY);
    Ok(Client::with_config(config).with_http_client(http.build()?))
}

fn request(arguments: &Arguments) -> Outcome<CreateChatCompletionRequest> {
    let stream = match arguments.mode.as_str() {
        "requests" => "",
        "plain" => r#","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}"#,
        _ => r#","stream":true,"stream_options":{"include_usage":true}"#,
    };
    let tokens = if stream.is_empty() { 256 } else { arguments.chunks };
    Ok(serde_json::from_str(&format!(
        r#"{{"model":"bench-model","messages":[{{"role":"system","content":"You are a careful assistant. Answer in plain words, in at most three short paragraphs, and say so when you do not know."}},{{"role":"user","content":"Describe the sea at dawn.\nMention the light, the birds and the cold, and end with a question."}}],"temperature":0.7,"max_tokens":{tokens}{stream}}}"#
    ))?)
}

async fn one_by_one(client: Client<OpenAIConfig>, arguments: &Arguments) -> Outcome<()> {
    let request = request(arguments)?;
    let mut walls = Vec::with_capacity(arguments.count);
    let mut cpu = Duration::ZERO;
    for number in 0..arguments.warm_up + arguments.count {
        if number == arguments.warm_up {
            cpu = process_cpu();
        }
        let began = Instant::now();
        if arguments.mode == "requests" {
            let answer = client.chat().create(request.clone()).await?;
            assert!(answer.choices[0].message.content.as_ref().is_some_and(|text| !text.is_empty()));
        } else {
            let mut stream = client.chat().create_stream(request.clone()).await?;
            let (mut chunks, mut text) = (0, 0);
            while let Some(chunk) = stream.next().await {
                chunks += 1;
                for choice in chunk?.choices {
                    text += choice.delta.content.map_or(0, |piece| piece.len());
                }
            }
            assert!(chunks == arguments.chunks + EXTRA_CHUNKS && text > 0, "{chunks} chunks, {text} bytes of text");
        }
        if number >= arguments.warm_up {
            walls.push(began.elapsed());
        }
    }
    let cpu = process_cpu() - cpu;
    walls.sort();
    let count = arguments.count;
    let operations = if arguments.mode == "requests" { count } else { count * (arguments.chunks + EXTRA_CHUNKS) };
    println!(
        "client=async_openai mode={} count={count} ops={operations} cpu_ns_per_op={:.1} wall_p50_us={:.1} wall_p99_us={:.1} cut=0",
        arguments.mode,
        cpu.as_nanos() as f64 / operations as f64,
        walls[(count - 1) / 2].as_secs_f64() * 1e6,
        walls[(count * 99).div_ceil(100) - 1].as_secs_f64() * 1e6,
    );
    Ok(())
}

#[derive(Default)]
struct Seen {
    measuring: Cell<bool>,
    opened: Cell<usize>,
    chunks: Cell<usize>,
    done: Cell<usize>,
    late_ns: RefCell<Vec<u64>>,
}

async fn one_stream(client: &Client<OpenAIConfig>, what: &str, seen: &Seen) -> Outcome<()> {
    let body = format!(
        r#"{{"model":"bench-model","stream":true,"user":"{what}","messages":[{{"role":"user","content":"Hi"}}]}}"#
    );
    let mut stream = client.chat().create_stream(serde_json::from_str(&body)?).await?;
    seen.opened.update(|opened| opened + 1);
    while let Some(chunk) = stream.next().await {
        let text: String = chunk?.choices.into_iter().filter_map(|choice| choice.delta.content).collect();
        let Some(sent) = text.trim().strip_prefix('t').and_then(|digits| digits.parse().ok()) else { continue };
        seen.chunks.update(|chunks| chunks + 1);
        if seen.measuring.get() {
            seen.late_ns.borrow_mut().push(monotonic_ns().saturating_sub(sent));
        }
    }
    seen.done.update(|done| done + 1);
    Ok(())
}

/// A stream; or, with no chunks asked for, an answer in JSON.
async fn one(client: &Client<OpenAIConfig>, what: &str, arguments: &Arguments, seen: &Seen) -> Outcome<()> {
    if arguments.chunks > 0 {
        return one_stream(client, what, seen).await;
    }
    let body = r#"{"model":"bench-model","user":"json","messages":[{"role":"user","content":"Hi"}]}"#;
    client.chat().create(serde_json::from_str(body)?).await?;
    seen.done.update(|done| done + 1);
    Ok(())
}

async fn paced(client: Client<OpenAIConfig>, arguments: &Rc<Arguments>) -> Outcome<()> {
    let seen = Rc::new(Seen::default());
    seen.late_ns.borrow_mut().resize(arguments.count * arguments.chunks, 1);
    seen.late_ns.borrow_mut().clear(); // its pages are there, and are not part of the measurement
    one(&client, "first", arguments, &seen).await?;
    assert_eq!(seen.chunks.replace(0), arguments.chunks, "the first stream");
    seen.opened.set(0);
    seen.done.set(0);
    seen.measuring.set(true);
    let (base_kib, began) = (process_status("VmRSS"), Instant::now());
    for _ in 0..arguments.count {
        let (client, arguments, seen) = (client.clone(), arguments.clone(), seen.clone());
        tokio::task::spawn_local(async move {
            if let Err(error) = one(&client, "paced", &arguments, &seen).await {
                eprintln!("async-openai: {error}");
                std::process::exit(1);
            }
        });
        tokio::task::yield_now().await;
    }
    let before = process_cpu();
    let (mut open, mut middle_kib, mut most_kib, mut threads) = (None, 0, 0, 0);
    let all = arguments.count * arguments.chunks;
    while seen.done.get() < arguments.count {
        tokio::time::sleep(Duration::from_millis(20)).await;
        threads = threads.max(process_status("Threads"));
        most_kib = most_kib.max(process_status("VmRSS"));
        if open.is_none() && seen.opened.get() == arguments.count {
            open = Some((began.elapsed(), process_cpu()));
        }
        if open.is_some() && middle_kib == 0 && seen.chunks.get() > all / 2 {
            middle_kib = process_status("VmRSS");
        }
        assert!(began.elapsed() < Duration::from_secs(180), "not within 180 s");
    }
    if arguments.chunks == 0 {
        println!(
            "client=async_openai mode=together tls={} requests={} cpu_us_per_request={:.2} kib_per_request={:.2} threads={threads} wall_ms={:.0}",
            u8::from(arguments.ca.is_some()),
            arguments.count,
            (process_cpu() - before).as_nanos() as f64 / 1e3 / arguments.count as f64,
            (most_kib as f64 - base_kib as f64) / arguments.count as f64,
            began.elapsed().as_secs_f64() * 1e3,
        );
        return Ok(());
    }
    assert_eq!(seen.chunks.get(), all, "lost something");
    let (open, open_cpu) = open.ok_or("they were never open at once")?;
    let cpu = process_cpu() - open_cpu;
    let mut late = seen.late_ns.borrow_mut();
    late.sort_unstable();
    println!(
        "client=async_openai mode=paced tls={} streams={} chunks={all} p50_us={:.1} p99_us={:.1} cpu_us_per_chunk={:.3} kib_per_stream={:.2} threads={threads} open_ms={:.0}",
        u8::from(arguments.ca.is_some()),
        arguments.count,
        late[(late.len() - 1) / 2] as f64 / 1e3,
        late[(late.len() * 99).div_ceil(100) - 1] as f64 / 1e3,
        cpu.as_nanos() as f64 / 1e3 / all as f64,
        (middle_kib as f64 - base_kib as f64) / arguments.count as f64,
        open.as_secs_f64() * 1e3,
    );
    Ok(())
}

/// A line of /proc/self/status, as a number.
fn process_status(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find(|line| line.starts_with(name)).expect("the line");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

fn clock(which: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the struct is ours to be written.
    unsafe { libc::clock_gettime(which, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn process_cpu() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn monotonic_ns() -> u64 {
    clock(libc::CLOCK_MONOTONIC).as_nanos() as u64
}

fn pin_to_core_1() {
    // SAFETY: an all-zero set is valid, and the calls only read and write it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(1, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        // Ten thousand connections need as many descriptors.
        let mut files: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut files);
        files.rlim_cur = files.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &files);
    }
}
