//! The simple case in one line: one limiter around calls.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline_core::{Algorithm, Quota};

use crate::backend::BoxFuture;
use crate::clock::Clock;
use crate::error::Error;
use crate::permit::Permit;
use crate::set::LimitSet;
use crate::wait::Waiting;

/// What a limiter does with a call that has no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// Waits its turn. The default.
    #[default]
    Wait,
    /// Fails with [`Error::NotNow`], which says when to come back.
    Fail,
}

/// How a [`RateLimiter`] limits: a token bucket, or windows and calls at once, or both together.
///
/// ```
/// use paceline::{OnFull, RateLimitPolicy, RateLimiter};
///
/// // 10 calls a second on average, 20 at once; a call without room is an error.
/// let policy = RateLimitPolicy::per_second(10.0).burst(20).on_full(OnFull::Fail);
/// let limiter = RateLimiter::new(policy)?;
/// assert_eq!(limiter.available(), 20);
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct RateLimitPolicy {
    rate: Option<Result<Quota, f64>>,
    burst: Option<u64>,
    window: Option<Quota>,
    concurrency: Option<u64>,
    on_full: OnFull,
    clock: Clock,
    on_wait: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
}

impl RateLimitPolicy {
    fn empty() -> Self {
        let (clock, on_full) = (Clock::default(), OnFull::default());
        Self { rate: None, burst: None, window: None, concurrency: None, on_full, clock, on_wait: None }
    }

    /// A token bucket of `rate` calls a second, fractions included (0.5 is one every two seconds), that holds one
    /// second's worth, at least one.
    pub fn per_second(rate: f64) -> Self {
        Self { rate: Some(exact(rate)), ..Self::empty() }
    }

    /// Any quota.
    pub fn quota(quota: Quota) -> Self {
        Self { rate: Some(Ok(quota)), ..Self::empty() }
    }

    /// At most `calls` in flight.
    pub fn concurrent(calls: u64) -> Self {
        Self { concurrency: Some(calls), ..Self::empty() }
    }

    /// At most `units` at once. Only a rate has bursts: without one it is refused where the limiter is made.
    pub fn burst(mut self, units: u64) -> Self {
        self.burst = Some(units);
        self
    }

    /// Also never more than `calls` in any `window`.
    pub fn per_window(mut self, calls: u64, window: Duration) -> Self {
        self.window = Some(Quota::new(calls, window));
        self
    }

    /// Also at most `calls` in flight.
    pub fn max_concurrent(mut self, calls: u64) -> Self {
        self.concurrency = Some(calls);
        self
    }

    /// What to do with a call that has no room (default: wait).
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }

    /// Calls `hook` with the expected wait whenever a call begins to wait ([`Duration::MAX`] where nobody can tell). A
    /// hook that panics harms nobody.
    pub fn on_wait(mut self, hook: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        self.on_wait = Some(Arc::new(hook));
        self
    }

    /// The clock it goes by (default: [`Clock::tokio`]).
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    fn build(&self) -> Result<LimitSet, Error> {
        let mut set = LimitSet::builder("limiter").clock(self.clock.clone());
        match (self.rate, self.burst) {
            (Some(Ok(quota)), None) => set = set.calls_as("rate", quota),
            (Some(Ok(quota)), Some(burst)) => set = set.calls_as("rate", quota.burst(burst)),
            (Some(Err(rate)), _) => return Err(Error::Rate { rate: rate.to_string() }),
            (None, Some(_)) => return Err(Error::BurstWithoutRate),
            (None, None) => {}
        }
        if let Some(window) = self.window {
            set = set.calls_as("window", window);
        }
        if let Some(concurrency) = self.concurrency {
            set = set.concurrency(concurrency);
        }
        if let Some(hook) = self.on_wait.clone() {
            set = set.on_wait(move |waiting: &Waiting| hook(waiting.expected.unwrap_or(Duration::MAX)));
        }
        set.build()
    }
}

