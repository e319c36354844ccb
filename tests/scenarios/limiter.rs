//! The client's own rate limit: who is early waits, nobody fails, and the report says how long it was.

use std::time::Duration;

use helio::abi::*;
use serde_json::{Value, json};

use crate::support::ask::answering;
use crate::support::c::{Client, has_feature};
use crate::support::chat::{ASK, ASK_STREAM, completion, hello};
use crate::support::delivery::{Mode, until};
use crate::support::outcome::Outcome;
use crate::support::server::Server;
use crate::support::time::Time;

fn limited(server: &Server, limits: Value) -> (Client, Time) {
    let client = Client::with(server, json!({"limits": limits}));
    let time = Time::of(client.handle());
    (client, time)
}

/// How long the request waited for its turn, in whole seconds.
fn queued_s(outcome: &Outcome) -> u64 {
    outcome.report()["us"]["queued"].as_u64().expect("a time") / 1_000_000
}

fn wait_for_queued(client: &Client, count: usize) {
    until("they wait", || client.handle().stats()["queued"] == count);
}

#[test]
fn a_minutes_worth_of_requests_goes_at_once_and_the_next_is_delayed() {
    assert_eq!(has_feature("limiter"), 1);
    let server = answering();
    let (client, time) = limited(&server, json!({"requests_per_minute": 3}));
    for _ in 0..3 {
        let outcome = client.ask(ASK);
        outcome.ok();
        assert_eq!(queued_s(&outcome), 0);
    }
    let fourth = client.call(ASK).mode(Mode::Poll).submit();
    wait_for_queued(&client, 1);
    time.pass(Duration::from_secs(10));
    assert_eq!(client.handle().stats()["in_flight"], 0);
    time.pass(Duration::from_secs(15));
    let outcome = fourth.wait();
    outcome.ok();
    assert!((20..=25).contains(&queued_s(&outcome)), "{}", outcome.report());
    assert!(outcome.report()["us"]["total"].as_u64() >= outcome.report()["us"]["queued"].as_u64());
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_blocking_call_waits_as_well() {
    let server = answering();
    let (client, time) = limited(&server, json!({"requests_per_minute": 1}));
    client.ask(ASK).ok();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for_queued(&client, 1);
            time.pass(Duration::from_secs(61));
        });
        client.call(ASK).mode(Mode::Complete).run()
    });
    outcome.ok();
    assert!(queued_s(&outcome) >= 60, "{}", outcome.report());
}

#[test]
fn used_tokens_delay_the_next_request_until_they_have_come_back() {
    let server = Server::new(|_, conn| conn.stream(hello())); // 5 tokens, says its usage
    let (client, time) = limited(&server, json!({"tokens_per_minute": 5}));
    let first = client.ask(ASK_STREAM);
    first.ok();
    assert_eq!(queued_s(&first), 0);
    let second = client.call(ASK_STREAM).mode(Mode::Pull).submit();
    wait_for_queued(&client, 1);
    time.pass(Duration::from_secs(13));
    let outcome = second.wait();
    outcome.ok();
    assert!((12..=13).contains(&queued_s(&outcome)), "a token comes back in 12 s: {}", outcome.report());
}

#[test]
fn those_who_wait_keep_their_order() {
    let server = answering();
    let (client, time) = limited(&server, json!({"requests_per_minute": 1}));
    client.ask(ASK).ok();
    let body = |number: usize| json!({"model": "m", "messages": [], "seed": number}).to_string();
    let waiting: Vec<_> = (0..4)
        .map(|number| {
            let call = client.call(body(number)).mode(Mode::SUBMITTED[number % 3]).submit();
            wait_for_queued(&client, number + 1);
            call
        })
        .collect();
    let flight = time.fly();
    waiting.into_iter().for_each(|call| drop(call.wait().ok()));
    drop(flight);
    let came: Vec<_> = server.requests().iter().skip(1).map(|request| request.json()["seed"].clone()).collect();
    assert_eq!(came, [0, 1, 2, 3]);
}

#[test]
fn who_waits_can_be_cancelled_and_timed_out_and_takes_nothing() {
    let server = answering();
    let (client, time) = limited(&server, json!({"requests_per_minute": 1}));
    client.ask(ASK).ok();
    let cancelled = client.call(ASK).mode(Mode::Thread).submit();
    wait_for_queued(&client, 1);
    assert_eq!(client.cancel(cancelled.id), HELIO_OK);
    cancelled.wait().fails(HELIO_ERR_CANCELLED);
    let late = client.call(ASK).mode(Mode::Poll).overrides(&json!({"timeouts": {"total_ms": 30_000}})).submit();
    wait_for_queued(&client, 1);
    time.pass(Duration::from_secs(31));
    let outcome = late.wait();
    assert_eq!(outcome.fails(HELIO_ERR_TIMEOUT).code(), "total");
    assert!(queued_s(&outcome) >= 30);
    time.pass(Duration::from_secs(30));
    let outcome = client.ask(ASK);
    outcome.ok();
    assert_eq!((queued_s(&outcome), server.requests().len()), (0, 2), "neither of them was sent, or has taken a place");
}

#[test]
fn shutdown_ends_who_waits() {
    let server = answering();
    let (client, _) = limited(&server, json!({"requests_per_minute": 1}));
    client.ask(ASK).ok();
    let waiting = client.call(ASK).mode(Mode::Pull).submit();
    wait_for_queued(&client, 1);
    assert_eq!(client.handle().shutdown(), HELIO_OK);
    waiting.wait().fails(HELIO_ERR_SHUT_DOWN);
}

#[test]
fn each_further_attempt_counts() {
    let server = Server::new(|request, conn| match request.number {
        0 | 1 => conn.answer(503, &[], "busy"),
        _ => conn.json(200, completion("Hello")),
    });
    let (client, time) = limited(&server, json!({"requests_per_minute": 4}));
    client.ask(ASK).ok(); // three attempts
    client.ask(ASK).ok();
    let third = client.call(ASK).mode(Mode::Poll).submit();
    wait_for_queued(&client, 1);
    time.pass(Duration::from_secs(16));
    assert!((14..=16).contains(&queued_s(&third.wait())));
}

#[test]
fn who_may_not_even_wait_is_told_so() {
    let server = answering();
    let (client, _) = limited(&server, json!({"requests_per_minute": 1, "max_queued": 0}));
    client.ask(ASK).ok();
    client.ask(ASK).refused(HELIO_ERR_BUSY);
}

#[test]
fn limits_belong_to_the_client_and_are_whole_numbers() {
    let server = answering();
    let client = Client::of(&server);
    for key in ["requests_per_minute", "tokens_per_minute"] {
        let failure = client.call(ASK).overrides(&json!({"limits": {key: 5}})).run();
        failure.refused(HELIO_ERR_INVALID_ARGUMENT).says(&[key, "helio_client_create"]);
        for wrong in [json!(0), json!(1.5), json!("60"), json!(-1)] {
            let config = json!({"base_url": server.url(), "limits": {key: wrong}});
            let failure = Client::try_new(Some(config.to_string().as_bytes())).err().expect("refused");
            failure.is(HELIO_ERR_INVALID_ARGUMENT).says(&[key, "a whole number of at least 1"]);
        }
    }
}
