//! How long an answer takes, and the text form of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// The time from a call's arrival to its answer. Written `50ms` or `lognormal:5s,0.6`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// Always the same; zero answers at once.
    Fixed(Duration),
    /// Lognormal, as language models' answer times roughly are.
    LogNormal {
        /// Half of the answers take at most this.
        median: Duration,
        /// The standard deviation of the latency's natural logarithm.
        sigma: f64,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Latency::Fixed(Duration::ZERO)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Latency::Fixed(time) => write!(f, "{}", humantime::format_duration(*time)),
            Latency::LogNormal { median, sigma } => {
                write!(f, "lognormal:{},{sigma}", humantime::format_duration(*median))
            }
        }
    }
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, LatencyError> {
        let duration = |part: &str| {
            humantime::parse_duration(part.trim())
                .map_err(|why| LatencyError::Duration { text: part.to_owned(), why: why.to_string() })
        };
        let Some(rest) = text.strip_prefix("lognormal:") else {
            return Ok(Latency::Fixed(duration(text)?));
        };
        let (median, sigma) = rest.split_once(',').ok_or_else(|| LatencyError::NoSigma(text.to_owned()))?;
        let median = duration(median)?;
        if median.is_zero() {
            return Err(LatencyError::ZeroMedian);
        }
        match sigma.trim().parse::<f64>() {
            Ok(sigma) if (0.0..=MAX_SIGMA).contains(&sigma) => Ok(Latency::LogNormal { median, sigma }),
            _ => Err(LatencyError::Sigma(sigma.to_owned())),
        }
    }
}

/// Beyond this a lognormal's tail is longer than any test; real services are below 2.
const MAX_SIGMA: f64 = 10.0;

/// A latency that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LatencyError {
    /// Not a duration.
    #[error("{text:?} is not a duration ({why}): write for example 50ms, or lognormal:5s,0.6")]
    Duration {
        /// What was there.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A median alone.
    #[error("{0:?} has no sigma: write lognormal:MEDIAN,SIGMA, for example lognormal:5s,0.6")]
    NoSigma(String),
    /// A median of zero.
    #[error("a lognormal latency needs a median above 0")]
    ZeroMedian,
    /// Not a sigma.
    #[error("{0:?} is not a sigma: use a number from 0 to 10, for example 0.6")]
    Sigma(String),
}
