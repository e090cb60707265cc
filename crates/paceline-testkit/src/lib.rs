//! Unpublished test tools of Paceline.
//!
//! * [`memory`]: the plainest backend that can be: core's engine behind the seam for remote ones. What a real backend
//!   does by a script or in shared memory, it does under a lock, so it shows what the seam asks for.
//! * [`conformance`]: one suite of behaviour that every backend passes.

pub mod conformance;
pub mod memory;
