//! What a host may hand in, and what it is told when it may not: NULLs, sizes, structs of other versions, text,
//! and every key of the config.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::ptr::{null, null_mut};

use helio::abi::*;
use serde_json::json;

use crate::support::ask::{answering, untouched};
use crate::support::c::{Client, Handle, client_options, create, has_feature, request_options, status_name};
use crate::support::call::complete;
use crate::support::chat::ASK;
use crate::support::copied::take_error;
use crate::support::outcome::Failure;
use crate::support::server::Server;

/// Room for a struct of any size, with the fields of a current one in front.
#[repr(C, align(8))]
struct Grown<T> {
    current: T,
    tail: [u64; 600],
}

impl<T> Grown<T> {
    fn new(current: T) -> Grown<T> {
        Grown { current, tail: [0; 600] }
    }
}

// ---- the library ----

#[test]
fn the_versions_agree() {
    // SAFETY: functions without parameters, and a static string.
    let (number, text, abi) = unsafe {
        (helio_version_number(), CStr::from_ptr(helio_version_string()).to_str().unwrap(), helio_abi_version())
    };
    assert_eq!(number, HELIO_VERSION_MAJOR << 16 | HELIO_VERSION_MINOR << 8 | HELIO_VERSION_PATCH);
    assert_eq!(text, format!("{HELIO_VERSION_MAJOR}.{HELIO_VERSION_MINOR}.{HELIO_VERSION_PATCH}"));
    assert_eq!(text, env!("CARGO_PKG_VERSION"));
    assert_eq!(abi, HELIO_ABI_VERSION);
}

#[test]
fn every_status_has_its_number_and_its_name() {
    for (status, number, name) in [
        (HELIO_OK, 0, "HELIO_OK"),
        (HELIO_ERR_INVALID_ARGUMENT, -1, "HELIO_ERR_INVALID_ARGUMENT"),
        (HELIO_ERR_INVALID_UTF8, -2, "HELIO_ERR_INVALID_UTF8"),
        (HELIO_ERR_INVALID_JSON, -3, "HELIO_ERR_INVALID_JSON"),
        (HELIO_ERR_UNSUPPORTED, -4, "HELIO_ERR_UNSUPPORTED"),
        (HELIO_ERR_REENTRANT, -5, "HELIO_ERR_REENTRANT"),
        (HELIO_ERR_SHUT_DOWN, -6, "HELIO_ERR_SHUT_DOWN"),
        (HELIO_ERR_FORKED, -7, "HELIO_ERR_FORKED"),
        (HELIO_ERR_BUSY, -8, "HELIO_ERR_BUSY"),
        (HELIO_ERR_TIMEOUT, -9, "HELIO_ERR_TIMEOUT"),
        (HELIO_ERR_CANCELLED, -10, "HELIO_ERR_CANCELLED"),
        (HELIO_ERR_DNS, -20, "HELIO_ERR_DNS"),
        (HELIO_ERR_CONNECT, -21, "HELIO_ERR_CONNECT"),
        (HELIO_ERR_TLS, -22, "HELIO_ERR_TLS"),
        (HELIO_ERR_PROXY, -23, "HELIO_ERR_PROXY"),
        (HELIO_ERR_NETWORK, -24, "HELIO_ERR_NETWORK"),
        (HELIO_ERR_PROTOCOL, -30, "HELIO_ERR_PROTOCOL"),
        (HELIO_ERR_TRUNCATED, -31, "HELIO_ERR_TRUNCATED"),
        (HELIO_ERR_TOO_LARGE, -32, "HELIO_ERR_TOO_LARGE"),
        (HELIO_ERR_BAD_REQUEST, -40, "HELIO_ERR_BAD_REQUEST"),
        (HELIO_ERR_AUTHENTICATION, -41, "HELIO_ERR_AUTHENTICATION"),
        (HELIO_ERR_PERMISSION, -42, "HELIO_ERR_PERMISSION"),
        (HELIO_ERR_NOT_FOUND, -43, "HELIO_ERR_NOT_FOUND"),
        (HELIO_ERR_RATE_LIMITED, -44, "HELIO_ERR_RATE_LIMITED"),
        (HELIO_ERR_QUOTA_EXCEEDED, -45, "HELIO_ERR_QUOTA_EXCEEDED"),
        (HELIO_ERR_CONTEXT_LENGTH, -46, "HELIO_ERR_CONTEXT_LENGTH"),
        (HELIO_ERR_CONTENT_FILTERED, -47, "HELIO_ERR_CONTENT_FILTERED"),
        (HELIO_ERR_OVERLOADED, -48, "HELIO_ERR_OVERLOADED"),
        (HELIO_ERR_SERVER, -49, "HELIO_ERR_SERVER"),
        (HELIO_ERR_INTERNAL, -99, "HELIO_ERR_INTERNAL"),
    ] {
        assert_eq!((status, status_name(status)), (number, name));
    }
    for unknown in [1, -11, -1000, i32::MIN, i32::MAX] {
        assert_eq!(status_name(unknown), "HELIO_ERR_UNKNOWN");
    }
}

