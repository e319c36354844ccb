//! `helio_json_get`: one value out of a document (RFC 6901).

use std::ptr::null_mut;

use helio::abi::*;

use crate::support::chat::completion;
use crate::support::conversation::json_get;

#[test]
fn an_answer_is_taken_apart() {
    let answer = completion("Hel\"lo\n🌍");
    for (pointer, value) in [
        ("/choices/0/message/content", "Hel\"lo\n🌍"),
        ("/choices/0/finish_reason", "stop"),
        ("/choices/0/index", "0"),
        ("/usage/total_tokens", "5"),
        ("/usage", r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#),
    ] {
        assert_eq!(json_get(&answer, pointer).as_deref(), Ok(value), "{pointer}");
    }
    assert_eq!(json_get(&answer, "").as_deref(), Ok(answer.as_str()));
}

#[test]
fn a_string_comes_out_unescaped_and_all_else_as_it_is_written() {
    let document = r#" {"s":"\u00fc\n\"\/\ud83c\udf0d\u0000","lone":"\ud83c","n":1.50e+3,"big":123456789012345678901234567890,"t":true,"z":null,"a":[1, 2],"o":{"x" : "y"},"":"empty"} "#;
    for (pointer, value) in [
        ("/s", "ü\n\"/🌍\0"),
        ("/lone", "\u{FFFD}"),
        ("/n", "1.50e+3"),
        ("/big", "123456789012345678901234567890"),
        ("/t", "true"),
        ("/z", "null"),
        ("/a", "[1, 2]"),
        ("/o", r#"{"x" : "y"}"#),
        ("/", "empty"),
    ] {
        assert_eq!(json_get(document, pointer).as_deref(), Ok(value), "{pointer}");
    }
    assert_eq!(json_get("\"text\"", "").as_deref(), Ok("text"));
    assert_eq!(json_get("\"\"", "").as_deref(), Ok(""), "an empty text is there");
}

#[test]
fn names_are_found_however_they_are_written() {
    let document = r#"{"\u006eame":1,"a/b":2,"m~n":3,"x":4,"x":5,"1":6}"#;
    for (pointer, value) in [("/name", "1"), ("/a~1b", "2"), ("/m~0n", "3"), ("/x", "5"), ("/1", "6")] {
        assert_eq!(json_get(document, pointer).as_deref(), Ok(value), "{pointer}");
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let document = r#"{"a":[1,2],"s":"x","z":null}"#;
    for pointer in [
        "/b",
        "/a/2",
        "/a/-",
        "/a/01",
        "/a/+1",
        "/a/ 1",
        "/a/x",
        "/a/",
        "/s/0",
        "/z/x",
        "/a/0/0",
        "/a/99999999999999999999999",
    ] {
        assert_eq!(json_get(document, pointer), Err(HELIO_ERR_NOT_FOUND), "{pointer}");
    }
    assert_eq!(json_get("7", "/a"), Err(HELIO_ERR_NOT_FOUND));
}

#[test]
fn a_wrong_pointer_and_a_broken_document_are_told_apart() {
    for pointer in ["a", "choices/0", "#/a", "/a~", "/a~2b", "/~/x"] {
        assert_eq!(json_get("{}", pointer), Err(HELIO_ERR_INVALID_ARGUMENT), "{pointer}");
    }
    for document in ["", "{", "{} x", "{\"a\":1,}", "nope", "{\"a\":1}{\"a\":2}"] {
        assert_eq!(json_get(document, "/a"), Err(HELIO_ERR_INVALID_JSON), "{document}");
    }
    assert_eq!(json_get(b"{\"a\":\"\xff\"}", "/a"), Err(HELIO_ERR_INVALID_UTF8));
}

#[test]
fn depth_and_size_are_no_trouble() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(json_get(&deep, &"/0".repeat(20)).unwrap().len(), deep.len() - 40);
    let large = format!("{{\"a\":\"{}\",\"b\":7}}", "x".repeat(10_000_000));
    assert_eq!(json_get(&large, "/b").as_deref(), Ok("7"));
}

#[test]
fn it_can_be_asked_whether_something_is_there() {
    let document = c"{\"a\":1}";
    for (pointer, status) in [(c"/a", HELIO_OK), (c"/b", HELIO_ERR_NOT_FOUND)] {
        // SAFETY: both texts end in NUL.
        assert_eq!(unsafe { helio_json_get(document.as_ptr(), HELIO_STRLEN, pointer.as_ptr(), null_mut()) }, status);
    }
}
