//! Server-sent events: bytes into events, by the rules of the WHATWG HTML standard, section 9.2.6, over any split.
//!
//! This module knows lines and fields, not what an event means. It keeps no comment and no field but `data` and
//! `event`, and nothing larger than its limit. Two things go beyond the standard, because real servers do them: a
//! field named `error` is an event of that type (older llama.cpp), and a line that begins with `{` is an event of
//! its own (lemonade). What is left unfinished at the end is shown to the caller, who may know better than to drop it.

/// What an event calls itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// No type, or one that says nothing of an error.
    Message,
    /// `event: error`, or a field named `error`.
    Error,
    /// JSON on a line of its own, without a field name.
    Bare,
}

/// A line or an event is larger than the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge;

/// A spare buffer is no larger: most events are smaller, and it ends as what a stream keeps.
const SPARE_MOST: usize = 1024;

/// Give a buffer back, empty: into `spare` if it is larger than what is there, and not too large.
pub fn give_up(buffer: &mut Vec<u8>, spare: &mut Vec<u8>) {
    let mut buffer = std::mem::take(buffer);
    if buffer.capacity() > spare.capacity() && buffer.capacity() <= SPARE_MOST {
        buffer.clear();
        *spare = buffer;
    }
}

/// Cuts a stream of bytes into events.
pub struct Events {
    limit: usize,
    line: Vec<u8>, // the beginning of a line whose end has not come
    length: usize, // of the line so far, also where it is not kept
    after_cr: bool,
    data: Vec<u8>,
    has_data: bool,
    kind: Kind,
}

impl Events {
    /// No line and no event may be larger than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Events {
            limit,
            line: Vec::new(),
            length: 0,
            after_cr: false,
            data: Vec::new(),
            has_data: false,
            kind: Kind::Message,
        }
    }

    /// Read on until an event is whole, and show its data: where it lies in `input`, if all of it does. Takes what it
    /// used off the front of `input`; `None`: it wants more.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Result<Option<(Kind, &'a [u8])>, TooLarge> {
        while !input.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                if input[0] == b'\n' {
                    *input = &input[1..];
                    continue;
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', input) else {
                self.keep(input)?;
                *input = &[];
                return Ok(None);
            };
            self.after_cr = input[end] == b'\r';
            let (rest, whole) = (&input[end + 1..], &input[..end]);
            let event = if self.length == 0 {
                if whole.len() > self.limit {
                    return Err(TooLarge);
                }
                if !self.has_data
                    && let Some(value) = whole.strip_prefix(b"data:")
                    && let Some(behind) = behind_blank_line(input[end], rest)
                {
                    // An event of one line, as nearly all are: there is nothing to keep.
                    self.after_cr = false;
                    *input = behind;
                    let kind = std::mem::replace(&mut self.kind, Kind::Message);
                    return Ok(Some((kind, without_space(value))));
                }
                self.take_line(whole)?
            } else {
                self.keep(whole)?;
                let line = std::mem::take(&mut self.line);
                let event = self.take_line(&line)?;
                self.line = line;
                self.line.clear();
                self.length = 0;
                event
            };
            *input = rest;
            if let Some(kind) = event {
                return Ok(Some((kind, self.hand_over())));
            }
        }
        Ok(None)
    }

    /// The stream has ended: the event that was not finished, if there is one.
    pub fn rest(&mut self) -> Option<(Kind, &[u8])> {
        if self.length > 0 {
            let line = std::mem::take(&mut self.line);
            self.length = 0;
            if let Ok(Some(kind)) = self.take_line(&line) {
                return Some((kind, self.hand_over()));
            }
        }
        self.has_data.then(|| (self.kind, self.hand_over()))
    }

    /// Use this buffer, if there is none.
    pub fn lend(&mut self, spare: &mut Vec<u8>) {
        if self.data.capacity() == 0 {
            self.data = std::mem::take(spare);
        }
    }

    /// Give back memory that holds nothing; a buffer into `spare`.
    pub fn relax(&mut self, spare: &mut Vec<u8>) {
        if self.length == 0 {
            give_up(&mut self.line, spare);
        }
        if !self.has_data {
            give_up(&mut self.data, spare);
        }
    }

    /// The data of an event that is whole: kept until the next one begins.
    fn hand_over(&mut self) -> &[u8] {
        self.has_data = false;
        self.kind = Kind::Message;
        &self.data
    }

    /// Keep the beginning of a line; of a comment only its length.
    fn keep(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        self.length += part.len();
        if self.length > self.limit {
            return Err(TooLarge);
        }
        if self.line.first().or(part.first()) != Some(&b':') {
            self.line.extend_from_slice(part);
        } else if self.line.is_empty() {
            self.line.push(b':');
        }
        Ok(())
    }

    /// A whole line; the type of the event that it ends, if it ends one.
    fn take_line(&mut self, line: &[u8]) -> Result<Option<Kind>, TooLarge> {
        let Some(first) = line.first() else {
            let kind = std::mem::replace(&mut self.kind, Kind::Message);
            return Ok(self.has_data.then_some(kind));
        };
        if *first == b'{' && !self.has_data {
            self.append(line)?;
            return Ok(Some(Kind::Bare));
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return Ok(None),
            Some(at) => (&line[..at], without_space(&line[at + 1..])),
            None => (line, &line[..0]),
        };
        match name {
            b"data" => self.append(value)?,
            b"error" => {
                self.append(value)?;
                self.kind = Kind::Error;
            }
            b"event" => self.kind = if value == b"error" { Kind::Error } else { Kind::Message },
            _ => {}
        }
        Ok(None)
    }

    fn append(&mut self, value: &[u8]) -> Result<(), TooLarge> {
        if !self.has_data {
            self.data.clear();
            self.data.reserve_exact(value.len()); // most events are one line
        }
        if self.data.len() + usize::from(self.has_data) + value.len() > self.limit {
            return Err(TooLarge);
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }
}

