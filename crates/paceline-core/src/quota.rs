//! What a rate limit allows: an amount per period, and how the two are read.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::error::QuotaError;
use crate::image::{Image as _, Words};
use crate::time::nanos;

/// How a rate limit counts, and so what it guarantees.
///
/// | algorithm | guarantee in any window of one period |
/// |---|---|
/// | [`SlidingWindow`](Self::SlidingWindow) | never more than the amount |
/// | [`TokenBucket`](Self::TokenBucket), [`Gcra`](Self::Gcra) | amount + burst |
/// | [`LeakyBucket`](Self::LeakyBucket) | amount + the largest demand |
/// | [`SlidingCounter`](Self::SlidingCounter) | approximate: at most twice the amount |
/// | [`FixedWindow`](Self::FixedWindow) | the amount in each window, twice that across a boundary |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A log of what was charged when: exact. The default.
    SlidingWindow,
    /// A bucket of `burst` units that refills evenly. The default where a burst is given.
    TokenBucket,
    /// The generic cell rate algorithm: the token bucket in terms of arrival times, and the same engine.
    Gcra,
    /// Even pacing: a demand starts when the bucket is empty and occupies it for units × period ÷ amount.
    LeakyBucket,
    /// Two counters, the older weighted by how much of it still overlaps the window.
    SlidingCounter,
    /// One counter, emptied at each boundary.
    FixedWindow,
}

impl Algorithm {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::SlidingWindow,
        Self::TokenBucket,
        Self::Gcra,
        Self::LeakyBucket,
        Self::SlidingCounter,
        Self::FixedWindow,
    ];
}

/// When a charge enters a sliding window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Anchor {
    /// At the decision. The default.
    #[default]
    Admission,
    /// At the answer: the charge is held while its permit is out and leaves one period after the permit came back.
    ///
    /// A service counts a request when it arrives, somewhere between the decision and the answer, so no window that
    /// it could have seen is over. The price is a share of latency ÷ (period + latency) of the quota.
    Completion,
}

/// An amount per period.
///
/// ```
/// use paceline_core::Quota;
/// use std::time::Duration;
///
/// let plain = Quota::per_minute(500);                      // a sliding window: never more than 500 in any minute
/// let bursty = Quota::per_second(10).burst(50);            // a token bucket
/// let slow = Quota::new(1, Duration::from_secs(2));        // one every two seconds
/// assert_eq!(slow.amount(), 1);
/// # let _ = (plain, bursty);
/// ```
///
/// A quota is checked where it is put to use: zero amounts and periods, or a burst where it has no meaning, are
/// refused by [`validate`](Self::validate) and so by everything that builds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Quota {
    amount: u64,
    period: Duration,
    guard: Duration,
    algorithm: Option<Algorithm>,
    burst: Option<u64>,
    paced: Option<u64>,
    anchor: Anchor,
    resets_in: Option<Duration>,
}

impl Quota {
    /// `amount` units per `period`.
    pub const fn new(amount: u64, period: Duration) -> Self {
        Self {
            amount,
            period,
            guard: Duration::ZERO,
            algorithm: None,
            burst: None,
            paced: None,
            anchor: Anchor::Admission,
            resets_in: None,
        }
    }

    /// `amount` units per second.
    pub const fn per_second(amount: u64) -> Self {
        Self::new(amount, Duration::from_secs(1))
    }

    /// `amount` units per minute.
    pub const fn per_minute(amount: u64) -> Self {
        Self::new(amount, Duration::from_secs(60))
    }

    /// `amount` units per hour.
    pub const fn per_hour(amount: u64) -> Self {
        Self::new(amount, Duration::from_secs(3_600))
    }

    /// `amount` units per day of 24 hours.
    pub const fn per_day(amount: u64) -> Self {
        Self::new(amount, Duration::from_secs(86_400))
    }

    /// At most `units` at once on top of the even refill: a token bucket of that size.
    pub const fn burst(mut self, units: u64) -> Self {
        self.burst = Some(units);
        self
    }

    /// Counts by `algorithm`; a bucket without a [`burst`](Self::burst) holds one period's amount.
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Pads the period by `pad`, for the time between deciding and the service's own count (default: none).
    pub const fn guard(mut self, pad: Duration) -> Self {
        self.guard = pad;
        self
    }

    /// Also allows at most `units` at once, refilled evenly: a bucket in front of a sliding window.
    pub const fn paced(mut self, units: u64) -> Self {
        self.paced = Some(units);
        self
    }

    /// When a charge enters a sliding window (default: at the decision).
    pub const fn anchor(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }

    /// The running fixed window ends `left` after the limit is made; the next ones follow each period.
    ///
    /// Turning a wall-clock reset ("at midnight in Los Angeles") into a duration needs a clock and a calendar, which
    /// core has not. The guard then keeps clear of each reset, on both sides, instead of lengthening the window.
    pub const fn resets_in(mut self, left: Duration) -> Self {
        self.resets_in = Some(left);
        self
    }

    /// The same quota, counted as carefully as the most careful of `words` would have it: with the longest guard, the
    /// smallest pace, and an anchor at the answer if one of them has it; as it is where there are none, or where it cannot
    /// be counted so. For a quota that is shared by members of which each [learns](crate::Pacing) for itself.
    ///
    /// ```
    /// use paceline_core::Quota;
    /// use std::time::Duration;
    ///
    /// let (stated, ms) = (Quota::per_second(50), Duration::from_millis);
    /// let words = [stated.guard(ms(10)).paced(8), stated.guard(ms(30))];
    /// assert_eq!(stated.counted_as(words), stated.guard(ms(30)).paced(8));
    /// ```
    pub fn counted_as(self, words: impl IntoIterator<Item = Self>) -> Self {
        let strictest = |one: Self, other: Self| Self {
            guard: one.guard.max(other.guard),
            paced: one.paced.into_iter().chain(other.paced).min(),
            anchor: if one.anchor == Anchor::Completion { one.anchor } else { other.anchor },
            ..one
        };
        let Some(Self { guard, paced, anchor, .. }) = words.into_iter().reduce(strictest) else { return self };
        let counted = Self { guard, paced, anchor, ..self };
        if counted.validate().is_ok() { counted } else { self }
    }

