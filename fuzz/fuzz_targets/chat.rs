//! Conversations of any messages: what is taken comes out again as a request that is JSON, and what is refused changes nothing.

#![no_main]

use helio::chat::conversation::Conversation;
use helio::chat::pointer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut chat = Conversation::default();
    for (place, part) in text.split('\u{1}').take(16).enumerate() {
        let before = chat.count();
        let done = match place % 5 {
            0 => chat.add("user", part),
            1 => chat.add_json(part),
            2 => chat.add_reply(part),
            3 => chat.add_tool_result("call_1", part),
            _ => {
                let (document, path) = part.split_once('\u{2}').unwrap_or((part, "/a/0"));
                if let Ok(found) = pointer::get(document, path) {
                    let whole: serde_json::Value = serde_json::from_str(document).expect("it was read");
                    assert!(whole.pointer(path).is_some() || document.contains('\\'), "{found:?} is not in it");
                }
                continue;
            }
        };
        assert!(done.is_ok() || chat.count() == before, "it was refused and is in it");
        let request = chat.request(None).expect("a request of what was taken");
        let request: serde_json::Value = serde_json::from_str(&request).expect("JSON");
        assert_eq!(request["messages"].as_array().map_or(0, Vec::len), chat.count());
    }
});
