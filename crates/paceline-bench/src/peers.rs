//! The peers, each set up so that it always has room.

#[cfg(unix)]
pub(crate) mod gcra;

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock, QuantaClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use tokio::sync::Semaphore;

use crate::harness::granted;

const PLENTY: NonZeroU32 = NonZeroU32::new(1_000_000_000).unwrap();

/// A single governor: one word.
pub(crate) type Governor<C> = governor::RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One with its default clock.
pub(crate) fn governor() -> Governor<QuantaClock> {
    governor_with(QuantaClock::default())
}

/// One with the system's clock.
pub(crate) fn system_governor() -> Governor<MonotonicClock> {
    governor_with(MonotonicClock)
}

fn governor_with<C: Clock>(clock: C) -> Governor<C> {
    governor::RateLimiter::direct_with_clock(governor::Quota::per_second(PLENTY), clock)
}

/// What a user would combine today: three governors and one semaphore.
pub(crate) struct Composite<C: Clock> {
    rates: [Governor<C>; 3],
    resource: Semaphore,
}

impl<C: Clock> Composite<C> {
    pub(crate) fn new(governor: impl Fn() -> Governor<C>) -> Self {
        Self { rates: [governor(), governor(), governor()], resource: Semaphore::new(64) }
    }

    /// Takes one of each and gives the resource back. Not all or nothing, as governor cannot give back.
    #[inline]
    pub(crate) fn take(&self) {
        self.rates.iter().for_each(|rate| granted(&rate.check()));
        granted(&self.resource.try_acquire());
    }
}

/// leaky-bucket: refilled by a million every ten milliseconds, so that its clock is read about once a million calls.
pub(crate) fn leaky_bucket() -> leaky_bucket::RateLimiter {
    let refill = 1_000_000;
    let interval = Duration::from_millis(10);
    leaky_bucket::RateLimiter::builder().initial(refill).max(refill).refill(refill).interval(interval).build()
}

/// ratelimit with its default clock, the system's.
pub(crate) fn ratelimit() -> ratelimit::Ratelimiter {
    let plenty = u64::from(PLENTY.get());
    let limiter = ratelimit::Ratelimiter::builder(plenty).max_tokens(plenty).initial_available(plenty);
    limiter.build().expect("a valid limiter")
}