#[test]
fn an_unknown_feature_is_none() {
    assert_eq!(has_feature("no-such-feature"), 0);
    assert_eq!(has_feature(""), 0);
    // SAFETY: NULL is a name that no feature has.
    assert_eq!(unsafe { helio_has_feature(null()) }, 0);
}

// ---- NULL ----

#[test]
fn null_is_taken_where_there_is_nothing_to_free_or_read() {
    // SAFETY: the contract of each of these functions takes NULL.
    unsafe {
        helio_buffer_free(null_mut());
        helio_error_free(null_mut());
        assert_eq!(helio_client_destroy(null_mut(), 0), HELIO_OK);
        assert_eq!((helio_buffer_data(null()), helio_buffer_size(null())), (null(), 0));
        assert_eq!((helio_error_status(null()), helio_error_http_status(null())), (HELIO_OK, 0));
        assert_eq!(helio_error_retry_after_ms(null()), -1);
        for accessor in [helio_error_message, helio_error_code, helio_error_type, helio_error_body, helio_error_report]
        {
            let mut len = 7;
            assert_eq!(accessor(null(), &mut len), null());
            assert_eq!(len, 0);
            assert_eq!(accessor(null(), null_mut()), null());
        }
        helio_client_options_init(null_mut(), 80);
        helio_request_options_init(null_mut(), 56);
    }
}

#[test]
fn a_null_client_is_an_invalid_argument() {
    let nobody = Handle(null_mut());
    assert_eq!(nobody.reserve(), 0);
    assert_eq!(nobody.cancel(1), HELIO_ERR_INVALID_ARGUMENT);
    assert_eq!(nobody.cancel_all(), HELIO_ERR_INVALID_ARGUMENT);
    assert_eq!(nobody.shutdown(), HELIO_ERR_INVALID_ARGUMENT);
    assert_eq!(nobody.set_api_key(Some("k")), HELIO_ERR_INVALID_ARGUMENT);
    nobody.ask(ASK).refused(HELIO_ERR_INVALID_ARGUMENT);
}

#[test]
fn null_where_something_is_needed_is_an_invalid_argument() {
    let (_server, client) = untouched();
    // SAFETY: NULL is refused, and everything else is valid.
    unsafe {
        complete(client.handle(), null(), 0, null()).refused(HELIO_ERR_INVALID_ARGUMENT);
        complete(client.handle(), null(), HELIO_STRLEN, null()).refused(HELIO_ERR_INVALID_ARGUMENT);
        let mut error = null_mut();
        assert_eq!(helio_client_create(&client_options(), null_mut(), &mut error), HELIO_ERR_INVALID_ARGUMENT);
        assert_eq!(take_error(error).unwrap().status, HELIO_ERR_INVALID_ARGUMENT);
    }
}

#[test]
fn out_parameters_that_nobody_wants_may_be_null() {
    let server = answering();
    let client = Client::of(&server);
    // SAFETY: all that is not NULL is valid.
    unsafe {
        let call = |json: &str| {
            helio_complete(client.handle().0, json.as_ptr().cast(), json.len(), null(), null_mut(), null_mut())
        };
        assert_eq!(call(ASK), HELIO_OK);
        assert_eq!(call("[]"), HELIO_ERR_INVALID_JSON);
        let mut options = client_options();
        options.flags = 1;
        let mut handle = null_mut();
        assert_eq!(helio_client_create(&options, &mut handle, null_mut()), HELIO_ERR_UNSUPPORTED);
    }
}

