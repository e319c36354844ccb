//! Events come out the same however the bytes are split, and none is larger than the limit.

#![no_main]

use helio::sse::{Events, Kind};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

/// `None` at the end: a line or an event was too large.
fn events(pieces: impl Iterator<Item = Vec<u8>>) -> Vec<Option<(Kind, Vec<u8>)>> {
    let (mut reader, mut found) = (Events::new(LIMIT), Vec::new());
    for piece in pieces {
        let mut input = &piece[..];
        loop {
            match reader.next(&mut input) {
                Ok(Some((kind, data))) => found.push(Some((kind, data.to_vec()))),
                Ok(None) => break,
                Err(_) => {
                    found.push(None);
                    return found;
                }
            }
        }
    }
    if let Some((kind, data)) = reader.rest() {
        found.push(Some((kind, data.to_vec())));
    }
    assert!(found.iter().flatten().all(|(_, data)| data.len() <= LIMIT));
    found
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, bytes)) = input.split_first() else { return };
    let whole = events(std::iter::once(bytes.to_vec()));
    let each = events(bytes.chunks(1).map(<[u8]>::to_vec));
    let some = events(bytes.chunks(usize::from(first % 31) + 2).map(<[u8]>::to_vec));
    assert_eq!(whole, each);
    assert_eq!(whole, some);
});
