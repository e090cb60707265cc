//! Controllers: how much may be in flight, learnt from how attempts end.
//!
//! Each is a plain state machine: samples in, a level out. None reads a clock, holds a lock or touches a limit; whoever
//! owns a limit feeds the one and sets the other. What a sample may count for depends on the *epoch* in which its
//! attempt began: a cut ends an epoch, and what began before it says nothing of the level after it. An epoch needs no
//! number, since an instant tells it: attempts that began at or before the latest cut belong to an earlier one.

mod aimd;
mod cubic;
mod gradient;
mod latency;
mod pacing;
mod vegas;

use std::fmt;
use std::time::Duration;

use crate::time::Time;
use crate::verdict::Verdict;

pub use aimd::{Aimd, AimdBuilder};
pub use cubic::CubicRate;
pub use gradient::{Gradient, GradientBuilder};
pub use pacing::Pacing;
pub use vegas::{Vegas, VegasBuilder};

/// One attempt, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How it ended.
    pub verdict: Verdict,
    /// When it was admitted.
    pub began: Time,
    /// How long it took; to the first byte where the answer streams. Of this attempt alone, without any wait.
    pub duration: Duration,
    /// Attempts in flight when it ended, itself included.
    pub in_flight: u64,
}

impl Sample {
    /// Whether the attempt began in the epoch that the latest cut, at `cut`, began; without a cut there is one epoch.
    #[must_use]
    pub fn is_of(&self, cut: Option<Time>) -> bool {
        cut.is_none_or(|cut| self.began > cut)
    }
}

/// Sets how many attempts may be in flight.
pub trait Controller: fmt::Debug + Send {
    /// Learns from one attempt that ended at `now`.
    fn update(&mut self, sample: &Sample, now: Time);

    /// How many may be in flight: at least one.
    fn level(&self) -> u64;

    /// The most it ever lets be in flight (default: any number).
    fn most(&self) -> u64 {
        u64::MAX
    }

    /// How often it cut so far.
    fn cuts(&self) -> u64;

    /// Forgets all it has learnt.
    fn reset(&mut self);

    /// Itself, where it is the one that members of a set which lives elsewhere can share (default: it is another).
    fn as_aimd(&self) -> Option<&Aimd> {
        None
    }
}
