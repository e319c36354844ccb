//! helio: chat completions from large language models, inside any native program.
//!
//! The library speaks C: what a host sees is `include/helio.h`, made from [`abi`]. Below that border
//! everything is safe Rust, and data takes one road:
//!
//! ```text
//! abi → client → call → provider / wire → sse → chat → deliver
//! ```
//!
//! * [`abi`] checks what comes in, and keeps panics from going out;
//! * [`client`] is what lives as long as the client: config, admission, the runtime;
//! * [`check`] holds a request against what the endpoint takes, if the host wants that;
//! * [`call`] is one request from its start to its DONE: attempts, deadlines, retries, the report;
//! * [`provider`] knows what to send to whom, [`wire`] how the bytes travel;
//! * [`sse`] cuts bytes into events, [`chat`] says what they mean;
//! * [`deliver`] hands the result to the host.

#![deny(missing_docs)]

pub mod abi;
pub mod call;
pub mod chat;
pub mod check;
pub mod client;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod failure;
pub mod fault;
pub mod ids;
pub mod log;
pub mod os;
pub mod provider;
pub mod secrets;
pub mod section;
pub mod sse;
pub mod status;
pub mod text;
pub mod wire;

pub use client::Client;
pub use failure::Failure;
pub use status::Status;
