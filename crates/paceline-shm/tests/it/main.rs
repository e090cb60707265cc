//! What shared memory owes, with real processes where it takes some.
#![cfg(target_os = "linux")]

mod bad_input;
mod conformance;
mod fleet;
mod histories;
mod kills;
mod load;
mod member;
mod service;
mod sharing;
mod stress;
mod support;
