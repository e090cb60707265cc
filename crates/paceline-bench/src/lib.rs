//! Paceline beside its peers: one table, measured in one run.
//!
//! Absolute times mean little on a shared machine, so every figure of speed is a ratio of two things that took turns in
//! short rounds (see `harness`). Figures of waiting come from futures that count their polls and from recorded
//! admissions, figures of memory from an allocator that counts (see `heap`). Bars and goals are those of DESIGN 10; a
//! row without a bar is there to be read beside one that has it. A missed bar is a finding, not a failure: the run
//! ends badly only where something could not be measured.
//!
//! Run it as `cargo bench -p paceline-bench` and not with `--workspace`: the tests of other crates turn on tokio's
//! `test-util`, which slows its clock.

#[cfg(target_os = "linux")]
mod child;
mod harness;
mod heap;
mod ours;
mod peers;
mod rows;
#[cfg(target_os = "linux")]
mod served;
#[cfg(target_os = "linux")]
mod syscalls;
mod table;
#[cfg(target_os = "linux")]
mod worker;

#[cfg(target_os = "linux")]
pub use child::child;
pub use harness::median;
pub use table::{Bar, Format, Row, print};

/// Measures what has `filter` in its name, everything where that is empty, and prints it to stdout.
///
/// # Panics
///
/// Where something could not be measured: a limiter refused what it had room for, say.
pub fn run(format: Format, filter: &str) {
    let mut rows = Vec::new();
    for measure in rows::ALL.iter().filter(|measure| measure.name.contains(filter)) {
        eprintln!("measuring: {}", measure.name);
        rows.extend((measure.run)());
    }
    table::print(&rows, format);
}
