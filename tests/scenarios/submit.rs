//! helio_submit: what it takes, what it refuses, and that a refusal leaves nothing behind.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use helio::abi::*;
use serde_json::json;

use crate::support::ask::{answering, untouched};
use crate::support::c::{Client, Handle, request_options, status_name};
use crate::support::call::{submit, submit_options};
use crate::support::chat::{ASK, completion};
use crate::support::copied::take_error;
use crate::support::delivery::{Mode, until};
use crate::support::outcome::Outcome;
use crate::support::server::Server;

/// Counts its calls in its user data.
unsafe extern "C" fn counts(_event: *const helio_event, user_data: *mut c_void) -> i32 {
    // SAFETY: a counter of the test's.
    unsafe { &*user_data.cast::<AtomicUsize>() }.fetch_add(1, Ordering::SeqCst);
    0
}

fn bare(handle: Handle, options: *const helio_request_options) -> Outcome {
    // SAFETY: the body is given with its length, and the options are NULL or as large as they say.
    unsafe { submit(handle, ASK.as_ptr().cast(), ASK.len(), options) }
}

// ---- options ----

#[test]
fn options_must_say_how_the_events_are_to_come() {
    let (_server, client) = untouched();
    let handle = client.handle();
    let calls = AtomicUsize::new(0);
    bare(handle, null()).refused(HELIO_ERR_INVALID_ARGUMENT).says(&["opts"]);
    let with = |delivery, on_event: helio_event_fn| {
        let mut options = request_options();
        options.delivery = delivery;
        options.on_event = on_event;
        options.user_data = (&raw const calls).cast_mut().cast();
        bare(handle, &options)
    };
    for delivery in [HELIO_DELIVERY_POLL, HELIO_DELIVERY_THREAD] {
        with(delivery, None).refused(HELIO_ERR_INVALID_ARGUMENT).says(&["on_event"]);
    }
    with(HELIO_DELIVERY_PULL, Some(counts)).refused(HELIO_ERR_INVALID_ARGUMENT).says(&["on_event"]);
    for delivery in [3, 4, 1 << 31, u32::MAX] {
        for on_event in [None, Some(counts as unsafe extern "C" fn(_, _) -> _)] {
            with(delivery, on_event).refused(HELIO_ERR_UNSUPPORTED).says(&["delivery"]);
        }
    }
    assert_eq!((handle.pending(), &handle.stats()["started"]), (0, &json!(0)));
    drop(client);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

/// Room for a struct of any size, with the fields of a current one in front.
#[repr(C, align(8))]
struct Grown {
    current: helio_request_options,
    tail: [u64; 600],
}

#[test]
fn options_of_other_versions_are_read_as_far_as_they_are_known() {
    let server = answering();
    let client = Client::of(&server);
    let handle = client.handle();
    let current = size_of::<helio_request_options>() as u32;
    let with = |size: u32, tail: u64| {
        let mut options = Grown { current: submit_options(Mode::Pull), tail: [0; 600] };
        (options.current.struct_size, options.tail[0]) = (size, tail);
        bare(handle, &raw const options.current)
    };
    for (size, tail) in [(current, 1), (current + 8, 0), (4096, 0)] {
        assert_eq!(with(size, tail).status, HELIO_OK);
    }
    with(current + 8, 1).refused(HELIO_ERR_UNSUPPORTED);
    for size in [0, 8, current - 8, current - 1, 4097, u32::MAX] {
        with(size, 0).refused(HELIO_ERR_INVALID_ARGUMENT).says(&["struct_size"]);
    }
    handle.until_pending(6);
}

#[test]
fn out_parameters_that_nobody_wants_may_be_null() {
    let server = answering();
    let client = Client::of(&server);
    let handle = client.handle();
    let options = submit_options(Mode::Pull);
    // SAFETY: all that is not NULL is valid; so below.
    let call = |json: &str| unsafe {
        helio_submit(handle.0, json.as_ptr().cast(), json.len(), &options, null_mut(), null_mut())
    };
    assert_eq!((call(ASK), call("[]")), (HELIO_OK, HELIO_ERR_INVALID_JSON));
    handle.until_pending(2);
    // SAFETY: as above.
    unsafe {
        let mut error = null_mut();
        let status = helio_submit(handle.0, null(), 0, &options, null_mut(), &mut error);
        assert_eq!(status, HELIO_ERR_INVALID_ARGUMENT);
        assert_eq!(take_error(error).unwrap().status, status);
        assert_eq!(helio_poll(handle.0, 0, 0, null_mut()), HELIO_OK);
        assert_eq!(helio_client_stats(handle.0, null_mut()), HELIO_OK);
    }
}

#[test]
fn a_null_client_is_an_invalid_argument() {
    let nobody = Handle(null_mut());
    bare(nobody, &submit_options(Mode::Pull)).refused(HELIO_ERR_INVALID_ARGUMENT);
    assert_eq!(nobody.poll(HELIO_WAIT_FOREVER, 0), (HELIO_ERR_INVALID_ARGUMENT, 0));
    assert_eq!(nobody.next_event(HELIO_WAIT_FOREVER), (HELIO_ERR_INVALID_ARGUMENT, null()));
    assert_eq!((nobody.pending(), nobody.wait_handle()), (0, -1));
    assert_eq!((nobody.wakeup(), nobody.prewarm()), (HELIO_ERR_INVALID_ARGUMENT, HELIO_ERR_INVALID_ARGUMENT));
    nobody.release();
}

// ---- refusals ----

#[test]
fn what_cannot_be_sent_is_refused_in_every_way_and_no_event_comes() {
    let (_server, client) = untouched();
    for mode in Mode::SUBMITTED {
        let id = client.reserve();
        let refused = |body: &[u8], overrides: &str, status| {
            let call = client.call(body).id(id).raw_overrides(overrides).mode(mode);
            call.submit().outcome().refused(status);
        };
        for body in [&b""[..], b"[]", b"{", b"nul", b"{\"messages\":[}"] {
            refused(body, "{}", HELIO_ERR_INVALID_JSON);
        }
        refused(b"{\"a\":\"\xff\"}", "{}", HELIO_ERR_INVALID_UTF8);
        refused(ASK.as_bytes(), "[]", HELIO_ERR_INVALID_JSON);
        refused(ASK.as_bytes(), "{\"timeout\":1}", HELIO_ERR_INVALID_ARGUMENT);
        refused(ASK.as_bytes(), "{\"limits\":{\"max_in_flight\":1}}", HELIO_ERR_INVALID_ARGUMENT);
        // SAFETY: NULL is refused.
        unsafe { submit(client.handle(), null(), 0, &submit_options(Mode::Pull)) }.refused(HELIO_ERR_INVALID_ARGUMENT);
    }
    assert_eq!((client.handle().pending(), &client.handle().stats()["started"]), (0, &json!(0)));
}

#[test]
fn a_refused_submit_leaves_its_reserved_id_usable_once() {
    let server = answering();
    for mode in Mode::SUBMITTED {
        let client = Client::of(&server);
        let id = client.reserve();
        client.call("[]").id(id).mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_JSON);
        let call = client.call(ASK).id(id).raw_overrides("{\"x\":1}").mode(mode);
        call.submit().outcome().refused(HELIO_ERR_INVALID_ARGUMENT);
        let running = client.call(ASK).id(id).mode(mode).submit();
        client.call(ASK).id(id).mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_ARGUMENT);
        assert_eq!(running.wait().done().request, id);
        client.call(ASK).id(id).mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_ARGUMENT);
        // Of another client, or of nobody.
        let foreign = Client::of(&server).reserve();
        for id in [foreign, u64::MAX] {
            client.call(ASK).id(id).mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_ARGUMENT);
        }
    }
}

