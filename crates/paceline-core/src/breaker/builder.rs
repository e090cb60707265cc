//! The parameters of a breaker and what they may be.

use std::time::Duration;

use super::Breaker;
use crate::error::{ParameterError, check};

/// Builds a [`Breaker`]. Defaults: opens after 5 failures in a row, cools down for 30 seconds, then 1 probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BreakerBuilder {
    pub(super) failures: u64,
    pub(super) cool_down: Duration,
    pub(super) probes: u64,
}

impl BreakerBuilder {
    /// Failures in a row that open it (default: 5).
    pub const fn failures(mut self, in_a_row: u64) -> Self {
        self.failures = in_a_row;
        self
    }

    /// How long nothing passes (default: 30 s).
    pub const fn cool_down(mut self, pause: Duration) -> Self {
        self.cool_down = pause;
        self
    }

    /// Calls that pass at once after that, and that all have to succeed (default: 1).
    pub const fn probes(mut self, calls: u64) -> Self {
        self.probes = calls;
        self
    }

    /// The breaker, closed.
    ///
    /// # Errors
    ///
    /// Names the first value that is zero.
    pub fn build(self) -> Result<Breaker, ParameterError> {
        check("failures", self.failures as f64, self.failures >= 1, "at least 1")?;
        check("cool_down", self.cool_down.as_secs_f64(), !self.cool_down.is_zero(), "above 0 seconds")?;
        check("probes", self.probes as f64, self.probes >= 1, "at least 1")?;
        Ok(Breaker::new(self))
    }
}

impl Default for BreakerBuilder {
    fn default() -> Self {
        Self { failures: 5, cool_down: Duration::from_secs(30), probes: 1 }
    }
}
