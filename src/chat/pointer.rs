//! JSON Pointer (RFC 6901): one value out of a document, as it is written.

use super::json;
use super::json::Raw;
use super::scan::{self, Scanner};
use crate::failure::Failure;
use crate::status::Status;

/// The value at a place of a document. An error if the pointer is none, the document is no JSON, or nothing is there.
pub fn get<'a>(document: &'a str, pointer: &str) -> Result<Raw<'a>, Failure> {
    if !(pointer.is_empty() || pointer.starts_with('/')) || !has_good_tildes(pointer) {
        let message =
            "a JSON pointer is empty or begins with \"/\", and its ~ is ~0 or ~1, like /choices/0/message (RFC 6901)";
        return Err(Failure::argument(message));
    }
    let mut scanner = Scanner::new(document);
    let value = scanner.value().filter(|_| scanner.is_at_end());
    let mut value = value.ok_or_else(|| {
        Failure::new(Status::InvalidJson, format!("the document is no JSON: {}", json::why_not(document)))
    })?;
    for token in pointer.split('/').skip(1) {
        value =
            step(value, token).ok_or_else(|| Failure::new(Status::NotFound, format!("nothing is at {pointer:?}")))?;
    }
    Ok(value)
}

fn has_good_tildes(pointer: &str) -> bool {
    pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// One step down: a member by its name (the last of that name), or an element by its number.
fn step<'a>(value: Raw<'a>, token: &str) -> Option<Raw<'a>> {
    let mut found = None;
    match value.as_bytes().first()? {
        b'{' => {
            let name = token.replace("~1", "/").replace("~0", "~");
            scan::members(value, |key, member| {
                if json::plain(key) == name {
                    found = Some(member);
                }
            });
        }
        b'[' => {
            let is_number =
                token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
            let wanted: usize = token.parse().ok().filter(|_| is_number)?;
            let mut place = 0;
            scan::elements(value, |element| {
                if place == wanted {
                    found = Some(element);
                }
                place += 1;
            });
        }
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_are_found() {
        let document = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        for (pointer, value) in [
            ("", document),
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(get(document, pointer).expect(pointer), value);
        }
        assert_eq!(get(r#"{"~1":1,"~01":2}"#, "/~01").unwrap(), "1", "~1 is decoded before ~0");
    }
}
