//! The rate algorithms behind one face.
//!
//! Each keeps its own state and answers the same questions: is there room for some units, charge them, correct a
//! charge. None reads a clock, and all arithmetic is in whole numbers. The words used throughout:
//!
//! * `ahead`: units that others will be charged before the units asked about;
//! * `mark`: all units ever charged to the limit, up to and with one charge, so that marks order charges;
//! * `now` never goes back: an earlier instant counts as the latest one seen.

mod bucket;
mod counter;
mod fixed;
mod log;

use crate::decision::Ready;
use crate::demand::Part;
use crate::image::Words;
use crate::quota::{Algorithm as Kind, Quota};
use crate::time::Time;

pub(crate) use bucket::Bucket;
pub(crate) use counter::Counter;
pub(crate) use fixed::Fixed;
pub(crate) use log::Log;

/// The state of one algorithm. Buckets are a word and lie flat; the others are boxed, to keep small sets small.
#[derive(Clone, Debug)]
pub(crate) enum Algorithm {
    Bucket(Bucket),
    Log(Box<Log>),
    Counter(Box<Counter>),
    Fixed(Box<Fixed>),
}

macro_rules! each {
    ($self:expr, $it:ident => $call:expr) => {
        match $self {
            Algorithm::Bucket($it) => $call,
            Algorithm::Log($it) => $call,
            Algorithm::Counter($it) => $call,
            Algorithm::Fixed($it) => $call,
        }
    };
}

impl Algorithm {
    pub(crate) fn new(quota: &Quota, now: Time) -> Self {
        match quota.kind() {
            Kind::TokenBucket | Kind::Gcra | Kind::LeakyBucket => Self::Bucket(Bucket::new(quota, now)),
            Kind::SlidingWindow => Self::Log(Box::new(Log::new(quota, now))),
            Kind::SlidingCounter => Self::Counter(Box::new(Counter::new(quota, now))),
            Kind::FixedWindow => Self::Fixed(Box::new(Fixed::new(quota, now))),
        }
    }

    /// As it would stand now, had it been there for `past`: instants and units, the oldest first and none after `now`.
    pub(crate) fn recalled(quota: &Quota, now: Time, past: &[(Time, u64)]) -> Self {
        let since = past.first().map_or(now, |(first, _)| *first);
        match quota.kind() {
            // Its grid is told as of now.
            Kind::FixedWindow => Self::Fixed(Box::new(Fixed::recalled(quota, now, past))),
            _ => {
                let mut fresh = Self::new(quota, since);
                for (at, units) in past {
                    match &mut fresh {
                        Self::Log(it) => it.recall(*at, *units),
                        other => other.charge(*at, *at, *units),
                    }
                }
                fresh
            }
        }
    }

    /// Charges `units` if there is room.
    #[inline]
    pub(crate) fn take(&mut self, now: Time, units: u64) -> bool {
        match self {
            Self::Bucket(it) => it.take(now, units),
            boxed => boxed.take_boxed(now, units),
        }
    }

    /// Out of line, so that the way of the buckets is short.
    #[inline(never)]
    fn take_boxed(&mut self, now: Time, units: u64) -> bool {
        let room = self.ready(now, units, 0) == Ready::Now;
        if room {
            self.charge_boxed(now, now, units);
        }
        room
    }

