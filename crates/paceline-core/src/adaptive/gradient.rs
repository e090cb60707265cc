//! Gradient2: the level follows the ratio of long-term to present latency. After Netflix's concurrency-limits
//! (`Gradient2Limit` within a `WindowedLimit` of one second), for comparison and for those who want it.
//!
//! It looks at latency alone, so refusals do not lower it, and it leaves out windows of under ten samples, so that it
//! does not move with few slow calls.

use std::time::Duration;

use super::aimd::check_levels;
use super::{Controller, Sample};
use crate::error::{ParameterError, check};
use crate::time::Time;
use crate::verdict::Verdict;

const WINDOW: Duration = Duration::from_secs(1);
const FEWEST: u64 = 10;
/// Windows that the long-term latency is smoothed over, and after how many smoothing begins.
const LONG: f64 = 600.0;
const WARM_UP: u64 = 10;

/// The controller.
///
/// ```
/// use paceline_core::{Controller, Gradient};
///
/// assert_eq!(Gradient::builder().max_concurrent(100).build()?.level(), 20);
/// # Ok::<(), paceline_core::ParameterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gradient {
    rules: GradientBuilder,
    limit: f64,
    long: f64,
    windows: u64,
    window: Window,
    cuts: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    ends: Time,
    seconds: f64,
    samples: u64,
    in_flight: u64,
}

/// Builds a [`Gradient`]. Defaults are Netflix's: initial 20, min 20, max 200, a queue of 4, smoothing 0.2.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use]
pub struct GradientBuilder {
    initial_concurrent: u64,
    min_concurrent: u64,
    max_concurrent: u64,
    queue: f64,
    smoothing: f64,
}

impl GradientBuilder {
    /// How many may be in flight at first (default: 20).
    pub const fn initial_concurrent(mut self, attempts: u64) -> Self {
        self.initial_concurrent = attempts;
        self
    }

    /// The least that may be in flight (default: 20).
    pub const fn min_concurrent(mut self, attempts: u64) -> Self {
        self.min_concurrent = attempts;
        self
    }

    /// The most that may be in flight (default: 200).
    pub const fn max_concurrent(mut self, attempts: u64) -> Self {
        self.max_concurrent = attempts;
        self
    }

    /// Attempts that may queue at the service (default: 4).
    pub const fn queue(mut self, attempts: f64) -> Self {
        self.queue = attempts;
        self
    }

    /// How far each window moves the level towards its estimate (default: 0.2).
    pub const fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// The controller.
    ///
    /// # Errors
    ///
    /// Names the first value that is out of its range: `1 <= min <= initial <= max`, a queue of at least 0, a smoothing
    /// above 0 and up to 1.
    pub fn build(self) -> Result<Gradient, ParameterError> {
        check_levels(self.min_concurrent, self.initial_concurrent, self.max_concurrent)?;
        check("queue", self.queue, self.queue >= 0.0, "at least 0 and finite")?;
        check("smoothing", self.smoothing, self.smoothing > 0.0 && self.smoothing <= 1.0, "above 0 and up to 1")?;
        Ok(Gradient::new(self))
    }
}

impl Default for GradientBuilder {
    fn default() -> Self {
        Self { initial_concurrent: 20, min_concurrent: 20, max_concurrent: 200, queue: 4.0, smoothing: 0.2 }
    }
}

impl Gradient {
    /// A builder with the defaults.
    pub fn builder() -> GradientBuilder {
        GradientBuilder::default()
    }

    fn new(rules: GradientBuilder) -> Self {
        let limit = rules.initial_concurrent as f64;
        Self { rules, limit, long: 0.0, windows: 0, window: Window::default(), cuts: 0 }
    }

    /// The level with its fraction.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.limit
    }

    fn window(&mut self, short: f64, in_flight: u64) {
        self.windows += 1;
        self.long +=
            (short - self.long) * if self.windows <= WARM_UP { 1.0 / self.windows as f64 } else { 2.0 / (LONG + 1.0) };
        let long = self.long;
        if long / short > 2.0 {
            // Latency fell by far: the long term must not take ten minutes to see it.
            self.long *= 0.9;
        }
        if (in_flight as f64) < self.limit / 2.0 {
            return;
        }
        let gradient = (long / short).clamp(0.5, 1.0);
        let estimate = self.limit * gradient + self.rules.queue;
        let next = self.limit + (estimate - self.limit) * self.rules.smoothing;
        let next = next.clamp(self.rules.min_concurrent as f64, self.rules.max_concurrent as f64);
        self.cuts += u64::from(next < self.limit);
        self.limit = next;
    }
}

impl Controller for Gradient {
    fn update(&mut self, sample: &Sample, now: Time) {
        if sample.verdict == Verdict::Success {
            self.window.seconds += sample.duration.as_secs_f64().max(1e-9);
            self.window.samples += 1;
        }
        self.window.in_flight = self.window.in_flight.max(sample.in_flight);
        if now > self.window.ends {
            let full = std::mem::replace(&mut self.window, Window { ends: now + WINDOW, ..Window::default() });
            if full.samples >= FEWEST {
                self.window(full.seconds / full.samples as f64, full.in_flight);
            }
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
