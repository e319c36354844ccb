//! What the scenario tests stand on: a scripted server of raw sockets on one side, the exported C functions on
//! the other, and nothing in between that could hide a byte.

pub mod alone;
pub mod ask;
pub mod black_hole;
pub mod c;
pub mod call;
pub mod certs;
pub mod chat;
pub mod conn;
pub mod conversation;
pub mod copied;
pub mod delivery;
pub mod dice;
pub mod outcome;
pub mod request;
pub mod secrets;
pub mod server;
pub mod socket;
pub mod sync;
pub mod time;
