//! What a client is told and has to do.

use std::time::Duration;

/// How much there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// More than can be done.
    Backlog,
    /// So many calls at a time, each followed by another.
    AtOnce(usize),
    /// So many calls, all at the start.
    Once(usize),
}

/// What a row names besides AIMD-R.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Nothing.
    Nothing,
    /// The latency guard.
    LatencyGuard,
    /// The rate controller.
    Cubic,
    /// So many requests a period are told, and nothing of how they are counted.
    Told(u64, Duration),
}

/// One client of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The level at the start.
    pub initial: u64,
    /// The highest level.
    pub max: u64,
    /// What the row names.
    pub extra: Extra,
    /// What it has to do.
    pub load: Load,
    /// When it gives an attempt up.
    pub timeout: Duration,
}
