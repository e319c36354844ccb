//! One HTTP request as it came over the wire.

use serde_json::Value;

/// Everything the client sent for one request, in order and unchanged.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts the requests of the whole server, from 0.
    pub number: usize,
    /// Which connection brought it, from 0.
    pub connection: usize,
    /// Its place on that connection, from 0.
    pub place: usize,
    pub method: String,
    pub target: String,
    pub version: String,
    /// In order, the names as they were spelled.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How many TCP segments with data the connection had brought when this request was complete.
    pub segments: u32,
}

impl Request {
    /// Parses a head (without its blank line); the body comes later.
    pub fn parse(head: &str) -> Request {
        let mut lines = head.split("\r\n");
        let start = lines.next().unwrap_or_default();
        let mut words = start.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("bad request line {start:?}")).to_string();
        let (method, target, version) = (word(), word(), word());
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("bad header line {line:?}"));
                (name.to_string(), value.trim().to_string())
            })
            .collect();
        Request { number: 0, connection: 0, place: 0, method, target, version, headers, body: Vec::new(), segments: 0 }
    }

    /// Every value sent under this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value sent under this name; two of them are a failure.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} was sent {} times: {all:?}", all.len());
        all.first().copied()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}
