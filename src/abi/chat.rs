//! Conversations and JSON, for hosts that have no JSON library. No client is involved: all of it works in callbacks,
//! after a shutdown, and in a forked child.

use std::ffi::c_char;
use std::ptr::{null, null_mut};
use std::sync::{Mutex, MutexGuard};

use super::guard::guard;
use super::input;
use super::result::{boxed_buffer, put};
use super::{HELIO_ERR_INTERNAL, HELIO_ERR_INVALID_ARGUMENT, HELIO_OK, HELIO_STRLEN};
use super::{helio_buffer, helio_error, helio_status};
use crate::chat::conversation::Conversation;
use crate::chat::{json, pointer};
use crate::failure::Failure;
use crate::text::ZString;

/// The messages of a conversation. The server remembers nothing: each request sends all of them. Belongs to no client.
/// docs/conversation.md.
pub struct helio_chat {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    conversation: Conversation,
    error: Option<Box<helio_error>>, // boxed: the host may hold its address
}

/// Make a conversation without messages.
///
/// @param out_chat gets the conversation, to be freed with helio_chat_free.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_create(out_chat: *mut *mut helio_chat) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        if out_chat.is_null() {
            return HELIO_ERR_INVALID_ARGUMENT;
        }
        let chat = Box::new(helio_chat { inside: Mutex::default() });
        // SAFETY: it can be written, says the contract.
        unsafe { put(out_chat, Box::into_raw(chat)) };
        HELIO_OK
    })
}

/// Free a conversation. NULL is fine. Any thread; no other may use it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_free(chat: *mut helio_chat) {
    if !chat.is_null() {
        // SAFETY: it came from helio_chat_create and is freed once, says the contract.
        guard((), || drop(unsafe { Box::from_raw(chat) }));
    }
}

/// Add a message that is a text: {"role":…,"content":…}.
///
/// @param role "system", "developer", "user" or "assistant", ends in NUL. ("tool": helio_chat_add_tool_result; others and
/// messages with parts, like images: helio_chat_add_json.)
/// @param text UTF-8, any text; copied before the call returns.
/// @param len bytes of `text`, or HELIO_STRLEN.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, another role), _INVALID_UTF8: nothing was added, and
/// helio_chat_error says why. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_add(
    chat: *mut helio_chat,
    role: *const c_char,
    text: *const c_char,
    len: usize,
) -> helio_status {
    // SAFETY: the chat is NULL or alive, the texts are NULL or as long as they say, says the contract.
    unsafe {
        with_chat(chat, |conversation| {
            conversation.add(needed(role, HELIO_STRLEN, "role")?, needed(text, len, "text")?)
        })
    }
}

/// Add a message as it is written, or each message of an array, all or none: images, what was stored before, messages of
/// other roles.
///
/// @param message one JSON object with a "role", or an array of them; ends in NUL (JSON never holds one). Kept byte for
/// byte; copied before the call returns.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, no "role"), _INVALID_UTF8, _INVALID_JSON: nothing was added, and
/// helio_chat_error says why. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_add_json(chat: *mut helio_chat, message: *const c_char) -> helio_status {
    // SAFETY: as for helio_chat_add.
    unsafe { with_chat(chat, |conversation| conversation.add_json(needed(message, HELIO_STRLEN, "message")?)) }
}

/// Add the assistant's message of an answer, as servers want it back in the next request: tool calls, reasoning, its
/// signatures and what else its provider wants to see again included; docs/conversation.md has the rules.
///
/// @param completion a chat.completion (what helio_complete gave, or the data of a DONE), of which choice 0 counts; or one
/// message by itself, like that of another choice. Ends in NUL (JSON never holds one). Copied before the call returns.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, no choice or message in it, tool calls of an answer that broke off),
/// _INVALID_UTF8, _INVALID_JSON: nothing was added, and helio_chat_error says why. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_add_reply(chat: *mut helio_chat, completion: *const c_char) -> helio_status {
    // SAFETY: as for helio_chat_add.
    unsafe { with_chat(chat, |conversation| conversation.add_reply(needed(completion, HELIO_STRLEN, "completion")?)) }
}

/// Add what a tool answered: {"role":"tool","tool_call_id":…,"content":…}. Each call of a reply wants one, before the next
/// request.
///
/// @param tool_call_id the "id" of the call, ends in NUL.
/// @param text UTF-8, any text, JSON or not; copied before the call returns.
/// @param len bytes of `text`, or HELIO_STRLEN.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (NULL, an empty id), _INVALID_UTF8: nothing was added, and
/// helio_chat_error says why. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_add_tool_result(
    chat: *mut helio_chat,
    tool_call_id: *const c_char,
    text: *const c_char,
    len: usize,
) -> helio_status {
    // SAFETY: as for helio_chat_add.
    unsafe {
        with_chat(chat, |conversation| {
            conversation
                .add_tool_result(needed(tool_call_id, HELIO_STRLEN, "tool_call_id")?, needed(text, len, "text")?)
        })
    }
}

/// How many messages a conversation has.
///
/// @return 0 for NULL. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_count(chat: *const helio_chat) -> usize {
    // SAFETY: the chat is NULL or alive, says the contract.
    guard(0, || unsafe { chat.as_ref() }.map_or(0, |chat| chat.lock().conversation.count()))
}