    /// Whether a charge can be taken back to the last bit: where the state is one word.
    #[inline]
    pub(crate) fn can_undo(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// Takes back the latest charge, at the same instant, where that [can be](Self::can_undo).
    pub(crate) fn undo(&mut self, units: u64) {
        if let Self::Bucket(it) = self {
            it.undo(units);
        }
    }

    /// When `units` can be charged, if `ahead` units more go first.
    pub(crate) fn ready(&mut self, now: Time, units: u64, ahead: u64) -> Ready {
        each!(self, it => it.ready(now, units, ahead))
    }

    /// Nanoseconds until `units` fit after `ahead` others even if it were empty.
    pub(crate) fn lead(&self, units: u64, ahead: u64) -> u64 {
        match self {
            Self::Bucket(it) => it.lead(units, ahead),
            Self::Log(it) => it.lead(units, ahead),
            Self::Counter(_) | Self::Fixed(_) => 0,
        }
    }

    /// Charges `units`, room or not, where they could have been charged since `since`.
    #[inline]
    pub(crate) fn charge(&mut self, now: Time, since: Time, units: u64) {
        match self {
            Self::Bucket(it) => it.charge(now, since, units),
            boxed => boxed.charge_boxed(now, since, units),
        }
    }

    /// Out of line, so that the way of the buckets is short.
    #[inline(never)]
    fn charge_boxed(&mut self, now: Time, since: Time, units: u64) {
        match self {
            Self::Bucket(it) => it.charge(now, since, units),
            Self::Log(it) => it.charge(now, since, units),
            Self::Counter(it) => it.charge(now, units),
            Self::Fixed(it) => it.charge(now, units),
        }
    }

    /// Charges `extra` units more to a demand admitted at `admitted`. Only a log can still enter them there.
    pub(crate) fn add(&mut self, now: Time, part: &Part, admitted: Time, extra: u64) {
        match self {
            Self::Log(it) => it.add(now, part, admitted, extra),
            other => other.charge(now, now, extra),
        }
    }

    /// Takes up to `units` of a charge back, as far as the algorithm still can; says how many. `since` are the units
    /// charged to the limit after it.
    pub(crate) fn refund(&mut self, now: Time, part: &Part, admitted: Time, units: u64, since: u64) -> u64 {
        match self {
            Self::Bucket(it) => it.refund(now, units, since),
            Self::Log(it) => it.refund(now, part.mark, admitted, units),
            Self::Counter(it) => it.refund(now, admitted, units),
            Self::Fixed(it) => it.refund(now, admitted, units),
        }
    }

    /// The permit of a charge came back.
    pub(crate) fn complete(&mut self, now: Time, part: &Part) {
        if let Self::Log(it) = self {
            it.complete(now, part);
        }
    }

    /// The permit of a charge is out again.
    pub(crate) fn take_up(&mut self, now: Time, part: &Part) {
        if let Self::Log(it) = self {
            it.take_up(now, part);
        }
    }

    /// Whether returning permits matter to it.
    #[inline]
    pub(crate) fn awaits_completion(&self) -> bool {
        matches!(self, Self::Log(it) if it.awaits_completion())
    }

    /// Units that stand charged now.
    pub(crate) fn used(&mut self, now: Time) -> u64 {
        each!(self, it => it.used(now))
    }

    /// Units that could be charged at once.
    pub(crate) fn free(&mut self, now: Time) -> u64 {
        each!(self, it => it.free(now))
    }

    /// Units that can stand charged without being a debt.
    pub(crate) fn ceiling(&self) -> u64 {
        each!(self, it => it.ceiling())
    }

    /// Puts another quota in force, keeping what stands charged.
    pub(crate) fn requota(&mut self, now: Time, quota: &Quota, mark: u64) {
        match (&mut *self, quota.kind()) {
            (Self::Bucket(it), Kind::TokenBucket | Kind::Gcra | Kind::LeakyBucket) => it.requota(now, quota),
            (Self::Log(it), Kind::SlidingWindow) => it.requota(now, quota, mark),
            (Self::Counter(it), Kind::SlidingCounter) => it.requota(now, quota),
            (Self::Fixed(it), Kind::FixedWindow) => it.requota(now, quota),
            (_, Kind::SlidingWindow) => {
                let used = self.used(now);
                *self = Self::Log(Box::new(Log::starting(quota, now, used, mark)));
            }
            _ => {
                let used = self.used(now);
                *self = Self::new(quota, now);
                self.charge(now, now, used);
            }
        }
    }

    /// Puts another amount in force; `quota` is the one in force but for that.
    pub(crate) fn set_amount(&mut self, now: Time, quota: &Quota, mark: u64) {
        match self {
            // Its resets run on: they were counted from when the quota was given.
            Self::Fixed(it) => it.set_amount(quota.amount()),
            other => other.requota(now, quota, mark),
        }
    }

    /// Starts afresh: nothing charged up to `mark` can be refunded or completed any more.
    pub(crate) fn reset(&mut self, now: Time, quota: &Quota, mark: u64) {
        *self = match self {
            Self::Log(_) => Self::Log(Box::new(Log::starting(quota, now, 0, mark))),
            _ => Self::new(quota, now),
        };
    }

    /// Charges what one has used alone, the oldest first, room or not.
    pub(crate) fn charge_past(&mut self, now: Time, past: &[(Time, u64)]) {
        match self {
            Self::Bucket(it) => it.charge_past(now, past),
            Self::Log(it) => it.charge_past(now, past),
            Self::Counter(it) => it.charge_past(now, past),
            Self::Fixed(it) => it.charge_past(now, past),
        }
    }

    /// Lets `available` units be free at most; what is taken away counts as the service's own window does, where its
    /// end is known.
    pub(crate) fn cap_available(&mut self, now: Time, available: u64, window_ends: Option<Time>) {
        match self {
            Self::Bucket(it) => it.cap_available(now, available),
            Self::Log(it) => it.cap_available(now, available, window_ends),
            Self::Counter(it) => it.cap_available(now, available),
            Self::Fixed(it) => it.cap_available(now, available, window_ends),
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u64>) {
        each!(self, it => it.write(out));
    }

    /// One of this quota, with what was written.
    pub(crate) fn read(quota: &Quota, words: &mut Words<'_>) -> Option<Self> {
        Some(match Self::new(quota, Time::ZERO) {
            Self::Bucket(it) => Self::Bucket(it.read(words)?),
            Self::Log(it) => Self::Log(Box::new(it.read(words)?)),
            Self::Counter(it) => Self::Counter(Box::new(it.read(words)?)),
            Self::Fixed(it) => Self::Fixed(Box::new(it.read(words)?)),
        })
    }

    /// Lets at least `available` units be free.
    pub(crate) fn lift_available(&mut self, now: Time, available: u64) {
        each!(self, it => it.lift_available(now, available))
    }
}
