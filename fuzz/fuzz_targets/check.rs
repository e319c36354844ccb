//! The check of a request body says the same twice, and finds nothing in what it was not given to look at.

#![no_main]

use helio::check::findings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(body) = std::str::from_utf8(input) else { return };
    let found = findings(body);
    assert_eq!(found, findings(body));
    assert!(found.iter().all(|finding| !finding.is_empty()));
});
