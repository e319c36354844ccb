//! Interim heads: the 100 to 103 that may come before an answer. They are kept from ureq, which would take some of them
//! for nonsense and let others pass that are; only one that does not end is left to it, and to its limit on heads.

use super::WireError;
use crate::status::Status;

/// An answer that comes while the request is still being sent is read no further than this before it is heard, and
/// so is a head that claims to be interim and does not end.
pub(super) const MOST: usize = 64 * 1024;

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// A whole interim head of so many bytes, and whether it says to go on sending.
    Interim(usize, bool),
    /// The beginning of one.
    Unfinished,
    /// One with a status that HTTP does not have.
    Strange(&'a [u8]),
    /// Something else, or too little to tell.
    Other,
}

/// What is it?
pub(super) fn look(input: &[u8]) -> Head<'_> {
    let Some(code) = input.get(9..12).filter(|code| input.starts_with(b"HTTP/1.") && code.starts_with(b"1")) else {
        return Head::Other;
    };
    match end_of_head(input) {
        _ if !matches!(code, b"100" | b"101" | b"102" | b"103") => Head::Strange(code),
        Some(end) => Head::Interim(end, code == b"100"),
        None if input.len() > MOST => Head::Other,
        None => Head::Unfinished,
    }
}

/// Where the first blank line ends.
pub(super) fn end_of_head(input: &[u8]) -> Option<usize> {
    later_lines(input).find_map(behind_blank_line).map(|behind| input.len() - behind.len())
}

/// Each line but the first, with all that follows it.
pub(super) fn later_lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    memchr::memchr_iter(b'\n', input).map(|end| &input[end + 1..])
}

/// What follows the blank line that stands here.
pub(super) fn behind_blank_line(input: &[u8]) -> Option<&[u8]> {
    input.strip_prefix(b"\r\n").or_else(|| input.strip_prefix(b"\n"))
}

/// Whether an answer begins here, or something that nobody can make sense of.
pub(super) fn is_answer(input: &[u8]) -> bool {
    match look(input) {
        Head::Interim(..) | Head::Unfinished => false,
        Head::Strange(_) => true,
        Head::Other => input.len() >= 12,
    }
}

/// What is said of interim heads that do not end.
pub(super) fn too_many(peer: &str, limit: u64) -> WireError {
    let message = format!(
        "the interim heads of {peer} before its answer are larger than limits.max_head_bytes ({limit}): raise it"
    );
    WireError::new(Status::TooLarge, message)
}

/// What is said of a status that HTTP does not have.
pub(super) fn strange(peer: &str, code: &[u8]) -> WireError {
    let code = String::from_utf8_lossy(code);
    let message = format!("{peer} answered with the interim status {code}, which HTTP does not have");
    WireError::new(Status::Protocol, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_heads_are_told_from_answers_at_every_cut() {
        let early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
        let all = [&early[..], b"HTTP/1.1 200 OK\r\n\r\n"].concat();
        for cut in 0..all.len() {
            let head = look(&all[..cut]);
            match cut {
                0..12 => assert_eq!(head, Head::Other, "{cut}"),
                cut if cut < early.len() => assert_eq!(head, Head::Unfinished, "{cut}"),
                _ => assert_eq!(head, Head::Interim(early.len(), false), "{cut}"),
            }
            assert!(!is_answer(&all[..cut]), "{cut}");
        }
        assert_eq!((is_answer(b"HTTP/1.1 20"), is_answer(b"HTTP/1.1 200")), (false, true));
        assert_eq!(look(b"HTTP/1.1 104 ?\r\n"), Head::Strange(b"104"));
        assert_eq!(look(b"HTTP/1.1 200 OK\r\n\r\n"), Head::Other);
        assert_eq!(look(b"HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\r\n\r\n"), Head::Interim(23, true));
        assert!(is_answer(b"SSH-2.0-OpenSSH_9.2\r\n"));
    }

    #[test]
    fn an_interim_head_that_does_not_end_is_left_to_the_limit_on_heads() {
        let endless = [&b"HTTP/1.1 100 "[..], &[b'x'; MOST]].concat();
        assert_eq!(look(&endless), Head::Other);
        assert!(is_answer(&endless));
    }
}
