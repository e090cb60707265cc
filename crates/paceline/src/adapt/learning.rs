//! The controllers of one set, and the limits they set.

#[cfg(feature = "tower")]
mod found;

use std::time::Duration;

use paceline_core::{
    Algorithm, Controller, CubicRate, Events, Index, Pacing, Quota, QuotaError, Sample, Set, Time, Verdict,
};

use super::{Feedback, Verdicts};
use crate::wait::Wake;

/// What is in force where a rate controller has nothing to say.
pub(super) const UNLIMITED: Quota = Quota::per_second(u64::MAX).algorithm(Algorithm::TokenBucket);

/// A rate is put in force where it changed by more than this share: every change has the whole queue looked at.
const STEP: f64 = 0.01;

/// So many seconds' worth of calls may go at once: timers count in milliseconds, and could not keep more even a pace.
const BURST: f64 = 0.01;

/// How many may be in flight until answers have told of limits that nobody stated, or have none to tell of.
pub(super) const FIRST: u64 = 4;

/// What a set has learnt; without controllers a count of verdicts.
#[derive(Debug, Default)]
pub(crate) struct Learning {
    verdicts: Verdicts,
    in_flight: u64,
    level: Option<Level>,
    rate: Option<Rate>,
    paces: Vec<Pace>,
    /// Whether nothing is known of calls but what answers tell.
    careful: bool,
    /// Answers to come before more than the [`FIRST`] fly.
    first: u32,
}

/// The resource that is sized, and by what: a controller, or only what pacing lets fly before the first answer.
#[derive(Debug)]
pub(crate) struct Level {
    controller: Option<Box<dyn Controller>>,
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

/// How a known quota is paced, and the limit it is the quota of.
#[derive(Debug)]
pub(crate) struct Pace {
    pacing: Pacing,
    /// As it began.
    first: Pacing,
    limit: Index,
    in_force: Quota,
    /// What the service last said remains.
    room: Option<u64>,
}

impl Learning {
    pub(super) fn new(level: Option<Level>, rate: Option<Rate>, paces: Vec<Pace>, careful: bool) -> Self {
        Self { level, rate, paces, careful, first: u32::from(careful), ..Self::default() }
    }

    pub(super) fn update(&mut self, sample: &Sample, now: Time) {
        let mut explained = false;
        for pace in &mut self.paces {
            explained |= pace.update(sample, now);
        }
        // A refusal that pacing deals with says nothing of how many may be in flight, or how fast.
        if !explained {
            if let Some(controller) = self.controller() {
                controller.update(sample, now);
            }
            if let Some(rate) = &mut self.rate {
                rate.controller.update(sample, now);
            }
        }
        if sample.verdict != Verdict::Cancelled {
            self.first = self.first.saturating_sub(1);
        }
        self.verdicts.count(sample.verdict);
        self.in_flight = sample.in_flight;
    }

    fn controller(&mut self) -> Option<&mut Box<dyn Controller>> {
        self.level.as_mut()?.controller.as_mut()
    }

    /// A request left so long after its admission.
    pub(super) fn late(&mut self, late: Duration, now: Time) {
        self.paces.iter_mut().for_each(|pace| pace.late(late, now));
    }

    /// The service says what remains of a limit.
    pub(crate) fn heard(&mut self, limit: Index, remaining: Option<u64>) {
        self.paces.iter_mut().for_each(|pace| pace.heard(limit, remaining));
    }

    /// Puts in force what has changed.
    pub(super) fn apply(&mut self, set: &mut Set<Wake>, now: Time, events: &mut Events<Wake>) {
        if let Some((limit, quota)) = self.rate.as_mut().and_then(Rate::changed) {
            set.set_quota(now, limit, quota, events).expect("a rate, and a quota that can be kept");
        }
        for (limit, quota) in self.paces.iter_mut().filter_map(Pace::changed) {
            set.set_quota(now, limit, quota, events).expect("a rate, and a quota that can be kept");
        }
        let held = self.held();
        if let Some((limit, capacity)) = self.level.as_mut().and_then(|level| level.changed(held)) {
            set.set_capacity(now, limit, capacity, events).expect("a resource, and at least one");
        }
    }

    /// The most that may fly for now, by pacing and while nothing is known.
    fn held(&self) -> u64 {
        let paced = self.paces.iter().filter_map(|pace| pace.pacing.in_flight());
        paced.chain((self.first > 0).then_some(FIRST)).min().unwrap_or(u64::MAX)
    }