impl fmt::Debug for RateLimitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitPolicy")
            .field("rate", &self.rate)
            .field("burst", &self.burst)
            .field("window", &self.window)
            .field("concurrency", &self.concurrency)
            .field("on_full", &self.on_full)
            .finish_non_exhaustive()
    }
}

/// The exact quota of a decimal rate: 83.3 a minute is 833 in ten minutes. At most nine decimals count.
fn exact(rate: f64) -> Result<Quota, f64> {
    if !(rate.is_finite() && rate > 0.0 && rate < 1e15) {
        return Err(rate);
    }
    let scaled = (0..=9).map(|decimals| 10_u32.pow(decimals)).find(|scale| {
        let amount = rate * f64::from(*scale);
        amount >= 1.0 && (amount - amount.round()).abs() < 1e-9 * amount
    });
    let scale = scaled.unwrap_or(1_000_000_000);
    let amount = (rate * f64::from(scale)).round();
    if amount < 1.0 {
        return Err(rate);
    }
    let whole = rate.floor().max(1.0);
    Ok(Quota::new(amount as u64, Duration::from_secs(u64::from(scale)))
        .algorithm(Algorithm::TokenBucket)
        .burst(whole as u64))
}

/// One limiter around calls. Cloning gives another handle to the same limiter.
///
/// ```
/// use paceline::RateLimiter;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline::Error> {
/// # async fn fetch(url: &str) -> String { url.to_uppercase() }
/// let polite = RateLimiter::per_second(1).burst(5);
/// let page = polite.run(|| fetch("https://example.com")).await?;
/// # assert_eq!(page, "HTTPS://EXAMPLE.COM"); Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RateLimiter {
    policy: RateLimitPolicy,
    set: Arc<OnceLock<Result<LimitSet, Error>>>,
}

impl RateLimiter {
    /// A limiter of this policy.
    ///
    /// # Errors
    ///
    /// Names the value that is zero, or otherwise makes no sense.
    pub fn new(policy: RateLimitPolicy) -> Result<Self, Error> {
        let limiter = Self::lazy(policy);
        limiter.set()?;
        Ok(limiter)
    }

    /// A token bucket of `calls` a second that holds as many. What is wrong with it shows at the first call.
    #[must_use]
    pub fn per_second(calls: u64) -> Self {
        Self::lazy(RateLimitPolicy::quota(Quota::per_second(calls).algorithm(Algorithm::TokenBucket)))
    }

    /// A token bucket of `calls` a minute that holds as many.
    #[must_use]
    pub fn per_minute(calls: u64) -> Self {
        Self::lazy(RateLimitPolicy::quota(Quota::per_minute(calls).algorithm(Algorithm::TokenBucket)))
    }

    /// At most `calls` in flight.
    #[must_use]
    pub fn concurrent(calls: u64) -> Self {
        Self::lazy(RateLimitPolicy::concurrent(calls))
    }

    /// The same limiter, unused, with at most `units` at once.
    #[must_use]
    pub fn burst(self, units: u64) -> Self {
        Self::lazy(self.policy.burst(units))
    }

    /// The same limiter, unused, that also admits never more than `calls` in any `window`.
    #[must_use]
    pub fn per_window(self, calls: u64, window: Duration) -> Self {
        Self::lazy(self.policy.per_window(calls, window))
    }

    fn lazy(policy: RateLimitPolicy) -> Self {
        Self { policy, set: Arc::new(OnceLock::new()) }
    }

