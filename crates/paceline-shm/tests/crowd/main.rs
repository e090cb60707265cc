//! Crowds of real processes in real time. A program of its own, since Cargo runs one after another: what is measured here
//! has the machine to itself.
#![cfg(target_os = "linux")]

mod fleet;
mod kills;
mod load;
mod member;
#[path = "../it/support.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Keeps other crowds from running meanwhile, until it is dropped: what a test measures in real time is not theirs.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static CROWD: Mutex<()> = Mutex::new(());
    CROWD.lock().unwrap_or_else(PoisonError::into_inner)
}
