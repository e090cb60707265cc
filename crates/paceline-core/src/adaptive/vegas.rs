//! Vegas: estimates the queue at the service from the least latency seen, and keeps it short. After Netflix's
//! concurrency-limits (`VegasLimit`, itself after TCP Vegas), for comparison and for those who want it.
//!
//! The queue is `L · (1 − least / latency)`. With `s = max(1, ⌊log₁₀ L⌋)`: up to `s` the level grows by `6s`, below `3s` by `s`,
//! above `6s` it falls by `s`, as it does on every refusal. The least latency is measured anew every 15 to 30 times L
//! attempts.

use super::aimd::check_levels;
use super::{Controller, Sample};
use crate::error::ParameterError;
use crate::time::Time;
use crate::verdict::Verdict;

/// Attempts between two measurements of the least latency, in levels.
const PROBE: f64 = 30.0;
/// Spreads numbers evenly over an interval (the golden ratio), so that clients do not probe in step.
const SPREAD: f64 = 0.618_033_988_749_894_9;

/// The controller.
///
/// ```
/// use paceline_core::{Controller, Vegas};
///
/// assert_eq!(Vegas::builder().initial_concurrent(10).build()?.level(), 10);
/// # Ok::<(), paceline_core::ParameterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vegas {
    rules: VegasBuilder,
    limit: f64,
    /// Seconds.
    least: Option<f64>,
    since_probe: f64,
    /// Where between a half and one the next probe lies.
    probe_at: f64,
    cuts: u64,
}

/// Builds a [`Vegas`]. Defaults are Netflix's: initial 20, min 1, max 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct VegasBuilder {
    initial_concurrent: u64,
    min_concurrent: u64,
    max_concurrent: u64,
}

impl VegasBuilder {
    /// How many may be in flight at first (default: 20).
    pub const fn initial_concurrent(mut self, attempts: u64) -> Self {
        self.initial_concurrent = attempts;
        self
    }

    /// The least that may be in flight (default: 1).
    pub const fn min_concurrent(mut self, attempts: u64) -> Self {
        self.min_concurrent = attempts;
        self
    }

    /// The most that may be in flight (default: 1,000).
    pub const fn max_concurrent(mut self, attempts: u64) -> Self {
        self.max_concurrent = attempts;
        self
    }

    /// The controller.
    ///
    /// # Errors
    ///
    /// Names the first value that breaks `1 <= min <= initial <= max`.
    pub fn build(self) -> Result<Vegas, ParameterError> {
        check_levels(self.min_concurrent, self.initial_concurrent, self.max_concurrent)?;
        Ok(Vegas::new(self))
    }
}

impl Default for VegasBuilder {
    fn default() -> Self {
        Self { initial_concurrent: 20, min_concurrent: 1, max_concurrent: 1_000 }
    }
}

impl Vegas {
    /// A builder with the defaults.
    pub fn builder() -> VegasBuilder {
        VegasBuilder::default()
    }

    fn new(rules: VegasBuilder) -> Self {
        let limit = rules.initial_concurrent as f64;
        Self { rules, limit, least: None, since_probe: 0.0, probe_at: 0.75, cuts: 0 }
    }

    /// The level with its fraction.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.limit
    }

    fn step(&self) -> f64 {
        self.limit.log10().floor().max(1.0)
    }

    fn set(&mut self, limit: f64) {
        let next = limit.clamp(self.rules.min_concurrent as f64, self.rules.max_concurrent as f64);
        self.cuts += u64::from(next < self.limit);
        self.limit = next;
    }

    fn succeeded(&mut self, seconds: f64, in_flight: u64) {
        self.since_probe += 1.0;
        if self.probe_at * PROBE * self.limit <= self.since_probe {
            self.probe_at = 0.5 + (self.probe_at + SPREAD / 2.0) % 0.5;
            self.since_probe = 0.0;
            self.least = Some(seconds);
            return;
        }
        let least = match self.least {
            Some(least) if least <= seconds => least,
            _ => {
                self.least = Some(seconds);
                return;
            }
        };
        if (in_flight as f64) * 2.0 < self.limit {
            return;
        }
        let (queue, step) = ((self.limit * (1.0 - least / seconds)).ceil(), self.step());
        if queue <= step {
            self.set(self.limit + 6.0 * step);
        } else if queue < 3.0 * step {
            self.set(self.limit + step);
        } else if queue > 6.0 * step {
            self.set(self.limit - step);
        }
    }
}

impl Controller for Vegas {
    fn update(&mut self, sample: &Sample, _now: Time) {
        match sample.verdict {
            Verdict::Success => self.succeeded(sample.duration.as_secs_f64().max(1e-9), sample.in_flight),
            Verdict::RateLimited { .. } | Verdict::Overloaded => self.set(self.limit - self.step()),
            Verdict::Transient | Verdict::Permanent | Verdict::Cancelled => {}
        }
    }

    fn level(&self) -> u64 {
        self.limit as u64
    }

    fn most(&self) -> u64 {
        self.rules.max_concurrent
    }

    fn cuts(&self) -> u64 {
        self.cuts
    }

    fn reset(&mut self) {
        *self = Self::new(self.rules);
    }
}
