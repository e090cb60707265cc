//! What a set learns from how its attempts end: its level, its rate and its gate.
//!
//! The controllers themselves are core's, plain state machines; this is where one is tied to the limits of a set. A
//! set is what shares a quota, so there is one state a set, and whoever has a handle learns from everybody's attempts.
//!
//! All of it lies under the set's one lock, and a verdict is one step: what is in flight is counted, the controllers
//! are told, and gate, level and rate changed before anybody else is admitted. With a lock of its own, an attempt
//! could be admitted between a refusal and the closed gate, and would count for an epoch whose level it never saw. The
//! controllers come first in that step, so that one that panics leaves the set as it was.

mod described;
mod learning;

use std::sync::atomic::{AtomicU64, Ordering};

use paceline_core::{Events, Sample, Time, Verdict};

use crate::error::Error;
use crate::local::{Guarded, Local};
use crate::set::{LimitSet, Store};
use crate::wait::Wake;

pub(crate) use described::Described;
pub(crate) use learning::{Learning, Pace};

/// What a set has learnt so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feedback {
    /// How attempts ended.
    pub verdicts: Verdicts,
    /// Attempts in flight when the latest one ended, itself included.
    pub in_flight: u64,
    /// How many the controller lets be in flight; none without a controller. What is in force may be less: never more
    /// than the capacity that was stated.
    pub level: Option<u64>,
    /// How many it will ever let be in flight, the capacity that was stated included; none without a controller.
    pub most: Option<u64>,
    /// How often the controller cut: that of the concurrency or, where there is only one of the rate, that.
    pub cuts: u64,
}

/// Attempts by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdicts {
    /// Answered.
    pub success: u64,
    /// Refused for their rate.
    pub rate_limited: u64,
    /// Refused for load, or not answered in time.
    pub overloaded: u64,
    /// Failed for reasons that pass.
    pub transient: u64,
    /// Failed for good.
    pub permanent: u64,
    /// Given up by the caller.
    pub cancelled: u64,
}

impl Verdicts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { success, rate_limited, overloaded, transient, permanent, cancelled } = *self;
        success + rate_limited + overloaded + transient + permanent + cancelled
    }

    pub(crate) fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Success => &mut self.success,
            Verdict::RateLimited { .. } => &mut self.rate_limited,
            Verdict::Overloaded => &mut self.overloaded,
            Verdict::Transient => &mut self.transient,
            Verdict::Permanent => &mut self.permanent,
            Verdict::Cancelled => &mut self.cancelled,
        } += 1;
    }
}

/// What a permit's attempt has told so far, in a word: nothing, the instant of its first byte, or its verdict.
#[derive(Debug, Default)]
pub(crate) struct Told(AtomicU64);

impl Told {
    const ENDED: u64 = u64::MAX;

    /// The answer has begun: the first to say so is right.
    pub(crate) fn first_byte(&self, now: Time) {
        let _ = self.0.compare_exchange(0, now.as_nanos(), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Ends the attempt, once: none where it has ended before, else when its answer began, if that was told.
    pub(crate) fn end(&self) -> Option<Option<Time>> {
        match self.0.swap(Self::ENDED, Ordering::Relaxed) {
            Self::ENDED => None,
            0 => Some(None),
            nanos => Some(Some(Time::from_nanos(nanos))),
        }
    }
}

impl Local {
    /// An attempt that was admitted at `began` ended so.
    pub(crate) fn report(&self, began: Time, told: &Told, verdict: Verdict) {
        let Some(first_byte) = told.end() else { return };
        self.step(|guard, now, events| {
            let in_flight = self.active(guard).max(1);
            let duration = first_byte.unwrap_or(now).since(began);
            let sample = Sample { verdict, began, duration, in_flight };
            guard.learning.get_or_insert_with(Box::default).update(&sample, now);
            if let Verdict::RateLimited { retry_after: Some(pause) } = verdict {
                guard.set.pause(now, pause, events);
            }
            self.apply(guard, now, events);
        });
    }

    /// A request that was admitted at `admitted` is on its way only now.
    pub(crate) fn sent(&self, admitted: Time) {
        if self.plan.described.paces() {
            self.step(|guard, now, events| {
                if let Some(learning) = &mut guard.learning {
                    learning.late(now.since(admitted), now);
                    self.apply(guard, now, events);
                }
            });
        }
    }

    /// Puts in force what has been learnt, which may be that each permit has to tell when it comes back.
    fn apply(&self, guard: &mut Guarded, now: Time, events: &mut Events<Wake>) {
        if let Some(learning) = &mut guard.learning {
            learning.apply(&mut guard.set, now, events);
            self.note_completion(&guard.set);
        }
    }
}

impl LimitSet {
    /// Lets the set's controllers forget all they have learnt, and counts verdicts anew. Of a set that lives elsewhere that is
    /// everybody's; the [pacing](crate::LimitSetBuilder::pacing) that begins anew is this handle's alone.
    ///
    /// # Errors
    ///
    /// Only where the set lives elsewhere, and that fails.
    pub fn reset_adaptive(&self) -> Result<(), Error> {
        let local = match &self.0 {
            Store::Remote(remote) => return remote.unlearn(),
            Store::Local(local) => local,
        };
        local.step(|guard, now, events| {
            if let Some(learning) = &mut guard.learning {
                learning.reset();
                local.apply(guard, now, events);
            }
        });
        Ok(())
    }
}
