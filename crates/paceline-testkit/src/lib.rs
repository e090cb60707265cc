//! Unpublished test tools of Paceline.
//!
//! * [`memory`]: the plainest backend that can be: core's engine behind the seam for remote ones. What a real backend
//!   does by a script or in shared memory, it does under a lock, so it shows what the seam asks for.
//! * [`conformance`]: one suite of behaviour that every backend passes.
//! * [`scenario`]: what the controllers make of simulated services, held against an oracle; `cargo run --release -p
//!   paceline-testkit --bin scenarios` prints it as a table.
//! * `namespace`: other networks on this machine, where it allows them (Linux).
//! * [`redis`]: a real Redis that a test can kill, stop, restart and empty.
//! * [`service`]: a service that is called by real processes and keeps its own journal.
//! * [`proxy`]: a slow, breaking link in front of any address.

pub mod conformance;
pub mod memory;
#[cfg(target_os = "linux")]
pub mod namespace;
mod port;
pub mod process;
pub mod proxy;
#[cfg(unix)]
pub mod redis;
pub mod scenario;
#[cfg(unix)]
pub mod service;
