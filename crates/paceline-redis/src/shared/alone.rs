//! Deciding without the store, by what the policies of the limits say.
//!
//! A demand is granted here where none of its limits is closed: what it asks of local ones is charged to this client's
//! share, open ones are not asked, and all of it is told to the store in the first batch after its return. Else it waits
//! for the store, and keeps its place there.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use paceline::Anchor;
use paceline::backend::{Answer, Ask, LimitSpec};
use paceline_core::{Arrival, Demand, Grant, Order, Refusal, Time};

use paceline_replica::Op;

use super::away::{Alone, Away, Kept, Share, Used};
use super::batch::Todo;
use super::own::Permit;
use super::state::State;
use crate::options::Outage;

/// What is to be known of a limit where the store is away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) outage: Outage,
    pub(super) counts: Counts,
}

/// When something of a limit is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// A rate, by the admission.
    Admission,
    /// A rate, by the return of the permit.
    Completion,
    /// A resource.
    Never,
}

impl Counts {
    pub(super) fn of(limit: &LimitSpec) -> Self {
        match limit {
            LimitSpec::Rate(quota) if quota.anchored_at() == Anchor::Completion => Self::Completion,
            LimitSpec::Rate(_) => Self::Admission,
            LimitSpec::Resource(_) | LimitSpec::Adaptive(_) => Self::Never,
        }
    }
}

impl State {
    /// The store is away from now on.
    pub(super) fn go_away(&mut self, now: Instant) {
        let permits = self.permits.values().filter_map(Permit::grant).chain(self.stock.grants());
        let held: Demand =
            permits.flat_map(|grant| grant.charged.parts()).map(|part| (part.limit, part.units)).collect();
        let share = self.seen.as_ref().map(|seen| {
            let members = NonZeroU64::new(seen.members).unwrap_or(NonZeroU64::MIN);
            Share::new(seen.replica.share(seen.now(now), members, &held))
        });
        let used = self.rules.iter().map(|_| Used::default()).collect();
        self.grace = None;
        self.away = Some(Away { share, used, over: false });
        let at = self.store_time(now);
        if let Some(share) = self.away.as_mut().and_then(|away| away.share.as_mut()) {
            let going = self.permits.values().filter_map(|permit| match permit {
                Permit::Held { grant, returning: true, .. } => Some(grant),
                _ => None,
            });
            going.for_each(|grant| share.release(at, grant));
        }
        for permit in self.waiting() {
            self.decide_alone(permit, now);
        }
    }

    pub(super) fn store_time(&self, now: Instant) -> Time {
        self.seen.as_ref().map_or(Time::ZERO, |seen| seen.now(now))
    }

    pub(super) fn outage(&self, part: &paceline_core::Part) -> Outage {
        self.rules.get(usize::from(part.limit)).map_or(Outage::Closed, |rule| rule.outage)
    }

    /// What a demand asks of this client's share, if it can be decided here.
    fn local(&self, demand: &Demand) -> Option<Demand> {
        let away = self.away.as_ref()?;
        let is_here = |part| match self.outage(part) {
            Outage::Closed => false,
            Outage::Local => away.share.is_some(),
            Outage::Open => true,
        };
        let local = demand.parts().iter().filter(|part| self.outage(part) == Outage::Local);
        demand.parts().iter().all(is_here).then(|| local.map(|part| (part.limit, part.units)).collect())
    }

    /// Grants a demand that waits, or lets it wait here too, if none of its limits has to be asked for at the store.
    pub(super) fn decide_alone(&mut self, permit: u128, now: Instant) {
        let at = self.store_time(now);
        if self.away.as_mut().and_then(|away| away.share.as_mut()).is_some_and(|share| share.is_closed(at)) {
            return self.refuse(permit);
        }
        let Some(Permit::Waiting { place, .. }) = self.permits.get(&permit) else { return };
        let Some(local) = self.local(place.demand()) else { return };
        let order = place.order(at, now);
        let share = self.away.as_mut().and_then(|away| away.share.as_mut());
        let kept = match share {
            Some(share) => share.ask(at, permit, local, order),
            None => Kept::Granted(Grant { at, charged: local }),
        };
        if let Kept::Granted(grant) = kept {
            self.grant_alone(permit, grant, now);
        }
        self.note_alone(now);
    }

    /// The same at once or not at all; none where the store has to be asked.
    pub(super) fn try_alone(&mut self, ask: &Ask, now: Instant) -> Option<Answer> {
        let local = self.local(&ask.demand)?;
        let at = self.store_time(now);
        let order = Order::new(Arrival { at, number: u64::MAX }, ask.priority);
        let kept = match &mut self.away.as_mut()?.share {
            Some(share) => share.try_now(at, local, order),
            None => Kept::Granted(Grant { at, charged: local }),
        };
        Some(match kept {
            Kept::Granted(kept) => {
                self.use_up(&ask.demand, Counts::Admission, now);
                let alone = Alone { demand: ask.demand.clone(), kept, since: now, told: true };
                self.permits.insert(ask.permit.0, Permit::Alone(alone));
                Answer::Granted
            }
            Kept::Waits(wait) => Answer::Wait(wait),
            Kept::Never => Answer::Wait(Duration::MAX),
        })
    }

    fn refuse(&mut self, permit: u128) {
        self.end_wait(permit, Permit::Over(Answer::Never(Refusal::Closed)));
    }

