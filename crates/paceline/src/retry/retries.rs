//! A policy in use, with what the calls of its pipeline share: the budget, the timer and the dice.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use paceline_core::Verdict;
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::{Budget, Retry, Timer};
use crate::clock::Clock;
use crate::error::Error;

/// A policy in use, with what its calls share.
#[derive(Debug)]
pub(crate) struct Retries {
    policy: Retry,
    rng: Mutex<SmallRng>,
    pub(crate) budget: Option<Budget>,
    pub(crate) timer: Timer,
}

impl Retries {
    pub(crate) fn new(policy: Retry, name: &str, clock: &Clock) -> Result<Self, Error> {
        policy.validate()?;
        let rng = policy.seed.map_or_else(|| SmallRng::from_rng(&mut rand::rng()), SmallRng::seed_from_u64);
        let budget = policy.budget.as_ref().map(|budget| Budget::new(budget, name, clock)).transpose()?;
        Ok(Self { budget, timer: Timer::new(name, clock)?, rng: Mutex::new(rng), policy })
    }

    pub(crate) fn backoff(&self) -> ExponentialBackoff {
        let Retry { first, longest, factor, .. } = self.policy;
        let bare = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest).with_factor(factor);
        bare.without_max_times().build()
    }

    /// The wait above `floor`. Drawn here, since backon's own jitter adds to the delay instead of drawing from it.
    pub(crate) fn wait(&self, floor: Duration, backoff: &mut ExponentialBackoff) -> Duration {
        let most = backoff.next().unwrap_or(self.policy.longest);
        floor.saturating_add(self.rng.lock().random_range(Duration::ZERO..=most))
    }

    pub(crate) fn attempts(&self) -> u32 {
        self.policy.attempts
    }

    pub(crate) fn elapsed(&self) -> Option<Duration> {
        self.policy.elapsed
    }

    pub(crate) fn is_retryable(&self, verdict: Verdict) -> bool {
        self.policy.retry_if.as_ref().map_or_else(|| verdict.is_retryable(), |hook| hook(verdict))
    }

    /// Calls that wait to try again.
    pub(crate) fn waiting(&self) -> usize {
        self.timer.waiting() + self.budget.as_ref().map_or(0, Budget::waiting)
    }
}
