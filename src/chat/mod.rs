//! Chat completions: what the bytes of an answer mean.
//!
//! [`body`] reads a body in whichever of its two forms it is, which `form` finds out: a stream of chunks, or one JSON object.
//! [`chunk`] reads one chunk ([`repeat`] those that are like the one before), [`assemble`] adds chunks up to one completion (with [`tools`] for tool calls and
//! [`merge`] for what it does not know), [`completion`] looks into a whole one, and [`refusal`] understands errors
//! in every shape that servers give them. [`conversation`] is for the next turn: messages, and what of an answer goes back
//! among them; [`pointer`] finds one value in a document. [`scan`] and [`json`] read what is written. All of it passes bytes through: a string is joined in its JSON form, a
//! number keeps its digits, an unknown member is kept.

pub mod assemble;
pub mod body;
pub mod chunk;
pub mod completion;
mod content;
pub mod conversation;
mod form;
pub mod json;
mod logprobs;
pub mod merge;
pub mod pointer;
pub mod refusal;
pub mod repeat;
pub mod scan;
mod stream;
pub mod tools;
