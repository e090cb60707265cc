//! The engine against plain models of its documentation.
//!
//! The models share no code with the engine and keep what they know the plain way, as lists of who was charged what and
//! when, so that a mistake cannot agree with itself.
#![cfg(not(loom))]

mod aimd;
mod breaker;
mod bucket;
mod counter;
mod cubic;
mod extremes;
mod fixed;
mod headers;
mod history;
mod idle;
mod image;
mod order;
mod pacing;
mod passing;
mod plain;
mod recall;
mod reconfigure;
mod rng;
mod server;
mod settle;
mod several;
mod share;
mod sharing;
mod support;
mod waiting;
mod window;
