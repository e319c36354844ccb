//! `helio_chat` and `helio_json_get`, called as a C program calls them.

use std::ffi::CString;
use std::ptr::{dangling_mut, null, null_mut};

use helio::abi::*;

use super::copied::{failure, take_buffer};
use super::outcome::Failure;

/// One `helio_chat`, freed when it is dropped.
pub struct Conversation(pub *mut helio_chat);

fn c(text: &str) -> CString {
    CString::new(text).expect("a text without NUL")
}

impl Conversation {
    pub fn new() -> Conversation {
        let mut chat = null_mut();
        // SAFETY: the pointer can be written.
        assert_eq!(unsafe { helio_chat_create(&mut chat) }, HELIO_OK);
        assert!(!chat.is_null());
        Conversation(chat)
    }

    pub fn add(&self, role: &str, text: impl AsRef<[u8]>) -> helio_status {
        let text = text.as_ref();
        // SAFETY: the chat is alive, the role ends in NUL, the text is given with its length.
        unsafe { helio_chat_add(self.0, c(role).as_ptr(), text.as_ptr().cast(), text.len()) }
    }

    pub fn add_json(&self, message: impl ToString) -> helio_status {
        // SAFETY: the chat is alive, the text ends in NUL.
        unsafe { helio_chat_add_json(self.0, c(&message.to_string()).as_ptr()) }
    }

    pub fn add_reply(&self, completion: impl ToString) -> helio_status {
        // SAFETY: as above.
        unsafe { helio_chat_add_reply(self.0, c(&completion.to_string()).as_ptr()) }
    }

    pub fn add_tool_result(&self, id: &str, text: impl AsRef<[u8]>) -> helio_status {
        let text = text.as_ref();
        // SAFETY: as for `add`.
        unsafe { helio_chat_add_tool_result(self.0, c(id).as_ptr(), text.as_ptr().cast(), text.len()) }
    }

    pub fn remove(&self, first: usize, count: usize) -> helio_status {
        // SAFETY: the chat is alive.
        unsafe { helio_chat_remove(self.0, first, count) }
    }

    pub fn count(&self) -> usize {
        // SAFETY: the chat is alive.
        unsafe { helio_chat_count(self.0) }
    }

    /// The body with these parameters.
    pub fn request(&self, parameters: Option<&str>) -> Result<String, helio_status> {
        let (parameters, mut body) = (parameters.map(c), dangling_mut());
        // SAFETY: the chat is alive, the parameters are NULL or end in NUL.
        let status =
            unsafe { helio_chat_request(self.0, parameters.as_ref().map_or(null(), |text| text.as_ptr()), &mut body) };
        match take_buffer(body) {
            Some(body) if status == HELIO_OK => Ok(body),
            None if status != HELIO_OK => Err(status),
            body => panic!("{status} with {body:?}"),
        }
    }

    /// The messages, as they stand in a body.
    pub fn messages(&self) -> String {
        let body = self.request(None).expect("a body");
        let inside = body.strip_prefix("{\"messages\":[").and_then(|body| body.strip_suffix("]}"));
        inside.unwrap_or_default().to_owned()
    }

    /// Why the last call that failed did.
    pub fn error(&self) -> Option<Failure> {
        // SAFETY: the chat is alive, and used by this thread only.
        unsafe {
            let error = helio_chat_error(self.0);
            (!error.is_null()).then(|| failure(error))
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // SAFETY: it came from helio_chat_create.
        unsafe { helio_chat_free(self.0) };
    }
}

/// One value of a document.
pub fn json_get(document: impl AsRef<[u8]>, pointer: &str) -> Result<String, helio_status> {
    let (document, mut value) = (document.as_ref(), dangling_mut());
    // SAFETY: the document is given with its length, the pointer ends in NUL.
    let status = unsafe { helio_json_get(document.as_ptr().cast(), document.len(), c(pointer).as_ptr(), &mut value) };
    match take_buffer(value) {
        Some(value) if status == HELIO_OK => Ok(value),
        None if status != HELIO_OK => Err(status),
        value => panic!("{status} with {value:?}"),
    }
}
