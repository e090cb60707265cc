//! What to simulate.

use std::time::Duration;

use thiserror::Error;

use crate::{Dialect, Latency, LimitKey};

/// One limit: at most `amount` units in any window `(t − window, t]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MockLimit {
    /// What is counted.
    pub key: LimitKey,
    /// Units per window.
    pub amount: u64,
    /// The window's length.
    pub window: Duration,
}

impl MockLimit {
    /// At most `amount` of `key` in any `window`.
    #[must_use]
    pub const fn new(key: LimitKey, amount: u64, window: Duration) -> Self {
        MockLimit { key, amount, window }
    }

    /// At most `amount` of `key` a minute.
    #[must_use]
    pub const fn per_minute(key: LimitKey, amount: u64) -> Self {
        MockLimit::new(key, amount, Duration::from_secs(60))
    }
}

/// A provider to simulate. The default has no limits, no latency and no faults, and speaks OpenAI.
#[derive(Clone, Debug, Default)]
pub struct MockConfig {
    /// The limits, all held at once. The same key may come more than once (a limit a minute and one a day).
    pub limits: Vec<MockLimit>,
    /// Instead of strict sliding windows, token buckets of this size, full at the start and refilled evenly at
    /// amount / window. It sizes the request limits; token limits only if there are no request limits, since one
    /// number cannot be a sensible size for both.
    pub bucket: Option<u64>,
    /// Refused calls (429, for whatever reason) enter the request windows too, so that a client that hammers stays
    /// refused. From a bucket they drain what is there, at most one.
    pub count_refused: bool,
    /// At most this many calls at once; 429 above.
    pub concurrency: Option<u64>,
    /// From a call's arrival to its answer. Refusals are answered at once.
    pub latency: Latency,
    /// Each call counts as having arrived after a uniformly random delay below this, as if on a network that
    /// reorders.
    pub jitter: Duration,
    /// The share of admitted (and charged) calls that are answered with 500 or 503, evenly; 0 to 1.
    pub error_rate: f64,
    /// Says nothing about limits in headers, not even Retry-After.
    pub no_headers: bool,
    /// Whose headers and errors to imitate.
    pub dialect: Dialect,
    /// Seeds every random choice: the n-th call read gets the n-th jitter, the n-th admitted the n-th latency and
    /// fault.
    pub seed: u64,
    /// If set, calls without this key are answered 401. It comes as a bearer token, or in the dialect's own header
    /// (`x-api-key`, `api-key`, `x-goog-api-key`).
    pub api_key: Option<String>,
}

impl MockConfig {
    /// Checks what the types leave open.
    ///
    /// # Errors
    ///
    /// A zero amount, window, bucket or concurrency; an error rate that is not within 0 to 1.
    pub fn check(&self) -> Result<(), ConfigError> {
        for limit in &self.limits {
            if limit.amount == 0 {
                return Err(ConfigError::ZeroAmount(limit.key));
            }
            if limit.window.is_zero() {
                return Err(ConfigError::ZeroWindow(limit.key));
            }
        }
        if self.bucket == Some(0) {
            return Err(ConfigError::ZeroBucket);
        }
        if self.concurrency == Some(0) {
            return Err(ConfigError::ZeroConcurrency);
        }
        if !(0.0..=1.0).contains(&self.error_rate) {
            return Err(ConfigError::ErrorRate(self.error_rate));
        }
        Ok(())
    }

    /// The bucket's size for a limit of this key, if it is a bucket.
    pub(crate) fn bucket_for(&self, key: LimitKey) -> Option<u64> {
        let calls_are_limited = self.limits.iter().any(|limit| limit.key == LimitKey::Requests);
        self.bucket.filter(|_| key == LimitKey::Requests || !calls_are_limited)
    }
}

/// A configuration that makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A limit of nothing.
    #[error("the limit on {0} has an amount of 0, which refuses every call: use at least 1")]
    ZeroAmount(LimitKey),
    /// A limit over no time.
    #[error("the limit on {0} has a window of 0: use a positive duration such as 1m")]
    ZeroWindow(LimitKey),
    /// A bucket that holds nothing.
    #[error("a bucket of 0 refuses every call: use at least 1")]
    ZeroBucket,
    /// No call at all.
    #[error("a concurrency of 0 refuses every call: use at least 1, or none for no limit")]
    ZeroConcurrency,
    /// Not a share.
    #[error("the error rate {0} is not a share from 0 to 1")]
    ErrorRate(f64),
}
