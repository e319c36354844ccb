//! Every body of an error is understood as something, of any HTTP status, and never as success.

#![no_main]

use helio::Status;
use helio::chat::refusal::understand;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [a, b, body @ ..] = input else { return };
    let http_status = u16::from_be_bytes([*a, *b]) % 1000;
    let body = String::from_utf8_lossy(body);
    let refusal = understand(http_status, &body);
    assert_ne!(refusal.status, Status::Ok);
    assert!(!refusal.message.is_empty());
    assert_eq!(refusal, understand(http_status, &body));
});
