//! The request body: checked once, sent as it came.

use crate::chat::{json, scan};
use crate::failure::Failure;
use crate::status::Status;

/// What the library must know of a request. Nothing else of it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether a stream is asked for.
    pub streams: bool,
    /// How many choices are asked for.
    pub choices: usize,
}

/// Check that the bytes are one JSON object in UTF-8: the text, and what must be known of it.
pub fn read(bytes: &[u8]) -> Result<(&str, Facts), Failure> {
    let text = utf8(bytes, "request body")?;
    let mut facts = Facts { streams: false, choices: 1 };
    let read = scan::members(text, |key, value| match key {
        "stream" => facts.streams = value == "true",
        "n" => facts.choices = value.parse().unwrap_or(1),
        _ => {}
    });
    match read {
        Some(()) => Ok((text, facts)),
        None => Err(Failure::new(
            Status::InvalidJson,
            format!(
                "the request body must be one JSON object like {{\"model\": …, \"messages\": […]}}: {}",
                json::why_not(text)
            ),
        )),
    }
}

/// The text that the bytes are; `what` names them.
pub fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Failure> {
    std::str::from_utf8(bytes).map_err(|error| {
        Failure::new(
            Status::InvalidUtf8,
            format!("the {what} is not UTF-8 at byte {}: convert it first", error.valid_up_to()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_object_in_utf8_is_a_request() {
        let check = |bytes: &[u8]| read(bytes).map(|(_, facts)| facts).map_err(|failure| failure.status);
        assert_eq!(
            check(br#"{"model":"m","stream":true,"n":3,"x":[{"stream":false}]}"#),
            Ok(Facts { streams: true, choices: 3 })
        );
        assert_eq!(check(br#"{"stream":null,"n":"many"}"#), Ok(Facts { streams: false, choices: 1 }));
        for broken in [
            &b""[..],
            b"  ",
            b"[]",
            b"null",
            b"\"x\"",
            b"{} x",
            b"{\"a\":1,}",
            b"{'a':1}",
            b"{\"a\":NaN}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"\\q\"}",
            b"{\"m\":\"m\"\0}",
        ] {
            assert_eq!(check(broken), Err(Status::InvalidJson), "{}", String::from_utf8_lossy(broken));
        }
        assert_eq!(check(b"{\"a\":\"\xff\"}"), Err(Status::InvalidUtf8));
        let deep = [b"{\"a\":".as_slice(), &[b'['; 100_000], &[b']'; 100_000], b"}"].concat();
        assert!(check(&deep).is_ok());
    }
}