#[test]
fn complete_needs_no_options() {
    let server = answering();
    let client = Client::of(&server);
    // SAFETY: the body is given with its length.
    let outcome = unsafe { complete(client.handle(), ASK.as_ptr().cast(), ASK.len(), null()) };
    outcome.ok();
    assert_eq!(outcome.content(), "Hello");
}

// ---- structs ----

#[test]
fn init_writes_what_it_was_given_room_for_and_no_more() {
    let current = size_of::<helio_client_options>();
    for size in [current, current - 8, 16, 8, 4] {
        let mut room = [0xaa_u8; 4096];
        // SAFETY: the room is larger than any size given.
        unsafe { helio_client_options_init(room.as_mut_ptr().cast(), size as u32) };
        assert!(room[size..].iter().all(|byte| *byte == 0xaa), "bytes behind {size} were written");
    }
    let options = client_options();
    assert_eq!(options.struct_size as usize, current);
    assert_eq!((options.flags, options.log_level, options.reserved0), (0, 0, 0));
    assert_eq!((options.config, options.config_len), (null(), HELIO_STRLEN));
    assert!(options.log_fn.is_none() && options.notify_fn.is_none());
    let options = request_options();
    assert_eq!(options.struct_size as usize, size_of::<helio_request_options>());
    assert_eq!((options.id, options.overrides, options.overrides_len), (0, null(), HELIO_STRLEN));
    assert!(options.on_event.is_none() && options.user_data.is_null());
}

#[test]
fn client_options_of_other_versions_are_read_as_far_as_they_are_known() {
    let current = size_of::<helio_client_options>() as u32;
    let with = |size: u32, tail: u64| {
        let mut options = Grown::new(client_options());
        options.current.struct_size = size;
        options.tail[0] = tail;
        let handle = create(&options.current)?;
        assert_eq!(handle.destroy(10_000), HELIO_OK);
        Ok::<(), Box<Failure>>(())
    };
    with(current, 0).unwrap();
    with(current, 1).expect("what lies behind the struct is not looked at");
    with(current + 8, 0).unwrap();
    with(4096, 0).unwrap();
    assert_eq!(with(current + 8, 1).unwrap_err().status, HELIO_ERR_UNSUPPORTED);
    for size in [0, 4, current - 8, current - 1, 4097, u32::MAX] {
        let error = with(size, 0).unwrap_err();
        assert_eq!(error.status, HELIO_ERR_INVALID_ARGUMENT, "size {size}");
        error.says(&["struct_size"]);
    }
}

#[test]
fn request_options_of_other_versions_are_read_as_far_as_they_are_known() {
    let server = answering();
    let client = Client::of(&server);
    let current = size_of::<helio_request_options>() as u32;
    let with = |size: u32, tail: u64| {
        let mut options = Grown::new(request_options());
        options.current.struct_size = size;
        options.tail[0] = tail;
        // SAFETY: the struct has at least the size it names, or names one that is refused before it is read.
        unsafe { complete(client.handle(), ASK.as_ptr().cast(), ASK.len(), &options.current) }
    };
    with(current, 1).ok();
    with(current + 8, 0).ok();
    with(4096, 0).ok();
    with(current + 8, 1).refused(HELIO_ERR_UNSUPPORTED);
    for size in [0, 8, current - 8, current - 1, 4097, u32::MAX] {
        with(size, 0).refused(HELIO_ERR_INVALID_ARGUMENT).says(&["struct_size"]);
    }
}

#[test]
fn flags_that_nobody_knows_are_unsupported() {
    for flags in [1, 1 << 31, u32::MAX] {
        let mut options = client_options();
        options.flags = flags;
        assert_eq!(create(&options).err().unwrap().status, HELIO_ERR_UNSUPPORTED);
    }
}

