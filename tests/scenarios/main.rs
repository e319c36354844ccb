//! Scenarios: each test is a promise of the C contract, kept or broken against a scripted server of raw
//! sockets. Everything goes through the exported C functions, as a C program would call them.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod admission;
mod assembly;
mod cancel;
mod cancelling;
mod chunks;
mod citizenship;
mod completeness;
mod config;
mod connections;
mod conversation;
mod deadlines;
mod delivery;
mod early;
mod endings;
mod ends;
mod errors;
mod faults;
mod figures;
mod forms;
mod halves;
mod helicone;
mod inputs;
mod leaks;
mod limiter;
mod logging;
mod parameters;
mod pointer;
mod polling;
mod process;
mod proxies;
mod refusals;
mod report;
mod requests;
mod retries;
mod rig;
mod secrets;
mod secure_proxies;
mod signals;
mod storm;
mod streams;
mod submit;
mod table;
mod tls;
mod tools;
mod total;
