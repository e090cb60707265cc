//! What shared memory owes, with real processes where it takes some.
#![cfg(target_os = "linux")]

mod bad_input;
mod conformance;
mod histories;
mod member;
mod sharing;
mod stress;
mod support;
mod taken_away;