#[test]
fn a_length_may_be_left_to_strlen() {
    let server = answering();
    let config = CString::new(json!({"base_url": server.url(), "api_key": "k"}).to_string()).unwrap();
    let mut options = client_options();
    options.config = config.as_ptr();
    let handle = create(&options).unwrap();
    let overrides = CString::new("{\"headers\":{\"x-a\":\"1\"}}").unwrap();
    let body = CString::new(ASK).unwrap();
    let mut options = request_options();
    options.overrides = overrides.as_ptr();
    // SAFETY: every text ends in NUL.
    unsafe { complete(handle, body.as_ptr(), HELIO_STRLEN, &options) }.ok();
    assert_eq!(server.only_request().header("x-a"), Some("1"));
    assert_eq!(handle.destroy(10_000), HELIO_OK);
}

// ---- ids ----

#[test]
fn ids_are_never_zero_and_never_the_same() {
    let (_server, client) = untouched();
    let (_other_server, other) = untouched();
    let ids: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = [&client, &other, &client, &other]
            .map(|client| scope.spawn(|| (0..500).map(|_| client.reserve()).collect::<Vec<_>>()))
            .into_iter()
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id != 0));
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 2000);
}

#[test]
fn an_id_is_good_for_one_call_of_its_client() {
    let server = answering();
    let client = Client::of(&server);
    let id = client.reserve();
    client.call(ASK).id(id).run().ok();
    client.call(ASK).id(id).run().refused(HELIO_ERR_INVALID_ARGUMENT).says(&["id"]);
    for never_issued in [u64::MAX, 1 << 60] {
        client.call(ASK).id(never_issued).run().refused(HELIO_ERR_INVALID_ARGUMENT);
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_refused_call_does_not_use_its_id_up() {
    let server = answering();
    let client = Client::of(&server);
    let id = client.reserve();
    client.call("[]").id(id).run().refused(HELIO_ERR_INVALID_JSON);
    client.call(ASK).id(id).run().ok();
}

// ---- bodies ----

#[test]
fn a_body_that_is_not_one_json_object_is_refused() {
    let (_server, client) = untouched();
    for body in [
        "",
        " ",
        "[]",
        "\"text\"",
        "1",
        "null",
        "{",
        "{}{}",
        "{} x",
        "{\"a\":}",
        "{'a':1}",
        "{\"a\":1,}",
        "\u{feff}{}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "// c\n{}",
    ] {
        let outcome = client.ask(body);
        outcome.refused(HELIO_ERR_INVALID_JSON);
    }
    client.ask(b"{}\0").refused(HELIO_ERR_INVALID_JSON);
    client.ask(b"{\"a\":\"x\0y\"}").refused(HELIO_ERR_INVALID_JSON);
}

#[test]
fn a_body_that_is_not_utf_8_is_refused() {
    let (_server, client) = untouched();
    for broken in [&b"{\"a\":\"\xff\"}"[..], b"{\"a\":\"\xe2\x82\"}", b"\xff\xfe{}", b"{\"a\":\"\xed\xa0\x80\"}"] {
        client.ask(broken).refused(HELIO_ERR_INVALID_UTF8);
    }
}

#[test]
fn a_refused_body_is_located() {
    let (_server, client) = untouched();
    let outcome = client.ask("{\"model\":\"m\",\n \"messages\": [}");
    let error = outcome.refused(HELIO_ERR_INVALID_JSON);
    error.says(&["line 2"]);
    assert_eq!(error.http_status, 0);
}

#[test]
fn deep_nesting_in_a_body_does_not_overflow_the_stack() {
    let server = answering();
    let client = Client::of(&server);
    for depth in [50, 100_000, 1_000_000] {
        let body = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        let outcome = client.ask(body);
        assert!([HELIO_OK, HELIO_ERR_INVALID_JSON].contains(&outcome.status), "{}", status_name(outcome.status));
    }
}

#[test]
fn too_many_calls_are_busy() {
    let server = Server::new(|_, conn| conn.stall());
    let client = Client::with(&server, json!({"limits": {"max_in_flight": 1, "max_queued": 0}}));
    std::thread::scope(|scope| {
        let running = scope.spawn(|| client.ask(ASK));
        server.wait_for_requests(1);
        client.ask(ASK).refused(HELIO_ERR_BUSY).says(&["max_"]);
        client.handle().cancel_all();
        running.join().unwrap().fails(HELIO_ERR_CANCELLED);
    });
}
