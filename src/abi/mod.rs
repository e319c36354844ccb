//! The C surface: what `include/helio.h` is made from.
//!
//! Each exported function checks what it is given, enters the client, and calls safe code inside one guard, so that
//! no panic reaches the host. Pointers are read in [`input`] and nowhere else. The comments of exported items are the
//! comments of the header and are written for a C reader; what only a Rust reader needs stands in `//`.
//!
//! cbindgen reads this folder as text: functions stand written out, not in macros, and a callback type holds its
//! `Option` inside, or the header would lose them.

#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc)] // what the host must see to is in the contract, once for all functions

mod client;
mod delivery;
mod event;
mod guard;
mod input;
mod library;
mod request;
mod result;
mod status;

mod chat; // the header ends with it

pub use chat::*;
pub use client::*;
pub use delivery::*;
pub use event::*;
pub use library::*;
pub use request::*;
pub use result::*;
pub use status::*;