/// Remove messages: a turn that failed, or the oldest of a long conversation.
///
/// @param first the place of the first one to go, from 0.
/// @param count how many; beyond the end there is nothing to remove, which is no error. (size_t)-1: all behind `first`.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT for a NULL chat. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_remove(chat: *mut helio_chat, first: usize, count: usize) -> helio_status {
    // SAFETY: as for helio_chat_count.
    unsafe {
        with_chat(chat, |conversation| {
            conversation.remove(first, count);
            Ok(())
        })
    }
}

/// The body of a request: the parameters as they are written, and the messages behind them. The same conversation and
/// parameters give the same bytes, as caches of prompts and answers need it. Without messages there is no "messages":
/// a prompt of the gateway's may have them.
///
/// @param parameters one JSON object without "messages", like {"model":"gpt-4o-mini","stream":true}; ends in NUL. NULL: none:
/// {"messages":[…]}, to be stored; helio_chat_add_json takes the array back.
/// @param out_body gets the body, to be freed with helio_buffer_free; may be NULL.
/// @return HELIO_OK; HELIO_ERR_INVALID_ARGUMENT (a NULL chat, parameters with "messages"), _INVALID_UTF8, _INVALID_JSON:
/// helio_chat_error says why. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_request(
    chat: *const helio_chat,
    parameters: *const c_char,
    out_body: *mut *mut helio_buffer,
) -> helio_status {
    // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
    unsafe { put(out_body, null_mut()) };
    // SAFETY: as for helio_chat_add.
    unsafe {
        with_chat(chat, |conversation| {
            let body = conversation.request(input::text(parameters, HELIO_STRLEN, "parameters")?)?;
            if !out_body.is_null() {
                put(out_body, boxed_buffer(body.into()));
            }
            Ok(())
        })
    }
}

/// Why a call on this conversation failed: the last one that did.
///
/// @return an error for the helio_error_… functions; belongs to the chat, until the next of its calls that fails, or its
/// free; never freed by the host. NULL: none has failed, or the chat is NULL. Any thread, but a chat whose errors are
/// looked at is used by one thread at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_chat_error(chat: *const helio_chat) -> *const helio_error {
    guard(null(), || {
        // SAFETY: as for helio_chat_count.
        let chat = unsafe { chat.as_ref() };
        chat.map_or(null(), |chat| chat.lock().error.as_deref().map_or(null(), std::ptr::from_ref))
    })
}

/// One value out of a JSON document, by its JSON Pointer (RFC 6901): "/choices/0/message/content", "" for all of it. In a
/// name ~1 stands for / and ~0 for ~. A string comes out unescaped, without its quotes; anything else as it is written.
///
/// @param json UTF-8; used until the call returns.
/// @param len bytes of `json`, or HELIO_STRLEN.
/// @param pointer ends in NUL.
/// @param out_value gets the value, to be freed with helio_buffer_free; may be NULL: to see whether it is there.
/// @return HELIO_OK, for null, too (its value is the text null); HELIO_ERR_NOT_FOUND: nothing is there, and `out_value` gets NULL;
/// HELIO_ERR_INVALID_ARGUMENT (NULL, no pointer), _INVALID_UTF8, _INVALID_JSON (the document). Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn helio_json_get(
    json: *const c_char,
    len: usize,
    pointer: *const c_char,
    out_value: *mut *mut helio_buffer,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: out-parameters are NULL or can be written, says the contract; so below.
        unsafe { put(out_value, null_mut()) };
        // SAFETY: the texts are NULL or as long as they say, says the contract.
        let found = unsafe {
            needed(json, len, "document").and_then(|json| Ok((json, needed(pointer, HELIO_STRLEN, "pointer")?)))
        };
        match found.and_then(|(document, pointer)| pointer::get(document, pointer)) {
            Ok(raw) => {
                if !out_value.is_null() {
                    let value = ZString::of(&json::text(raw).unwrap_or(raw.into()));
                    // SAFETY: as above.
                    unsafe { put(out_value, boxed_buffer(value)) };
                }
                HELIO_OK
            }
            Err(failure) => failure.status.into(),
        }
    })
}

impl helio_chat {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A call on a conversation, whose failure it keeps.
///
/// # Safety
/// `chat` is NULL or alive.
unsafe fn with_chat(
    chat: *const helio_chat,
    body: impl FnOnce(&mut Conversation) -> Result<(), Failure>,
) -> helio_status {
    guard(HELIO_ERR_INTERNAL, || {
        // SAFETY: by the contract of this function.
        let Some(chat) = (unsafe { chat.as_ref() }) else {
            return HELIO_ERR_INVALID_ARGUMENT;
        };
        let mut inside = chat.lock();
        match body(&mut inside.conversation) {
            Ok(()) => HELIO_OK,
            Err(failure) => {
                inside.error = Some(Box::new(helio_error::from(&failure)));
                failure.status.into()
            }
        }
    })
}

/// A text that must be there; `what` names it.
///
/// # Safety
/// As for [`input::text`].
unsafe fn needed<'a>(text: *const c_char, len: usize, what: &str) -> Result<&'a str, Failure> {
    // SAFETY: by the contract of this function.
    unsafe { input::text(text, len, what) }?.ok_or_else(|| Failure::argument(format!("the {what} is NULL")))
}
