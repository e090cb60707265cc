//! Instants as plain numbers.
//!
//! Core never reads a clock: whoever calls passes the instant in. What the origin is (a process start, a boot, a
//! server's epoch) is the caller's matter; core only compares and subtracts.

use std::ops::Add;
use std::time::Duration;

/// An instant: nanoseconds since an origin that the caller chose.
///
/// Covers 584 years; arithmetic saturates at both ends instead of wrapping.
///
/// ```
/// use paceline_core::Time;
/// use std::time::Duration;
///
/// let t = Time::from_nanos(5) + Duration::from_nanos(10);
/// assert_eq!(t.since(Time::from_nanos(5)), Duration::from_nanos(10));
/// assert_eq!(Time::ZERO.since(t), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// The end of time: an instant that is never reached.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time passed since `earlier`; zero where that lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    pub(crate) const fn nanos_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    pub(crate) const fn minus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        self.plus_nanos(nanos(duration))
    }
}

/// A duration in whole nanoseconds, at most 584 years.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
