#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! The state file of a set holds an image of it and, behind that, what was done since: every demand, return, correction
//! and change with its instant, in one order. Each process has a replica of the set, which is `paceline-core`'s own engine,
//! and under the set's lock first replays what others have done, then does and writes down its own. Decisions are plain
//! functions of state, demand and time, so all replicas agree and decide as a set in one process would.
//!
//! # Cost
//!
//! Acquiring or releasing what is free: two locks, one look at the clock, core's decision, a dozen words written. What
//! others did is replayed at about the cost of doing it. A state file takes about 1 MiB, and 33 KiB more for each limit.

mod error;
#[cfg(target_os = "linux")]
mod file;
#[cfg(target_os = "linux")]
mod journal;
#[cfg(target_os = "linux")]
mod keeper;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod lock;
#[cfg(target_os = "linux")]
mod map;
#[cfg(target_os = "linux")]
mod members;
mod options;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod seats;
#[cfg(target_os = "linux")]
mod shared;
#[cfg(target_os = "linux")]
mod shm;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod shm;

pub use error::Error;
pub use options::Options;
pub use shm::Shm;

/// Shares limits under `name` with all processes of this user that open it, with the default [`Options`].
///
/// # Errors
///
/// What keeps them from being shared, with what to do; on anything but Linux, that it is not supported.
pub fn open(name: &str) -> Result<Shm, Error> {
    Options::new().open(name)
}

/// Forgets all that is shared under `name`, with the default [`Options`].
///
/// # Errors
///
/// As [`Options::remove`].
pub fn remove(name: &str) -> Result<(), Error> {
    Options::new().remove(name)
}