    fn grant_alone(&mut self, permit: u128, kept: Grant, now: Instant) {
        let Some(Permit::Waiting { place, .. }) = self.permits.get(&permit) else { return };
        let demand = place.demand().clone();
        self.use_up(&demand, Counts::Admission, now);
        let alone = Permit::Alone(Alone { demand, kept, since: now, told: false });
        if let Some((_, true)) = self.end_wait(permit, alone) {
            self.later(Todo::Cancel(permit));
        }
    }

    fn use_up(&mut self, demand: &Demand, by: Counts, now: Instant) {
        let Some(away) = &mut self.away else { return };
        for part in demand.parts() {
            let at = usize::from(part.limit);
            if self.rules.get(at).is_some_and(|rule| rule.counts == by) {
                away.used[at].add(now, part.units);
            }
        }
    }

    /// Grants what has become free or due here.
    fn note_alone(&mut self, now: Instant) {
        let at = self.store_time(now);
        let Some(share) = self.away.as_mut().and_then(|away| away.share.as_mut()) else { return };
        for (permit, grant) in share.granted(at) {
            self.grant_alone(permit, grant, now);
        }
        self.work();
    }

    /// Does what is due here; when something is again.
    pub(super) fn pump_alone(&mut self, now: Instant) -> Option<Instant> {
        let at = self.store_time(now);
        let next = self.away.as_ref()?.share.as_ref()?.next()?;
        if next <= at {
            self.note_alone(now);
        }
        let next = self.away.as_ref()?.share.as_ref()?.next()?;
        Some(now + next.since(at).max(Duration::from_micros(100)))
    }

    /// What changes the set changes this client's share of it at once, as far as it grants less by that or nothing.
    pub(super) fn change_alone(&mut self, op: &Op, now: Instant) {
        let at = self.store_time(now);
        let Some(share) = self.away.as_mut().and_then(|away| away.share.as_mut()) else { return };
        match op {
            Op::Pause(pause) => share.pause(at, *pause),
            Op::Resume => share.resume(at),
            Op::Close => {
                share.close();
                self.waiting().into_iter().for_each(|permit| self.refuse(permit));
            }
            _ => {}
        }
        self.note_alone(now);
    }

    /// A permit of the store's comes back: what it has of this client's share is free at once.
    pub(super) fn free_alone(&mut self, grant: &Grant, now: Instant) {
        let at = self.store_time(now);
        if let Some(grace) = &mut self.grace {
            grace.share.release(at, grant);
        }
        if let Some(share) = self.away.as_mut().and_then(|away| away.share.as_mut()) {
            share.release(at, grant);
            self.note_alone(now);
        }
    }

    /// A wait is given up.
    pub(super) fn cancel_alone(&mut self, permit: u128, now: Instant) {
        let at = self.store_time(now);
        if let Some(share) = self.away.as_mut().and_then(|away| away.share.as_mut()) {
            share.cancel(at, permit);
            self.note_alone(now);
        }
    }

    /// A permit that the store was not asked for comes back.
    pub(super) fn back_alone(&mut self, alone: Alone, now: Instant) {
        let at = self.store_time(now);
        let Alone { demand, kept, since, told } = alone;
        let Some(away) = &mut self.away else { return };
        if told {
            away.share.iter_mut().for_each(|share| share.release(at, &kept));
            self.use_up(&demand, Counts::Completion, now);
        } else {
            for part in demand.parts() {
                away.used[usize::from(part.limit)].take(since, part.units);
            }
            away.share.iter_mut().for_each(|share| share.undo(at, kept.clone()));
        }
        self.note_alone(now);
    }

    /// A permit that the store was not asked for is charged what it really was.
    pub(super) fn settle_alone(&mut self, permit: u128, actual: &Demand, now: Instant) {
        let at = self.store_time(now);
        let Some(Permit::Alone(alone)) = self.permits.get_mut(&permit) else { return };
        let Some(away) = &mut self.away else { return };
        for part in actual.parts() {
            let (limit, before) = (usize::from(part.limit), alone.demand.units(part.limit).unwrap_or(0));
            let Some(rule) = self.rules.get(limit) else { continue };
            if rule.outage == Outage::Local {
                away.share.iter_mut().for_each(|share| share.settle(at, &mut alone.kept, part.limit, part.units));
            }
            if rule.counts == Counts::Admission {
                away.used[limit].add(now, part.units.saturating_sub(before));
                away.used[limit].take(alone.since, before.saturating_sub(part.units));
            }
        }
        let rest = alone.demand.parts().iter().filter(|part| actual.units(part.limit).is_none());
        alone.demand = rest.chain(actual.parts()).map(|part| (part.limit, part.units)).collect();
        self.note_alone(now);
    }

    /// What the store has not been asked for and is to be told: what is still held of it, and what was used.
    pub(super) fn tell_alone(&mut self, mut away: Away, now: Instant) -> (Vec<Todo>, Option<Share>) {
        let at = self.store_time(now);
        let mut took = Vec::new();
        for (permit, what) in &mut self.permits {
            if let Permit::Alone(alone) = what {
                let age = now.saturating_duration_since(alone.since);
                let at = Time::from_nanos(at.as_nanos().saturating_sub(age.as_nanos() as u64));
                let grant = Grant { at, charged: alone.demand.clone() };
                *what = Permit::held(grant, alone.told);
                took.push(*permit);
            }
        }
        let used = away.used.into_iter().zip(0..).filter(|(used, _)| !used.is_empty());
        let mut told: Vec<_> = used.map(|(used, limit)| Todo::Used(limit, used)).collect();
        if !took.is_empty() {
            told.push(Todo::Took(took));
        }
        // Who waits is asked for at the store, and meanwhile takes of the share what it takes of that.
        away.share.iter_mut().for_each(|share| share.cancel_all(at));
        (told, away.share)
    }
}
