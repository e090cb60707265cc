//! The parameters of AIMD-R and what they may be.

use super::Aimd;
use crate::error::{ParameterError, check};

/// Builds an [`Aimd`]. Defaults: initial 5, min 1, max 20, backoff 0.5, recovery threshold 10, recovery 1.2, no
/// latency guard; names and values are those of PocketFlow Throttled's adaptive node.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct AimdBuilder {
    pub(super) initial_concurrent: u64,
    pub(super) min_concurrent: u64,
    pub(super) max_concurrent: u64,
    pub(super) backoff_factor: f64,
    pub(super) recovery_threshold: u64,
    pub(super) recovery_factor: f64,
    pub(super) latency_guard: bool,
}

impl AimdBuilder {
    /// How many may be in flight at first (default: 5).
    pub const fn initial_concurrent(mut self, attempts: u64) -> Self {
        self.initial_concurrent = attempts;
        self
    }

    /// The least that may be in flight (default: 1).
    pub const fn min_concurrent(mut self, attempts: u64) -> Self {
        self.min_concurrent = attempts;
        self
    }

    /// The most that may be in flight (default: 20).
    pub const fn max_concurrent(mut self, attempts: u64) -> Self {
        self.max_concurrent = attempts;
        self
    }

    /// What a cut leaves of the level (default: 0.5).
    pub const fn backoff_factor(mut self, factor: f64) -> Self {
        self.backoff_factor = factor;
        self
    }

    /// Successes before the level grows; where the level is higher, so many as the level (default: 10).
    pub const fn recovery_threshold(mut self, successes: u64) -> Self {
        self.recovery_threshold = successes;
        self
    }

    /// What the level grows by, far below what failed (default: 1.2).
    pub const fn recovery_factor(mut self, factor: f64) -> Self {
        self.recovery_factor = factor;
        self
    }

    /// Also takes growing latency for overload: for services that queue instead of refusing (default: not).
    pub const fn latency_guard(mut self) -> Self {
        self.latency_guard = true;
        self
    }

    /// Whether growing latency is taken for overload.
    #[must_use]
    pub const fn has_latency_guard(&self) -> bool {
        self.latency_guard
    }

    /// All parameters but the latency guard, each under the name of the method that states it.
    ///
    /// ```
    /// let [min, max, ..] = paceline_core::Aimd::builder().max_concurrent(50).parameters();
    /// assert_eq!([min, max], [("min_concurrent", 1.0), ("max_concurrent", 50.0)]);
    /// ```
    #[must_use]
    pub const fn parameters(&self) -> [(&'static str, f64); 6] {
        [
            ("min_concurrent", self.min_concurrent as f64),
            ("max_concurrent", self.max_concurrent as f64),
            ("initial_concurrent", self.initial_concurrent as f64),
            ("backoff_factor", self.backoff_factor),
            ("recovery_threshold", self.recovery_threshold as f64),
            ("recovery_factor", self.recovery_factor),
        ]
    }

    /// The controller.
    ///
    /// # Errors
    ///
    /// Names the first value that is out of its range: `1 <= min <= initial <= max`, a backoff between 0 and 1, a
    /// recovery above 1, a threshold of at least 1; none may be infinite.
    pub fn build(self) -> Result<Aimd, ParameterError> {
        check_levels(self.min_concurrent, self.initial_concurrent, self.max_concurrent)?;
        let backoff = self.backoff_factor;
        check("backoff_factor", backoff, backoff > 0.0 && backoff < 1.0, "above 0 and below 1")?;
        let recovery = self.recovery_factor;
        check("recovery_factor", recovery, recovery > 1.0, "above 1 and finite")?;
        let threshold = self.recovery_threshold;
        check("recovery_threshold", threshold as f64, threshold >= 1, "at least 1")?;
        Ok(Aimd::new(self))
    }
}

/// Refuses levels that are not `1 <= min <= initial <= max`.
pub(crate) fn check_levels(min: u64, initial: u64, max: u64) -> Result<(), ParameterError> {
    check("min_concurrent", min as f64, min >= 1, "at least 1")?;
    let above_min = format!("at least `min_concurrent`, which is {min}");
    check("max_concurrent", max as f64, max >= min, above_min)?;
    let between = format!("from `min_concurrent` to `max_concurrent`: {min} to {max}");
    check("initial_concurrent", initial as f64, (min..=max).contains(&initial), between)
}

impl Default for AimdBuilder {
    fn default() -> Self {
        Self {
            initial_concurrent: 5,
            min_concurrent: 1,
            max_concurrent: 20,
            backoff_factor: 0.5,
            recovery_threshold: 10,
            recovery_factor: 1.2,
            latency_guard: false,
        }
    }
}
