//! The spans, and what is known when one ends.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::Verdict;
use tracing::Span;
use tracing::field::Empty;

use super::meter;
use super::names::{self, events, fields, spans};
use crate::wait::Waiting;

/// A wait begins.
pub(crate) fn wait(waiting: &Waiting) -> Span {
    let wait = tracing::debug_span!(
        spans::WAIT,
        { fields::SET } = &*waiting.set,
        { fields::LIMIT } = waiting.limit.as_deref(),
        { fields::EXPECTED } = waiting.expected.as_ref().map(Duration::as_secs_f64),
        { fields::AHEAD } = waiting.ahead,
        { fields::WAITED } = Empty
    );
    // For those who see events only: what it waits for is the span's.
    tracing::debug!(name: events::WAITING, parent: &wait, "waiting");
    wait
}

/// It ended in a grant, by these sets after so long.
pub(crate) fn granted<'a>(wait: &Span, by: impl IntoIterator<Item = (&'a Arc<str>, Duration)>) {
    let mut longest = Duration::ZERO;
    for (set, waited) in by {
        meter::waited(set, waited);
        longest = longest.max(waited);
    }
    wait.record(fields::WAITED, longest.as_secs_f64());
}

/// A pipeline's call begins.
pub(crate) fn call(source: &str) -> Span {
    tracing::debug_span!(
        spans::CALL,
        { fields::SOURCE } = source,
        { fields::ATTEMPTS } = Empty,
        { fields::WAITED } = Empty,
        { fields::BACKED_OFF } = Empty,
        { fields::VERDICT } = Empty
    )
}

/// It is over.
pub(crate) fn called(call: &Span, attempts: u32, waited: Duration, backed_off: Duration, verdict: Option<Verdict>) {
    call.record(fields::ATTEMPTS, attempts);
    call.record(fields::WAITED, waited.as_secs_f64());
    call.record(fields::BACKED_OFF, backed_off.as_secs_f64());
    call.record(fields::VERDICT, verdict.map(names::verdict));
}

/// An attempt of it begins.
pub(crate) fn attempt(call: &Span, set: &str, number: u32) -> Span {
    tracing::debug_span!(
        parent: call,
        spans::ATTEMPT,
        { fields::SET } = set,
        { fields::ATTEMPT } = number,
        { fields::VERDICT } = Empty
    )
}

/// It ended, after so long.
pub(crate) fn attempted(attempt: &Span, set: &Arc<str>, verdict: Verdict, duration: Duration) {
    attempt.record(fields::VERDICT, names::verdict(verdict));
    meter::called(set, verdict, duration);
}
