//! What is measured, in the order of the table.

mod crowd;
mod flow;
mod free;
mod memory;
#[cfg(unix)]
mod redis;
mod set;
#[cfg(target_os = "linux")]
mod shared;
mod single;
mod waiters;

use crate::table::Row;

/// One thing to measure, which gives one row or several.
pub(crate) struct Measure {
    pub(crate) name: &'static str,
    pub(crate) run: fn() -> Vec<Row>,
}

pub(crate) const ALL: &[Measure] = &[
    Measure { name: "one token bucket", run: single::rows },
    Measure { name: "three rates and one resource", run: set::rows },
    Measure { name: "acquire().await when free", run: free::rows },
    Measure { name: "1,000 waiters at 1,000/s (5.5 s of real time each)", run: waiters::rows },
    Measure { name: "100,000 waiters", run: crowd::rows },
    Measure { name: "memory", run: memory::rows },
    Measure { name: "flow", run: flow::rows },
    #[cfg(target_os = "linux")]
    Measure { name: "shared memory", run: shared::rows },
    #[cfg(unix)]
    Measure { name: "Redis", run: redis::rows },
];
