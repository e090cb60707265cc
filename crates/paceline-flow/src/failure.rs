//! Why an instance has not come to its end.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paceline::RateLimitHit;

/// An error of a user's, whatever its type: `?` makes one of any, and so does `into` of a string.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// What nodes return.
pub type Result<T, E = BoxError> = std::result::Result<T, E>;

/// Why an instance has failed, and where.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failure {
    /// The node, by its name; of a nested flow, with the names above it: `documents/fetch`.
    pub node: Arc<str>,
    /// The item's place in what the node's `prep` yielded, from 0; none where it was not an item that failed.
    pub item: Option<usize>,
    /// Why.
    pub cause: Cause,
}

/// Why something has failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// With this error of the node's own.
    Error(BoxError),
    /// It was refused for its rate: the node ended with a [`RateLimitHit`], or
    /// [hands on](crate::Limits::propagate_rate_limit) what it takes for one.
    RateLimited(RateLimitHit),
    /// It panicked, with this message.
    Panicked(String),
    /// Its limits did not admit it.
    NotAdmitted(paceline::Error),
    /// An attempt took longer than its node's [timeout](crate::Limits::timeout).
    TimedOut(Duration),
    /// What it returned was not taken for a success by [`Node::verdict`](crate::Node::verdict).
    Rejected,
}

impl Failure {
    pub(crate) fn new(node: &Arc<str>, item: Option<usize>, cause: Cause) -> Self {
        Self { node: Arc::clone(node), item, cause }
    }

    /// Whether it is a rate limit that was handed on.
    #[must_use]
    pub fn is_rate_limit(&self) -> bool {
        matches!(self.cause, Cause::RateLimited(_))
    }
}

impl Cause {
    /// That of an error that a node ended with. One that says of itself that it is a rate limit is so for the flow too.
    pub(crate) fn of(error: BoxError) -> Self {
        error.downcast().map_or_else(Self::Error, |hit| Self::RateLimited(*hit))
    }

    /// The same as an error of its own, for a fallback.
    pub(crate) fn into_error(self) -> BoxError {
        match self {
            Self::Error(error) => error,
            Self::RateLimited(hit) => Box::new(hit),
            Self::NotAdmitted(error) => Box::new(error),
            other => other.to_string().into(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::RateLimited(hit) => hit.fmt(f),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
            Self::NotAdmitted(error) => error.fmt(f),
            Self::TimedOut(timeout) => write!(f, "an attempt took longer than its timeout of {timeout:?}"),
            Self::Rejected => f.write_str("what it returned was not taken for a success"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            Some(item) => write!(f, "`{}`, item {item}: {}", self.node, self.cause),
            None => write!(f, "`{}`: {}", self.node, self.cause),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            Cause::Error(error) => Some(&**error),
            Cause::RateLimited(hit) => Some(hit),
            Cause::NotAdmitted(error) => Some(error),
            _ => None,
        }
    }
}
