//! AIMD-R: additive increase, multiplicative decrease, and a memory of the level that failed. The default controller.
//!
//! The level L is a float and what may be in flight its whole part, so that no step is lost to rounding: the rule that
//! grows by `int(n · 1.2)` never leaves 4. A cut ends an epoch, and only attempts of the running epoch count, so that a
//! burst of refusals is one cut, however many and in whatever order they come. Far below the level that failed it grows
//! by a factor, close to it by one.
//!
//! * Overload: `bad = L; L = max(min, backoff · L)`, and a new epoch.
//! * Success, with at least three quarters of the level in flight: counted. At `max(recovery_threshold, L)` of them, if
//!   `recovery · L < 0.95 · bad`, then `L = max(L + 1, recovery · L)`, else `L += 1`. Above `1.25 · bad`, `bad` is forgotten.

mod builder;
mod image;

use super::latency::{Finding, LatencyGuard};
use super::{Controller, Sample};
use crate::time::Time;
use crate::verdict::Verdict;

pub use builder::AimdBuilder;
pub(crate) use builder::check_levels;

/// Near the level that failed it grows by one: from this share of it.
const NEAR_BAD: f64 = 0.95;
/// So far above the level that failed, that level is no longer true.
const PAST_BAD: f64 = 1.25;
/// An attempt says that the level is good only if so much of it was in use.
const IN_USE: f64 = 0.75;
/// What remains of the level when the latency guard cuts.
const LATENCY_CUT: f64 = 0.85;

/// The controller.
///
/// ```
/// use paceline_core::{Aimd, Controller, Sample, Time, Verdict};
/// use std::time::Duration;
///
/// let mut aimd = Aimd::builder().max_concurrent(50).initial_concurrent(10).build()?;
/// let began = Time::from_nanos(1);
/// let refused = Verdict::RateLimited { retry_after: None };
/// let sample = Sample { verdict: refused, began, duration: Duration::from_millis(20), in_flight: 10 };
/// let now = began + sample.duration;
/// (0..10).for_each(|_| aimd.update(&sample, now));
/// assert_eq!((aimd.level(), aimd.cuts()), (5, 1), "ten refusals of one burst are one cut");
/// # Ok::<(), paceline_core::ParameterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Aimd {
    rules: AimdBuilder,
    limit: f64,
    bad: f64,
    successes: u64,
    cuts: u64,
    /// When the running epoch began.
    epoch: Option<Time>,
    latency: Option<LatencyGuard>,
}

impl Default for Aimd {
    fn default() -> Self {
        Self::new(AimdBuilder::default())
    }
}

impl Aimd {
    /// A builder with the defaults.
    pub fn builder() -> AimdBuilder {
        AimdBuilder::default()
    }

    fn new(rules: AimdBuilder) -> Self {
        Self {
            rules,
            limit: rules.initial_concurrent as f64,
            bad: f64::INFINITY,
            successes: 0,
            cuts: 0,
            epoch: None,
            latency: rules.latency_guard.then(LatencyGuard::default),
        }
    }

    /// What it was built with.
    pub fn rules(&self) -> AimdBuilder {
        self.rules
    }

    /// The level with its fraction.
    #[must_use]
    pub fn limit(&self) -> f64 {
        self.limit
    }

    /// The level that failed last, while it is remembered.
    #[must_use]
    pub fn bad(&self) -> Option<f64> {
        self.bad.is_finite().then_some(self.bad)
    }

    /// Successes that count towards the next growth.
    #[must_use]
    pub fn successes(&self) -> u64 {
        self.successes
    }

    fn cut(&mut self, factor: f64, now: Time) {
        self.set((self.limit * factor).max(self.rules.min_concurrent as f64), now);
        self.cuts += 1;
        self.epoch = Some(now);
    }

    fn succeeded(&mut self, sample: &Sample, now: Time) {
        let least = self.rules.min_concurrent as f64;
        if let Some(finding) = self.latency.as_mut().and_then(|guard| guard.observe(sample, self.limit, least)) {
            match finding {
                Finding::Overload => return self.cut(LATENCY_CUT, now),
                Finding::NotLoad(level) => self.set(level, now),
                Finding::Fine => {}
            }
        }
        if sample.in_flight as f64 >= IN_USE * self.limit.floor() {
            self.successes += 1;
        }
        let held = self.latency.as_ref().is_some_and(LatencyGuard::holds);
        if !held && self.successes as f64 >= self.limit.max(self.rules.recovery_threshold as f64) {
            self.grow(now);
        }
    }

    fn grow(&mut self, now: Time) {
        let faster = self.limit * self.rules.recovery_factor;
        let next = if faster < NEAR_BAD * self.bad { faster.max(self.limit + 1.0) } else { self.limit + 1.0 };
        self.set(next.min(self.rules.max_concurrent as f64), now);
        if self.limit > PAST_BAD * self.bad {
            self.bad = f64::INFINITY;
        }
    }

    fn set(&mut self, limit: f64, now: Time) {
        if limit != self.limit {
            self.latency.iter_mut().for_each(|guard| guard.restart(now));
        }
        self.limit = limit;
        self.successes = 0;
    }
}

impl Controller for Aimd {
    fn update(&mut self, sample: &Sample, now: Time) {
        if !sample.is_of(self.epoch) {
            return;
        }
        match sample.verdict {
            Verdict::RateLimited { .. } | Verdict::Overloaded => {
                self.bad = self.limit;
                self.latency.iter_mut().for_each(LatencyGuard::refused);
                self.cut(self.rules.backoff_factor, now);
            }
            Verdict::Success => self.succeeded(sample, now),
            // They say nothing of load.
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

    fn as_aimd(&self) -> Option<&Self> {
        Some(self)
    }
}