    /// Units per period.
    #[must_use]
    pub const fn amount(&self) -> u64 {
        self.amount
    }

    /// The period as given, without the guard.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The pad on the period.
    #[must_use]
    pub const fn guard_pad(&self) -> Duration {
        self.guard
    }

    /// The most that one demand can ask for: the burst of a bucket, the pace of a paced window, else the amount.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        match self.kind() {
            Algorithm::TokenBucket | Algorithm::Gcra => self.burst.unwrap_or(self.amount),
            _ => self.paced.unwrap_or(self.amount).min(self.amount),
        }
    }

    /// When a charge enters a sliding window.
    #[must_use]
    pub const fn anchored_at(&self) -> Anchor {
        self.anchor
    }

    /// The algorithm that applies: the one named, else a token bucket where a burst is given, else a sliding window.
    #[must_use]
    pub fn kind(&self) -> Algorithm {
        self.algorithm.unwrap_or(match self.burst {
            Some(_) => Algorithm::TokenBucket,
            None => Algorithm::SlidingWindow,
        })
    }

    /// Checks that the quota can be kept.
    ///
    /// # Errors
    ///
    /// Names the first value that is zero, too long, or meaningless for the [algorithm](Self::kind).
    pub fn validate(&self) -> Result<(), QuotaError> {
        use Algorithm as A;
        let kind = self.kind();
        let bucket = matches!(kind, A::TokenBucket | A::Gcra);
        let window = kind == A::SlidingWindow;
        let period = self.period.saturating_add(self.guard);
        if self.amount == 0 {
            Err(QuotaError::ZeroAmount)
        } else if self.period.is_zero() {
            Err(QuotaError::ZeroPeriod)
        } else if nanos(period) > i64::MAX as u64 {
            Err(QuotaError::PeriodTooLong(period))
        } else if self.burst == Some(0) || self.paced == Some(0) {
            Err(QuotaError::ZeroBurst)
        } else if self.burst.is_some() && !bucket {
            Err(QuotaError::NoMeaning { option: "burst", algorithm: kind })
        } else if self.paced.is_some() && !window {
            Err(QuotaError::NoMeaning { option: "paced", algorithm: kind })
        } else if self.anchor == Anchor::Completion && !window {
            Err(QuotaError::NoMeaning { option: "anchor", algorithm: kind })
        } else if self.resets_in.is_some() && kind != A::FixedWindow {
            Err(QuotaError::NoMeaning { option: "resets_in", algorithm: kind })
        } else if self.resets_in.is_some() && self.guard.saturating_mul(2) >= self.period {
            Err(QuotaError::GuardTooLong(self.guard))
        } else {
            Ok(())
        }
    }

    /// Period plus guard, in nanoseconds.
    pub(crate) fn guarded_nanos(&self) -> u64 {
        nanos(self.period.saturating_add(self.guard))
    }

    pub(crate) fn pace(&self) -> Option<u64> {
        self.paced
    }

    pub(crate) fn holds_until_completion(&self) -> bool {
        self.anchor == Anchor::Completion
    }

    /// How soon after the limit is made the running fixed window ends, if that was told.
    #[must_use]
    pub const fn first_reset(&self) -> Option<Duration> {
        self.resets_in
    }

    pub(crate) fn write_fields(&self, out: &mut Vec<u64>) {
        let algorithm = self.algorithm.map(|algorithm| algorithm as u64);
        out.extend([self.amount, nanos(self.period), nanos(self.guard)]);
        algorithm.write(out);
        self.burst.write(out);
        self.paced.write(out);
        (self.anchor == Anchor::Completion).write(out);
        self.resets_in.write(out);
    }

    pub(crate) fn read_fields(words: &mut Words<'_>) -> Option<Self> {
        let (amount, period, guard) = (words.word()?, Duration::read(words)?, Duration::read(words)?);
        let algorithm = match Option::<u64>::read(words)? {
            None => None,
            Some(word) => Some(Algorithm::ALL.into_iter().find(|algorithm| *algorithm as u64 == word)?),
        };
        let (burst, paced) = (Option::read(words)?, Option::read(words)?);
        let anchor = if bool::read(words)? { Anchor::Completion } else { Anchor::Admission };
        Some(Self { amount, period, guard, algorithm, burst, paced, anchor, resets_in: Option::read(words)? })
    }

    /// What one of so many has of it for sure: none where that is nothing, or where two shares at once are too much.
    pub(crate) fn share(mut self, members: NonZeroU64) -> Option<Self> {
        let part = |units: u64| Some(units / members).filter(|part| *part > 0);
        if self.kind() == Algorithm::LeakyBucket && members.get() > 1 {
            return None;
        }
        self.amount = part(self.amount)?;
        // A bucket that holds a period's amount holds a share's.
        self.burst = self.burst.map_or(Some(None), |burst| part(burst).map(Some))?;
        self.paced = self.paced.map_or(Some(None), |paced| part(paced).map(Some))?;
        Some(self)
    }

    pub(crate) fn with_amount(mut self, amount: u64) -> Self {
        self.amount = amount;
        self
    }
}