    /// The limit set behind it, with all that a set can do.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn set(&self) -> Result<&LimitSet, Error> {
        self.set.get_or_init(|| self.policy.build()).as_ref().map_err(Clone::clone)
    }

    /// Waits for `units` calls' worth, or fails where the policy says so.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::acquire`]; [`Error::NotNow`] where the policy is to fail.
    ///
    /// # Cancel safety
    ///
    /// As [`Acquire`](crate::Acquire).
    pub async fn acquire(&self, units: u64) -> Result<Permit<'_>, Error> {
        match self.policy.on_full {
            OnFull::Wait => self.set()?.acquire(self.amounts(units)?).await,
            OnFull::Fail => self.try_acquire(units),
        }
    }

    /// The same on this thread.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, units: u64) -> Result<Permit<'_>, Error> {
        match self.policy.on_full {
            OnFull::Wait => self.set()?.acquire_blocking(self.amounts(units)?),
            OnFull::Fail => self.try_acquire(units),
        }
    }

    /// `units` calls' worth now, or not at all.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::try_acquire`].
    pub fn try_acquire(&self, units: u64) -> Result<Permit<'_>, Error> {
        self.set()?.try_acquire(self.amounts(units)?)
    }

    /// Runs `call` once there is room, holding its place while it runs.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire); what `call` returns is returned as it is.
    ///
    /// # Cancel safety
    ///
    /// While it waits, as [`Acquire`](crate::Acquire); afterwards, as the future of `call`.
    pub async fn run<F: Future>(&self, call: impl FnOnce() -> F) -> Result<F::Output, Error> {
        let _permit = self.acquire(1).await?;
        Ok(call().await)
    }

    /// Runs `call` on this thread once there is room, holding its place while it runs.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn run_blocking<T>(&self, call: impl FnOnce() -> T) -> Result<T, Error> {
        let _permit = self.acquire_blocking(1)?;
        Ok(call())
    }

    /// `call`, limited: a function that waits for room each time, and calls it only then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline::Error> {
    /// async fn shout(word: &'static str) -> String { word.to_uppercase() }
    /// let shout = paceline::RateLimiter::per_second(10).wrap(shout);
    /// assert_eq!(shout("hello").await?, "HELLO");
    /// # Ok(()) }
    /// ```
    pub fn wrap<A, F, C>(&self, call: C) -> impl Fn(A) -> BoxFuture<'static, Result<F::Output, Error>> + use<A, F, C>
    where
        C: Fn(A) -> F + Send + Sync + 'static,
        A: Send + 'static,
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let (limiter, call) = (self.clone(), Arc::new(call));
        move |argument| {
            let (limiter, call) = (limiter.clone(), Arc::clone(&call));
            Box::pin(async move { limiter.run(|| call(argument)).await })
        }
    }

    /// `call`, limited, for threads. Its argument is owned, or lives as long as the function does: for one that borrows anew
    /// each time, write `|url: &str| limiter.run_blocking(|| get(url))`.
    ///
    /// ```
    /// let double = paceline::RateLimiter::per_second(10).wrap_blocking(|number: u32| number * 2);
    /// assert_eq!(double(21)?, 42);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn wrap_blocking<A, T, C>(&self, call: C) -> impl Fn(A) -> Result<T, Error> + use<A, T, C>
    where
        C: Fn(A) -> T,
    {
        let limiter = self.clone();
        move |argument| limiter.run_blocking(|| call(argument))
    }

    /// Units that could be had at once.
    #[must_use]
    pub fn available(&self) -> u64 {
        let Ok(set) = self.set() else { return 0 };
        set.snapshot().limits.iter().map(|limit| limit.view.available).min().unwrap_or(u64::MAX)
    }

    /// Calls that count in the window now; zero for a limiter without one.
    #[must_use]
    pub fn current_window_count(&self) -> u64 {
        let Ok(set) = self.set() else { return 0 };
        set.snapshot().limit("window").map_or(0, |window| window.used)
    }

    /// Forgets all calls made so far.
    pub fn reset(&self) {
        if let Ok(set) = self.set() {
            // A limiter's set lives in this process, where this cannot fail.
            let _ = set.reset();
        }
    }

    /// `units` of each rate; a call in flight is one, whatever it weighs.
    fn amounts(&self, units: u64) -> Result<Vec<(&str, u64)>, Error> {
        Ok(self.set()?.keys().filter(|key| *key != "concurrency").map(|key| (key, units)).collect())
    }
}