#[test]
fn a_cancel_before_submit_yields_no_event_and_uses_the_id_up() {
    let (_server, client) = untouched();
    for mode in Mode::SUBMITTED {
        let id = client.reserve();
        assert_eq!(client.cancel(id), HELIO_OK);
        client.call("[]").id(id).mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_JSON);
        client.call(ASK).id(id).mode(mode).submit().outcome().refused(HELIO_ERR_CANCELLED);
        client.call(ASK).id(id).mode(mode).submit().outcome().refused(HELIO_ERR_INVALID_ARGUMENT);
    }
    assert_eq!(client.handle().pending(), 0);
}

#[test]
fn without_a_key_for_the_gateway_nothing_is_submitted() {
    crate::support::alone::alone(crate::this_test!(), &[], || {
        let client = Client::try_new(Some(b"{}")).unwrap();
        for mode in Mode::SUBMITTED {
            client.call(ASK).mode(mode).submit().outcome().refused(HELIO_ERR_AUTHENTICATION);
        }
    });
}

// ---- what is promised with OK ----

#[test]
fn a_body_is_copied_for_every_attempt() {
    let server = Server::new(|request, conn| match request.number % 3 {
        0 | 1 => conn.answer(503, &[], ""),
        _ => conn.json(200, completion("Hello")),
    });
    let client = Client::of(&server);
    for mode in Mode::SUBMITTED {
        // The test's own copy is overwritten as soon as submit has returned.
        client.call(ASK).mode(mode).submit().wait().ok();
    }
    assert!(server.requests().iter().all(|request| request.text() == ASK));
    assert_eq!(server.requests().len(), 9);
}

#[derive(Default)]
struct Early {
    id: AtomicU64,
    seen: AtomicUsize,
    wrong: AtomicUsize,
}

unsafe extern "C" fn compares(event: *const helio_event, user_data: *mut c_void) -> i32 {
    // SAFETY: a valid event, and what was given at its submission.
    let (event, early) = unsafe { (&*event, &*user_data.cast::<Early>()) };
    if early.id.load(Ordering::SeqCst) != event.request {
        early.wrong.fetch_add(1, Ordering::SeqCst);
    }
    early.seen.fetch_add(usize::from(event.kind == HELIO_EVENT_DONE), Ordering::SeqCst);
    1
}

#[test]
fn the_id_is_known_before_any_event_can_be_seen() {
    let server = answering();
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 4}}));
    for _ in 0..200 {
        let early = Arc::<Early>::default();
        let mut options = submit_options(Mode::Thread);
        options.on_event = Some(compares);
        options.user_data = Arc::as_ptr(&early).cast_mut().cast();
        let body = ASK.as_bytes();
        // SAFETY: everything lives until DONE was seen.
        let status = unsafe {
            let handle = client.handle().0;
            helio_submit(handle, body.as_ptr().cast(), body.len(), &options, early.id.as_ptr(), null_mut())
        };
        assert_eq!(status, HELIO_OK, "{}", status_name(status));
        until("DONE", || early.seen.load(Ordering::SeqCst) == 1);
        assert_eq!(early.wrong.load(Ordering::SeqCst), 0);
    }
}