/// The blank behind a colon is none of the value.
fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// What follows a blank line, if one follows the line that has ended with `end`, and all of both ends is here.
fn behind_blank_line(end: u8, rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(if end == b'\n' { &b"\n"[..] } else { b"\n\r\n" })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All events of a stream that comes in these pieces, and what is left at its end.
    fn read(pieces: &[&[u8]]) -> (Vec<(Kind, String)>, Option<String>) {
        let (mut events, mut seen) = (Events::new(1 << 20), Vec::new());
        let text = |data: &[u8]| String::from_utf8_lossy(data).into_owned();
        for piece in pieces {
            let mut input = *piece;
            while let Some((kind, data)) = events.next(&mut input).unwrap() {
                seen.push((kind, text(data)));
            }
            assert!(input.is_empty());
        }
        let rest = events.rest().map(|(_, data)| text(data));
        (seen, rest)
    }

    fn messages(texts: &[&str]) -> Vec<(Kind, String)> {
        texts.iter().map(|text| (Kind::Message, text.to_string())).collect()
    }

    #[test]
    fn the_standards_own_examples() {
        assert_eq!(read(&[b"data: YHOO\ndata: +2\ndata: 10\n\n"]).0, messages(&["YHOO\n+2\n10"]));
        let four = b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(read(&[four]).0, messages(&["first event", "second event", " third event"]));
        assert_eq!(read(&[b"data\n\ndata\ndata\n\ndata:"]), (messages(&["", "\n"]), Some(String::new())));
        assert_eq!(read(&[b"data:test\n\ndata: test\n\n"]).0, messages(&["test", "test"]));
    }

    #[test]
    fn every_split_of_every_line_end_gives_the_same_events() {
        for eol in ["\n", "\r", "\r\n"] {
            let text = [
                ": c",
                "data: {\"a\":\"ü€\"}",
                "",
                "event: x",
                "data: one",
                "data: two",
                "other: 1",
                "",
                "",
                "data: last",
                "",
                "",
            ]
            .join(eol);
            let bytes = text.as_bytes();
            let expected = messages(&["{\"a\":\"ü€\"}", "one\ntwo", "last"]);
            for cut in 0..=bytes.len() {
                assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]).0, expected, "{eol:?} cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single).0, expected, "{eol:?} byte by byte");
        }
    }

    #[test]
    fn a_lone_cr_ends_a_line_without_waiting_for_more() {
        assert_eq!(read(&[b"data: a\r\r"]).0, messages(&["a"]));
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(read(&[b"event: ping\n\nid: 7\n\nretry: 1\n\ndata: x\n\n"]).0, messages(&["x"]));
    }

    #[test]
    fn errors_are_told_by_type_by_field_and_by_bare_json() {
        assert_eq!(read(&[b"event: error\ndata: no\n\n"]).0, [(Kind::Error, "no".into())]);
        assert_eq!(read(&[b"error: {\"code\":500}\n\n"]).0, [(Kind::Error, "{\"code\":500}".into())]);
        assert_eq!(read(&[b"data: a\n\n{\"error\":1}\ndata: b\n\n"]).0.len(), 3);
        // The type belongs to one event only.
        assert_eq!(read(&[b"event: error\n\ndata: fine\n\n"]).0, messages(&["fine"]));
    }

    #[test]
    fn a_buffer_goes_from_one_stream_to_the_next() {
        let mut spare = Vec::new();
        let one_event = |text: &str, spare: &mut Vec<u8>| {
            let mut events = Events::new(1 << 20);
            events.lend(spare);
            let lent = events.data.capacity();
            assert_eq!(spare.capacity(), 0);
            let data = text.strip_prefix("data: ").unwrap().trim_end().as_bytes();
            for mut piece in text.split_inclusive('\n').map(str::as_bytes) {
                let found = events.next(&mut piece).unwrap();
                assert!(found.is_none_or(|found| found == (Kind::Message, data)));
            }
            events.relax(spare);
            assert_eq!((events.data.capacity(), spare.len()), (0, 0));
            lent
        };
        let long = format!("data: {}\n\n", "x".repeat(2 * SPARE_MOST));
        assert_eq!(one_event("data: four\n\n", &mut spare), 0);
        assert_eq!(one_event("data: twelve bytes\n\n", &mut spare), 4);
        assert_eq!(one_event("data: a\n\n", &mut spare), 12);
        assert_eq!(one_event(&long, &mut spare), 12); // and then too large to be kept
        assert_eq!(one_event("data: a\n\n", &mut spare), 0);
    }

    #[test]
    fn what_is_unfinished_at_the_end_is_told() {
        assert_eq!(read(&[b"data: a\n\ndata: [DONE]"]), (messages(&["a"]), Some("[DONE]".into())));
        assert_eq!(read(&[b"data: a\n"]), (vec![], Some("a".into())));
        assert_eq!(read(&[b"data: a\n\n: comm"]), (messages(&["a"]), None));
    }

    #[test]
    fn limits_hold_for_lines_events_and_what_is_thrown_away() {
        for endless in [&b"data: "[..], b": ", b"unknown", b"unknown: "] {
            let mut events = Events::new(100);
            let pieces = std::iter::once(endless).chain([&b"xxxxxxxxxx"[..]; 20]);
            let result = pieces.map(|mut piece| events.next(&mut piece).map(|_| ())).find(Result::is_err);
            assert_eq!(result, Some(Err(TooLarge)));
            assert!(events.line.capacity() <= 200);
        }
        let many = b"data: 0123456789\n".repeat(20);
        assert_eq!(Events::new(100).next(&mut &many[..]), Err(TooLarge));
        for (length, is_taken) in [(95, true), (96, false)] {
            let line = [&b"data:"[..], &vec![b'x'; length], b"\n\n"].concat();
            let mut events = Events::new(100);
            assert_eq!(events.next(&mut &line[..]).is_ok_and(|found| found.is_some()), is_taken);
        }
    }
}
