//! The metrics that are recorded as things happen: what a snapshot cannot show.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{counter, histogram};
use paceline_core::Verdict;

use super::names::fields::{SET, VERDICT};
use super::names::{self, metrics};

/// Somebody who had to wait was granted.
pub(crate) fn waited(set: &Arc<str>, waited: Duration) {
    histogram!(metrics::WAIT_SECONDS, SET => Arc::clone(set)).record(waited);
}

/// An attempt ended.
pub(crate) fn called(set: &Arc<str>, verdict: Verdict, duration: Duration) {
    let verdict = names::verdict(verdict);
    histogram!(metrics::CALL_SECONDS, SET => Arc::clone(set), VERDICT => verdict).record(duration);
}

/// An attempt is made that is not its call's first.
pub(crate) fn retried(set: &Arc<str>) {
    counter!(metrics::RETRIES, SET => Arc::clone(set)).increment(1);
}
