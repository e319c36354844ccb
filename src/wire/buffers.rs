//! The buffers of a lane: nothing while idle, small while a stream trickles, larger while an answer floods.

use std::sync::{Arc, Mutex};

use ureq::unversioned::transport::Buffers;

/// What input and output begin with.
const START: usize = 4 * 1024;
const INPUT_MOST: usize = 64 * 1024;
/// No server sends larger chunks.
const SIZE_DIGITS_MOST: usize = 8;
/// Output is gathered up to here, so that head and body leave in one send.
pub(super) const OUTPUT_MOST: usize = 64 * 1024;

/// Buffers of the first size that no lane of a client needs now: asked for one of them, the allocator tidies up each
/// time. Nobody waits for the lock, which could have been held when the process forked.
#[derive(Default)]
pub(super) struct Stock(Mutex<Vec<Vec<u8>>>);

impl Stock {
    const MOST: usize = 16;

    fn take(&self) -> Vec<u8> {
        let kept = self.0.try_lock().ok().and_then(|mut kept| kept.pop());
        kept.unwrap_or_else(|| vec![0; START])
    }

    fn give_back(&self, buffer: Vec<u8>) {
        if buffer.len() == START
            && let Ok(mut kept) = self.0.try_lock()
            && kept.len() < Self::MOST
        {
            kept.push(buffer);
        }
    }
}

/// Input that grows when reads fill it, and output that is gathered until it is flushed.
pub(super) struct Elastic {
    stock: Arc<Stock>,
    input: Vec<u8>,
    start: usize, // input[start..end] was received and is not consumed
    end: usize,
    progress: bool,
    in_body: bool,
    output: Vec<u8>,
    gathered: usize, // output[..gathered] waits to be sent
}

impl Elastic {
    /// Empty ones, which come from this stock and go back to it.
    pub fn new(stock: Arc<Stock>) -> Self {
        let (input, output) = (Vec::new(), Vec::new());
        Elastic { stock, input, start: 0, end: 0, progress: false, in_body: false, output, gathered: 0 }
    }

    /// Give the memory back, if nothing is in it.
    pub fn relax(&mut self) {
        if self.start == self.end {
            self.stock.give_back(std::mem::take(&mut self.input));
            (self.start, self.end) = (0, 0);
        }
        self.relax_output();
    }

    /// Give the output's memory back: the request is sent.
    pub fn relax_output(&mut self) {
        if self.gathered == 0 {
            self.stock.give_back(std::mem::take(&mut self.output));
        }
    }

    /// `amount` more bytes of the output wait to be sent.
    pub fn gather(&mut self, amount: usize) {
        self.gathered += amount;
    }

    /// What waits to be sent.
    pub fn gathered(&self) -> &[u8] {
        &self.output[..self.gathered]
    }

    /// All of it was sent, or never will be.
    pub fn sent(&mut self) {
        self.gathered = 0;
    }

    /// All that has come and was not consumed.
    pub fn unread(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// Whether ureq reads a body now.
    pub fn reads_body(&mut self, in_body: bool) {
        self.in_body = in_body;
    }

    /// Bytes came before ureq asked for them: it may use them when it does.
    pub fn came_early(&mut self) {
        self.progress = true;
    }
}

/// Where the first line ends, if it does.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\r', bytes).find(|at| bytes.get(at + 1) == Some(&b'\n')).map(|at| at + 2)
}

/// How long the line is that begins here, if it says the size of a chunk and nothing else.
fn size_line(bytes: &[u8]) -> usize {
    let digits = bytes.iter().take(SIZE_DIGITS_MOST).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits > 0 && bytes[digits..].starts_with(b"\r\n") { digits + 2 } else { 0 }
}

impl Buffers for Elastic {
    fn output(&mut self) -> &mut [u8] {
        if self.output.is_empty() {
            self.output = self.stock.take();
        } else if self.output.len() - self.gathered < START / 2 {
            self.output.resize(self.gathered + OUTPUT_MOST, 0);
        }
        &mut self.output[self.gathered..]
    }

