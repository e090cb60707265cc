//! What a set that lives elsewhere learns from how attempts end, for its backend to keep with the set.
//!
//! A state machine without a clock or a lock, as the controllers are. All members' attempts go into the one that a set has,
//! in one order, so one burst of refusals is one cut for all of them; where every member has a replica of it, each comes
//! to the same, to the bit.

use paceline_core::image::{Image, Words};
use paceline_core::{Aimd, AimdBuilder, Controller as _, Index, Sample, Time, Verdict};

use super::{LimitSpec, Report, Sizing};
use crate::adapt::{Feedback, Verdicts};

/// What a shared set has learnt.
///
/// ```
/// use paceline::backend::{Learnt, LimitSpec, Report, Sizing};
/// use paceline::{Aimd, Time, Verdict};
/// use std::time::Duration;
///
/// let by = Some(Aimd::builder().initial_concurrent(8));
/// let mut learnt = Learnt::new(&[LimitSpec::Adaptive(Sizing { most: 100, first: None, by })]);
/// assert_eq!(learnt.capacity(), Some((0, 8)));
///
/// let duration = Duration::from_millis(20);
/// let report = Report { verdict: Verdict::Overloaded, duration, explained: false };
/// let began = Time::from_nanos(1);
/// (0..8).for_each(|_| learnt.update(&report, Some(began), 8, began + duration));
/// assert_eq!(learnt.capacity(), Some((0, 4)), "eight refusals of one burst are one cut");
/// ```
#[derive(Clone, Debug)]
pub struct Learnt {
    verdicts: Verdicts,
    in_flight: u64,
    level: Option<Level>,
}

/// The resource that is sized, and by what.
#[derive(Clone, Debug)]
struct Level {
    limit: Index,
    most: u64,
    first: Option<u64>,
    controller: Option<Aimd>,
}

impl Learnt {
    /// Nothing, of a set of these limits.
    #[must_use]
    pub fn new(limits: &[LimitSpec]) -> Self {
        let sized = limits.iter().zip(0..).find_map(|(spec, limit)| match spec {
            LimitSpec::Adaptive(sizing) => Some((limit, *sizing)),
            LimitSpec::Rate(_) | LimitSpec::Resource(_) => None,
        });
        let level = sized.map(|(limit, Sizing { most, first, by })| {
            let controller = by.filter(|rules| !rules.has_latency_guard()).and_then(|rules| rules.build().ok());
            Level { limit, most, first, controller }
        });
        Self { verdicts: Verdicts::default(), in_flight: 0, level }
    }

    /// Learns from one attempt that ended at `now`. `began` is when its permit was granted, by the same clock; of one of
    /// which nobody knows that any more, the verdict is only counted. `in_flight` are the permits that are out, of all
    /// members, its own included.
    pub fn update(&mut self, report: &Report, began: Option<Time>, in_flight: u64, now: Time) {
        let Report { verdict, duration, explained } = *report;
        let in_flight = in_flight.max(1);
        let controller = self.level.as_mut().and_then(|level| level.controller.as_mut());
        if let (Some(controller), Some(began), false) = (controller, began, explained) {
            controller.update(&Sample { verdict, began, duration, in_flight }, now);
        }
        self.verdicts.count(verdict);
        self.in_flight = in_flight;
    }

    /// The resource that it sizes and the capacity that is to be in force, if it sizes one.
    #[must_use]
    pub fn capacity(&self) -> Option<(Index, u64)> {
        let level = self.level.as_ref()?;
        let first = level.first.filter(|_| self.verdicts.success == 0 && self.verdicts.rate_limited == 0);
        let wanted = level.controller.as_ref().map_or(u64::MAX, |controller| controller.level());
        Some((level.limit, wanted.min(first.unwrap_or(u64::MAX)).clamp(1, level.most.max(1))))
    }

    /// Somebody states another capacity for a limit: what to put in force for it.
    pub fn restated(&mut self, limit: Index, capacity: u64) -> u64 {
        if let Some(level) = self.level.as_mut().filter(|level| level.limit == limit && capacity > 0) {
            level.most = capacity;
        }
        self.capacity().filter(|(sized, _)| *sized == limit && capacity > 0).map_or(capacity, |(_, capacity)| capacity)
    }

    /// Forgets all of it.
    pub fn reset(&mut self) {
        (self.verdicts, self.in_flight) = (Verdicts::default(), 0);
        if let Some(controller) = self.level.as_mut().and_then(|level| level.controller.as_mut()) {
            controller.reset();
        }
    }

    /// The same for people to look at.
    #[must_use]
    pub fn feedback(&self) -> Feedback {
        let Self { verdicts, in_flight, ref level } = *self;
        let controller = level.as_ref().and_then(|level| Some((level.controller.as_ref()?, level.most)));
        Feedback {
            verdicts,
            in_flight,
            level: controller.map(|(controller, _)| controller.level()),
            most: controller.map(|(controller, most)| controller.most().min(most)),
            cuts: controller.map_or(0, |(controller, _)| controller.cuts()),
        }
    }
}

impl Image for Learnt {
    fn write(&self, out: &mut Vec<u64>) {
        let Verdicts { success, rate_limited, overloaded, transient, permanent, cancelled } = self.verdicts;
        out.extend([success, rate_limited, overloaded, transient, permanent, cancelled, self.in_flight]);
        self.level.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let mut count = || words.word().filter(|count| *count <= i64::MAX as u64);
        let verdicts = Verdicts {
            success: count()?,
            rate_limited: count()?,
            overloaded: count()?,
            transient: count()?,
            permanent: count()?,
            cancelled: count()?,
        };
        Some(Self { verdicts, in_flight: words.word()?, level: Option::read(words)? })
    }
}

impl Image for Level {
    fn write(&self, out: &mut Vec<u64>) {
        out.extend([self.limit.into(), self.most]);
        self.first.write(out);
        self.controller.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (limit, most) = (Index::try_from(words.word()?).ok()?, words.word()?);
        Some(Self { limit, most, first: Option::read(words)?, controller: Option::read(words)? })
    }
}

impl Image for Report {
    fn write(&self, out: &mut Vec<u64>) {
        self.verdict.write(out);
        self.duration.write(out);
        self.explained.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (verdict, duration) = (Verdict::read(words)?, Image::read(words)?);
        Some(Self { verdict, duration, explained: bool::read(words)? })
    }
}

impl Image for Sizing {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(self.most);
        self.first.write(out);
        self.by.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (most, first) = (words.word()?, Option::read(words)?);
        let by = Option::<AimdBuilder>::read(words)?;
        by.is_none_or(|rules| !rules.has_latency_guard()).then_some(Self { most, first, by })
    }
}
