//! Scenarios: each test is a promise of the C contract, kept or broken against a scripted server of raw
//! sockets. Everything goes through the exported C functions, as a C program would call them.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod assembly;
mod cancel;
mod chunks;
mod completeness;
mod config;
mod connections;
mod deadlines;
mod ends;
mod errors;
mod forms;
mod inputs;
mod process;
mod proxies;
mod refusals;
mod report;
mod requests;
mod retries;
mod rig;
mod streams;
mod tls;
mod tools;
