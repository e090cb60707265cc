//! What limits shared over Redis owe, against a real one, with real processes where it takes some.
#![cfg(unix)]

mod bad_input;
mod clocks;
mod cluster;
mod conformance;
mod damage;
mod expiry;
mod failover;
mod flush;
mod forks;
mod histories;
mod load;
mod long;
mod member;
mod mixed;
mod others;
mod outages;
mod policies;
mod prefetch;
mod rejoin;
mod sharing;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod torn;
mod unable;