    /// ureq-proto 0.7 looks for a `;` in the hundred bytes from where the line with a chunk's size begins, however
    /// soon that line ends: a third of all instructions of a stream. So it is shown nothing behind such a line: the line
    /// by itself, or what one chunk holds and the line of the next, if that is as it should be (what was read together
    /// with a fault might be lost). The framing's lines end in CR LF, and hardly one within an answer; where one does,
    /// less is shown at once, and nothing else differs.
    fn input(&self) -> &[u8] {
        let unread = self.unread();
        if !self.in_body {
            return unread;
        }
        let end = match size_line(unread) {
            0 => end_of_line(unread).map_or(unread.len(), |end| end + size_line(&unread[end..])),
            end => end,
        };
        &unread[..end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.input.is_empty() {
            self.input = self.stock.take();
        } else if self.input.len() - self.end < START / 2 {
            self.input.resize(self.input.len() * 2, 0);
        }
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end += amount;
        if self.end == self.input.len() && self.input.len() < INPUT_MOST {
            // A read filled it: more is coming than it holds.
            self.input.resize(self.input.len() * 2, 0);
        }
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start += amount;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.output();
        self.input_append_buf();
        (&mut self.input[self.end..], &mut self.output[self.gathered..])
    }

    fn can_use_input(&self) -> bool {
        self.end > self.start && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_grows_for_what_is_not_consumed_and_is_given_back_when_empty() {
        let mut buffers = Elastic::new(Arc::default());
        for round in 0..40u8 {
            let room = buffers.input_append_buf();
            room[..1000].fill(round);
            buffers.input_appended(1000);
        }
        assert_eq!(buffers.input().len(), 40_000);
        assert_eq!((buffers.input()[999], buffers.input()[1000]), (0, 1));
        buffers.input_consume(39_999);
        assert!(buffers.can_use_input());
        buffers.relax();
        assert_eq!(buffers.input(), [39]);
        buffers.input_consume(1);
        buffers.relax();
        assert_eq!(buffers.input.capacity(), 0);
    }

    #[test]
    fn buffers_are_used_again_by_whoever_needs_one_next() {
        let stock = Arc::<Stock>::default();
        let kept = || stock.0.lock().unwrap().len();
        let mut lanes: Vec<_> = (0..Stock::MOST).map(|_| Elastic::new(stock.clone())).collect();
        for lane in &mut lanes {
            lane.tmp_and_output();
        }
        assert_eq!(kept(), 0);
        lanes.iter_mut().for_each(Elastic::relax);
        assert_eq!(kept(), Stock::MOST); // and as many have gone
        lanes[0].output();
        assert_eq!(kept(), Stock::MOST - 1);
        lanes[0].input_append_buf();
        lanes[0].input_appended(START); // a read that fills it makes it larger, and those are not kept
        lanes[0].input_consume(START);
        lanes[0].relax();
        assert_eq!(kept(), Stock::MOST - 1);
    }

    #[test]
    fn of_a_body_nothing_is_shown_behind_the_size_of_a_chunk() {
        let mut buffers = Elastic::new(Arc::default());
        let text = b"4\r\na\rb\n\r\n1Fa\r\ndata\r\n\r\nf;x\r\nmore\r\ng\r\n123456789\r\n0\r\n\r\nrest\r";
        buffers.input_append_buf()[..text.len()].copy_from_slice(text);
        buffers.input_appended(text.len());
        assert_eq!(buffers.input(), text); // of a head all is shown
        buffers.reads_body(true);
        let mut shown = Vec::new();
        while !buffers.input().is_empty() {
            shown.push(buffers.input().to_vec());
            buffers.input_consume(shown[shown.len() - 1].len());
        }
        let expected = "4\r\n|a\rb\n\r\n1Fa\r\n|data\r\n|\r\n|f;x\r\n|more\r\n|g\r\n|123456789\r\n0\r\n|\r\n|rest\r";
        assert_eq!(String::from_utf8(shown.join(&b'|')).unwrap(), expected);
    }

    #[test]
    fn head_and_body_are_gathered_behind_each_other() {
        let mut buffers = Elastic::new(Arc::default());
        buffers.output()[..4].copy_from_slice(b"head");
        buffers.gather(4);
        let (_, output) = buffers.tmp_and_output();
        output[..4].copy_from_slice(b"body");
        buffers.gather(4);
        assert_eq!(buffers.gathered(), b"headbody");
        buffers.sent();
        assert!(buffers.gathered().is_empty());
    }
}