    /// Somebody states another capacity for a limit: what to put in force for it.
    pub(crate) fn restated(&mut self, limit: Index, capacity: u64) -> u64 {
        let held = self.held();
        match &mut self.level {
            Some(level) if level.limit == limit && capacity > 0 => {
                level.ceiling = capacity;
                level.in_force = level.wanted(held);
                level.in_force
            }
            _ => capacity,
        }
    }

    /// Somebody states another quota for a limit: what to put in force for it.
    pub(crate) fn requoted(&mut self, limit: Index, quota: Quota) -> Result<Quota, QuotaError> {
        let Some(pace) = self.paces.iter_mut().find(|pace| pace.is_of(limit)) else { return Ok(quota) };
        pace.restate(quota)?;
        pace.in_force = pace.pacing.quota();
        Ok(pace.in_force)
    }

    pub(super) fn reset(&mut self) {
        self.verdicts = Verdicts::default();
        self.in_flight = 0;
        self.first = u32::from(self.careful);
        if let Some(controller) = self.controller() {
            controller.reset();
        }
        self.paces.iter_mut().for_each(Pace::reset);
        if let Some(rate) = &mut self.rate {
            rate.controller.reset();
        }
    }

    pub(crate) fn feedback(&self) -> Feedback {
        let Self { verdicts, in_flight, level, rate, .. } = self;
        let controller = level.as_ref().and_then(|level| level.controller.as_ref());
        let cuts_of_rate = rate.as_ref().map_or(0, |rate| rate.controller.cuts());
        Feedback {
            verdicts: *verdicts,
            in_flight: *in_flight,
            level: controller.map(|controller| controller.level()),
            most: level.as_ref().and_then(|level| Some(level.controller.as_ref()?.most().min(level.ceiling))),
            cuts: controller.map_or(cuts_of_rate, |controller| controller.cuts()),
        }
    }
}

impl Level {
    pub(super) fn new(controller: Option<Box<dyn Controller>>, limit: Index, ceiling: u64) -> Self {
        Self { controller, limit, ceiling, in_force: 0 }
    }

    fn wanted(&self, held: u64) -> u64 {
        let level = self.controller.as_ref().map_or(u64::MAX, |controller| controller.level());
        level.min(held).clamp(1, self.ceiling.max(1))
    }

    fn changed(&mut self, held: u64) -> Option<(Index, u64)> {
        let wanted = self.wanted(held);
        let before = std::mem::replace(&mut self.in_force, wanted);
        (before != wanted).then_some((self.limit, wanted))
    }
}

impl Pace {
    pub(super) fn new(pacing: Pacing, limit: Index) -> Self {
        let in_force = pacing.quota();
        Self { first: pacing.clone(), pacing, limit, in_force, room: None }
    }

    pub(crate) fn is_of(&self, limit: Index) -> bool {
        self.limit == limit
    }

    /// Whether that explains a refusal.
    pub(crate) fn update(&mut self, sample: &Sample, now: Time) -> bool {
        self.pacing.update(sample, now, self.room.take())
    }

    /// A request left so long after its admission.
    pub(crate) fn late(&mut self, late: Duration, now: Time) {
        self.pacing.late(late, now);
    }

    /// The service says what remains of a limit.
    pub(crate) fn heard(&mut self, limit: Index, remaining: Option<u64>) {
        if self.is_of(limit) {
            self.room = remaining.or(self.room);
        }
    }

    /// Another quota is stated: what was learnt of how it is counted stays.
    pub(crate) fn restate(&mut self, quota: Quota) -> Result<(), QuotaError> {
        self.first.restate(quota)?;
        self.pacing.restate(quota)
    }

    /// What it would begin with.
    pub(crate) fn first(&self) -> Quota {
        self.first.quota()
    }

    pub(crate) fn reset(&mut self) {
        (self.pacing, self.room) = (self.first.clone(), None);
    }

    /// What is to be put in force, if that is something else than before.
    pub(crate) fn changed(&mut self) -> Option<(Index, Quota)> {
        let wanted = self.pacing.quota();
        let before = std::mem::replace(&mut self.in_force, wanted);
        (before != wanted).then_some((self.limit, wanted))
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> (Index, Quota) {
        (self.limit, self.in_force)
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
