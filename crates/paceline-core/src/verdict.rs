//! What an attempt came to, in the words of whoever has to act on it.

use std::time::Duration;

/// How one attempt ended. Every attempt ends in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answered.
    Success,
    /// Refused for its rate: a 429 and its kin. Says so of the quota, not of the call.
    RateLimited {
        /// The least to wait before the next, if the service told.
        retry_after: Option<Duration>,
    },
    /// The service is at its end: a 503 or 529, or no answer within the total timeout.
    Overloaded,
    /// Failed for reasons that pass and say nothing of load: a connect or DNS failure, a reset connection, a 500.
    Transient,
    /// Failed for good: trying again would fail again.
    Permanent,
    /// Given up by the caller.
    Cancelled,
}

impl Verdict {
    /// Whether it says that the service has too much to do.
    #[must_use]
    pub fn is_throttle(self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Overloaded)
    }

    /// Whether another attempt can end better.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Overloaded | Self::Transient)
    }
}
