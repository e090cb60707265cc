//! What became of a call.

use std::fmt;
use std::time::Duration;

use paceline_core::Verdict;

use crate::error::Error;
use crate::set::LimitSet;

/// What became of a call, and what it took.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the call may have failed"]
pub struct Outcome<T, E> {
    /// The value, or why there is none.
    pub result: Result<T, CallError<T, E>>,
    /// How the last attempt ended; none where there was no attempt.
    pub verdict: Option<Verdict>,
    /// Attempts that were made, each of them charged.
    pub attempts: u32,
    /// How long it waited for limits.
    pub waited: Duration,
    /// How long it waited to try again.
    pub backed_off: Duration,
    /// The set that served the last attempt: of a pool, the member.
    pub set: Option<LimitSet>,
}

impl<T, E> Outcome<T, E> {
    /// Whether it has the value.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.result.is_ok()
    }

    /// A call that did not come to its first attempt.
    pub(super) fn refused(error: Error) -> Self {
        Self::without_attempt(CallError::NotAdmitted(error))
    }

    /// A call that ended before it had anything to tell.
    pub(crate) fn without_attempt(error: CallError<T, E>) -> Self {
        let (waited, backed_off) = (Duration::ZERO, Duration::ZERO);
        let result = Err(error);
        Self { result, verdict: None, attempts: 0, waited, backed_off, set: None }
    }
}

/// Why a call has no value.
///
/// An error itself whatever `E` is, a boxed one or a string included; so it tells of `E` in its message only.
pub enum CallError<T, E> {
    /// Its last attempt failed with this error.
    Failed(E),
    /// Its last attempt returned this, which was not taken for a success.
    Rejected(T),
    /// It was not admitted, for its first attempt or another one.
    NotAdmitted(Error),
    /// It panicked, with this message. Only a [`Batch`](crate::Batch) makes an error of that.
    Panicked(String),
    /// It was given up before it had ended. Only a [`Batch`](crate::Batch) that is drained or aborted says so.
    Stopped,
}

impl<T, E: fmt::Display> fmt::Display for CallError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Rejected(_) => f.write_str("the call returned something that was not taken for a success"),
            Self::NotAdmitted(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "the call panicked: {message}"),
            Self::Stopped => f.write_str("the call was given up before it had ended"),
        }
    }
}

impl<T, E: fmt::Debug> fmt::Debug for CallError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            Self::Rejected(_) => f.write_str("Rejected(..)"),
            Self::NotAdmitted(error) => f.debug_tuple("NotAdmitted").field(error).finish(),
            Self::Panicked(message) => f.debug_tuple("Panicked").field(message).finish(),
            Self::Stopped => f.write_str("Stopped"),
        }
    }
}

impl<T, E: fmt::Debug + fmt::Display> std::error::Error for CallError<T, E> {}
