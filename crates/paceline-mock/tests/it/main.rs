//! The simulated provider from outside: its accounting under explicit time, and its HTTP face over real sockets.

mod account;
mod answers;
mod bucket;
mod client;
mod config;
mod faults;
mod headers;
mod journal;
mod lifecycle;
mod model;
mod seed;
