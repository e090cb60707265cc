//! What keeps the store from being used, how soon it is tried again, and who is told.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use paceline::backend::BackendError;
use rand::Rng as _;

use super::own::Permit;
use super::state::State;
use crate::error::Error;

/// How soon to try again where the store cannot be used, at first and at last.
const SOONEST: Duration = Duration::from_millis(20);
pub(super) const LATEST: Duration = Duration::from_secs(1);
/// After how many failures in a row the store is away.
const FAILURES: u32 = 3;

/// The store cannot be used.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) error: BackendError,
    /// Whether that says it is away.
    pub(super) away: bool,
    /// Whether it passes by itself, for all that is known: what is wrong lasts.
    pub(super) passes: bool,
    pub(super) since: Instant,
    pub(super) again: Instant,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) backoff: ExponentialBackoff,
}

impl State {
    pub(super) fn tried(&mut self, result: Result<(), Error>, now: Instant) {
        let Err(error) = result else {
            if self.trouble.take().is_some_and(|trouble| trouble.failures >= FAILURES || !trouble.away) {
                tracing::info!(set = %self.name, "the store of shared limits is back");
            }
            if let Some(away) = self.away.as_mut().filter(|_| self.joined) {
                away.over = true;
            }
            return;
        };
        let away = error.is_away();
        let passes = away || error.is_retryable();
        let mut error = BackendError::from(error);
        // What has served will again, be it a replica for now.
        error.retryable |= away && self.worked;
        let (since, failures, mut backoff) = match self.trouble.take() {
            Some(before) if before.away == away => (before.since, before.failures + 1, before.backoff),
            Some(before) => (before.since, 1, before.backoff),
            None => (now, 1, backoff()),
        };
        // Drawn here: its own jitter adds to the delay instead of drawing from it.
        let delay = if passes { backoff.next().unwrap_or(LATEST) } else { LATEST };
        let again = now + delay.mul_f64(rand::rng().random_range(0.5..1.0));
        if failures == if away { FAILURES } else { 1 } {
            tracing::warn!(set = %self.name, %error, "the store of shared limits cannot be used");
        }
        self.trouble = Some(Trouble { error, away, passes, since, again, failures, backoff });
        match &mut self.away {
            Some(away) => away.over = false,
            None if away && failures >= FAILURES => self.go_away(now),
            None => {}
        }
    }

    /// Has all who have waited too long for the store told so; when the next will have.
    pub(super) fn give_up(&mut self, now: Instant) -> Option<Instant> {
        let trouble = self.trouble.as_ref()?;
        let (error, since) = (trouble.error.clone(), trouble.since);
        let patience = if trouble.passes { self.response } else { Duration::ZERO };
        let mut next = None;
        // Who waits for a set that was there waits for its return; what is wrong, or was never there, is told.
        if !(trouble.away && self.worked) {
            let ends = self.permits.iter().filter_map(|(permit, what)| match what {
                Permit::Waiting { place, .. } => Some((*permit, place.began.max(since) + patience)),
                _ => None,
            });
            let (over, waiting): (Vec<_>, Vec<_>) = ends.partition(|(_, ends)| *ends <= now);
            next = waiting.into_iter().map(|(_, ends)| ends).min();
            over.into_iter().for_each(|(permit, _)| self.fail(permit, &error, now));
        }
        if now >= since + patience {
            self.give_up_arrivals(now.checked_sub(patience).unwrap_or(now), &error);
        }
        next
    }

    /// Nobody keeps it any more: it was let go of, or whoever kept it has panicked.
    pub(super) fn stop(&mut self, now: Instant) {
        let trouble = self.trouble.as_ref().filter(|_| self.closing.is_some());
        self.stopped = Some(trouble.map_or_else(|| Error::Stopped.into(), |trouble| trouble.error.clone()));
        // Whatever has panicked may do so again.
        (self.away, self.grace) = (None, None);
        self.give_up_stopped(now);
    }

    /// Has all who wait told so where nobody keeps it any more.
    pub(super) fn give_up_stopped(&mut self, now: Instant) {
        let Some(error) = self.stopped.clone() else { return };
        self.waiting().into_iter().for_each(|permit| self.fail(permit, &error, now));
        self.give_up_arrivals(now, &error);
    }

    pub(super) fn is_kept(&self) -> Result<(), BackendError> {
        self.stopped.clone().map_or(Ok(()), Err)
    }

    /// Has somebody who waits told of an error.
    pub(super) fn fail(&mut self, permit: u128, error: &BackendError, now: Instant) {
        if let Some(Permit::Waiting { asked, .. }) = self.permits.get(&permit) {
            self.end_wait(permit, Permit::Failed { error: error.clone(), asked: *asked });
            self.cancel_alone(permit, now);
        }
    }
}

impl Trouble {
    /// Whether it is more than a moment's.
    pub(super) fn lasts(&self, now: Instant, response: Duration) -> bool {
        !self.passes || now.saturating_duration_since(self.since) >= response
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(SOONEST).with_max_delay(LATEST).without_max_times().build()
}
