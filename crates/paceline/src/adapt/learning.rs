//! The controllers of one set, and the limits they set.

use std::time::Duration;

use paceline_core::{Algorithm, Controller, CubicRate, Events, Index, Quota, Sample, Set, Time};

use super::{Feedback, Verdicts};
use crate::wait::Wake;

/// What is in force where a rate controller has nothing to say.
pub(super) const UNLIMITED: Quota = Quota::per_second(u64::MAX).algorithm(Algorithm::TokenBucket);

/// A rate is put in force where it changed by more than this share: every change has the whole queue looked at.
const STEP: f64 = 0.01;

/// So many seconds' worth of calls may go at once: timers count in milliseconds, and could not keep more even a pace.
const BURST: f64 = 0.01;

/// What a set has learnt; without controllers a count of verdicts.
#[derive(Debug, Default)]
pub(crate) struct Learning {
    verdicts: Verdicts,
    in_flight: u64,
    level: Option<Level>,
    rate: Option<Rate>,
}

/// A controller and the resource it sizes.
#[derive(Debug)]
pub(crate) struct Level {
    controller: Box<dyn Controller>,
    limit: Index,
    /// The capacity that was stated, which no controller exceeds.
    ceiling: u64,
    in_force: u64,
}

/// A controller and the limit on calls that it sets.
#[derive(Debug)]
pub(crate) struct Rate {
    controller: CubicRate,
    limit: Index,
    /// In calls a second.
    in_force: Option<f64>,
}

impl Learning {
    pub(super) fn new(level: Option<Level>, rate: Option<Rate>) -> Self {
        Self { level, rate, ..Self::default() }
    }

    pub(super) fn update(&mut self, sample: &Sample, now: Time) {
        if let Some(level) = &mut self.level {
            level.controller.update(sample, now);
        }
        if let Some(rate) = &mut self.rate {
            rate.controller.update(sample, now);
        }
        self.verdicts.count(sample.verdict);
        self.in_flight = sample.in_flight;
    }

    /// Puts in force what has changed.
    pub(super) fn apply(&mut self, set: &mut Set<Wake>, now: Time, events: &mut Events<Wake>) {
        if let Some((limit, quota)) = self.rate.as_mut().and_then(Rate::changed) {
            set.set_quota(now, limit, quota, events).expect("a rate, and a quota that can be kept");
        }
        if let Some((limit, capacity)) = self.level.as_mut().and_then(Level::changed) {
            set.set_capacity(now, limit, capacity, events).expect("a resource, and at least one");
        }
    }

    /// Somebody states another capacity for a limit: what to put in force for it.
    pub(crate) fn restated(&mut self, limit: Index, capacity: u64) -> u64 {
        match &mut self.level {
            Some(level) if level.limit == limit && capacity > 0 => {
                level.ceiling = capacity;
                level.in_force = level.wanted();
                level.in_force
            }
            _ => capacity,
        }
    }

    pub(super) fn reset(&mut self) {
        self.verdicts = Verdicts::default();
        self.in_flight = 0;
        if let Some(level) = &mut self.level {
            level.controller.reset();
        }
        if let Some(rate) = &mut self.rate {
            rate.controller.reset();
        }
    }

    pub(crate) fn feedback(&self) -> Feedback {
        let Self { verdicts, in_flight, level, rate } = self;
        let cuts_of_rate = rate.as_ref().map_or(0, |rate| rate.controller.cuts());
        Feedback {
            verdicts: *verdicts,
            in_flight: *in_flight,
            level: level.as_ref().map(|level| level.controller.level()),
            cuts: level.as_ref().map_or(cuts_of_rate, |level| level.controller.cuts()),
        }
    }
}

impl Level {
    pub(super) fn new(controller: Box<dyn Controller>, limit: Index, ceiling: u64) -> Self {
        let mut level = Self { controller, limit, ceiling, in_force: 0 };
        level.in_force = level.wanted();
        level
    }

    fn wanted(&self) -> u64 {
        self.controller.level().clamp(1, self.ceiling.max(1))
    }

    fn changed(&mut self) -> Option<(Index, u64)> {
        let wanted = self.wanted();
        let before = std::mem::replace(&mut self.in_force, wanted);
        (before != wanted).then_some((self.limit, wanted))
    }
}

impl Rate {
    pub(super) fn new(controller: CubicRate, limit: Index) -> Self {
        Self { controller, limit, in_force: None }
    }

    fn changed(&mut self) -> Option<(Index, Quota)> {
        let wanted = self.controller.rate();
        let same = match (self.in_force, wanted) {
            (Some(before), Some(wanted)) => (wanted - before).abs() <= STEP * before,
            (before, wanted) => before.is_none() && wanted.is_none(),
        };
        if same {
            return None;
        }
        self.in_force = wanted;
        Some((self.limit, wanted.and_then(even).unwrap_or(UNLIMITED)))
    }
}

/// The quota of so many calls a second, evenly.
fn even(rate: f64) -> Option<Quota> {
    let interval = Duration::try_from_secs_f64(1.0 / rate).ok().filter(|interval| !interval.is_zero())?;
    Some(Quota::new(1, interval).burst((BURST * rate).max(1.0) as u64))
}
