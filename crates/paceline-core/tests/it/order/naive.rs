//! The rule of who goes when, read aloud: every waiter against every earlier one.

use std::collections::{BTreeMap, BTreeSet};

use crate::plain::{Drain, Plain, Window};

#[derive(Clone, Debug)]
pub(crate) enum Places {
    Window(Window),
    Bucket(Drain),
    Resource { capacity: u64, out: u64 },
}

impl Places {
    pub(crate) fn capacity(&self) -> u64 {
        match self {
            Self::Window(it) => it.amount,
            Self::Bucket(it) => it.depth,
            Self::Resource { capacity, .. } => *capacity,
        }
    }

    fn is_resource(&self) -> bool {
        matches!(self, Self::Resource { .. })
    }

    /// When there is room for `units` after `ahead` others; none where nobody knows.
    fn earliest(&self, now: u64, units: u64, ahead: u64) -> Option<u64> {
        match self {
            Self::Window(it) => it.earliest_after(now, units, ahead),
            Self::Bucket(it) => Some(it.clone().earliest_after(now, units, ahead)),
            Self::Resource { capacity, out } => (out + ahead + units <= *capacity).then_some(now),
        }
    }

    fn rate(&mut self) -> Option<&mut dyn Plain> {
        match self {
            Self::Window(it) => Some(it),
            Self::Bucket(it) => Some(it),
            Self::Resource { .. } => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Waits {
    pub(crate) id: u64,
    /// Rank and number.
    pub(crate) place: (u64, u64),
    pub(crate) parts: Vec<(usize, u64)>,
    pub(crate) deadline: Option<u64>,
    pub(crate) group: Option<u64>,
    pub(crate) held: Option<u64>,
}

impl Waits {
    pub(crate) fn names(&self, limit: usize) -> bool {
        self.units(limit).is_some()
    }

    fn units(&self, limit: usize) -> Option<u64> {
        self.parts.iter().find(|(named, _)| *named == limit).map(|(_, units)| *units)
    }

    fn same_line(&self, other: &Self) -> bool {
        self.group == other.group && self.parts.iter().map(|it| it.0).eq(other.parts.iter().map(|it| it.0))
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Naive {
    pub(crate) limits: Vec<Places>,
    /// In order.
    pub(crate) waits: Vec<Waits>,
    pub(crate) gate: u64,
    /// What is out: when it was admitted, and units of each limit.
    pub(crate) out: BTreeMap<u64, (u64, Vec<(usize, u64)>)>,
}

impl Naive {
    pub(crate) fn new(limits: Vec<Places>) -> Self {
        Self { limits, waits: Vec::new(), gate: 0, out: BTreeMap::new() }
    }

    pub(crate) fn enqueue(&mut self, waits: Waits) {
        self.waits.push(waits);
        self.waits.sort_by_key(|it| it.place);
    }

    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        self.waits.iter().any(|it| it.id == id)
    }

    pub(crate) fn forget(&mut self, id: u64) -> bool {
        let before = self.waits.len();
        self.waits.retain(|it| it.id != id);
        self.waits.len() < before
    }

    fn has_room(&self, now: u64, parts: &[(usize, u64)]) -> bool {
        parts.iter().all(|(limit, units)| {
            *units <= self.limits[*limit].capacity() && self.limits[*limit].earliest(now, *units, 0) == Some(now)
        })
    }

    /// First in its line, room for it now, and nobody before it delayed.
    pub(crate) fn may_go(&self, now: u64, it: &Waits) -> bool {
        let first = !self.waits.iter().any(|other| other.place < it.place && other.same_line(it));
        first && self.has_room(now, &it.parts) && self.may_pass(now, it)
    }

    fn may_pass(&self, now: u64, passing: &Waits) -> bool {
        let mut ahead = vec![0; self.limits.len()];
        let mut holders = BTreeSet::new();
        for earlier in self.waits.iter().filter(|other| other.place < passing.place) {
            if !earlier.parts.iter().any(|(limit, _)| passing.names(*limit)) {
                continue;
            }
            // A joint demand is held where the first of its line is; of all that one set holds, the first counts.
            let first = self.waits.iter().find(|other| other.same_line(earlier)).expect("itself at least");
            if let Some(holder) = first.held {
                if first.id != earlier.id || !holders.insert(holder) {
                    continue;
                }
            } else if earlier.held.is_some_and(|holder| !holders.insert(holder)) {
                continue;
            }
            let mut its_instant = now;
            for (limit, units) in &earlier.parts {
                if !self.limits[*limit].is_resource() {
                    let then = self.limits[*limit].earliest(now, *units, ahead[*limit]);
                    its_instant = its_instant.max(then.unwrap_or(now));
                }
            }
            for (limit, units) in &earlier.parts {
                let Some(more) = passing.units(*limit).filter(|more| *more > 0) else { continue };
                let then = self.limits[*limit].earliest(now, *units, ahead[*limit] + more);
                if then.is_none_or(|then| then > its_instant) {
                    return false;
                }
            }
            for (limit, units) in &earlier.parts {
                ahead[*limit] += units;
            }
        }
        true
    }

    /// The first in order that may go now; joint demands are for others to decide.
    pub(crate) fn next_to_go(&self, now: u64) -> Option<Waits> {
        if now < self.gate {
            return None;
        }
        self.waits.iter().find(|it| it.group.is_none() && self.may_go(now, it)).cloned()
    }

    /// The joint demands that this set would grant, and that no other holds.
    pub(crate) fn ready_joint(&self, now: u64) -> BTreeSet<u64> {
        let joint = self.waits.iter().filter(|it| it.group.is_some() && it.held.is_none());
        joint.filter(|it| self.may_go(now, it)).map(|it| it.id).collect()
    }

    pub(crate) fn hold(&mut self, id: u64, holder: u64) {
        self.waits.iter_mut().filter(|it| it.id == id).for_each(|it| it.held = Some(holder));
    }

    pub(crate) fn time_out(&mut self, now: u64) -> Vec<u64> {
        let overdue = |it: &Waits| it.deadline.is_some_and(|deadline| deadline <= now);
        let mut over: Vec<_> = self.waits.iter().filter(|it| overdue(it)).map(|it| (it.deadline, it.place)).collect();
        over.sort_unstable();
        self.waits.retain(|it| !overdue(it));
        over.into_iter().map(|(_, (_, number))| number).collect()
    }

    pub(crate) fn refuse_too_large(&mut self) -> BTreeSet<u64> {
        let limits = &self.limits;
        let too_large = |it: &Waits| it.parts.iter().any(|(limit, units)| *units > limits[*limit].capacity());
        let refused = self.waits.iter().filter(|it| too_large(it)).map(|it| it.id).collect();
        self.waits.retain(|it| !too_large(it));
        refused
    }

    pub(crate) fn charge(&mut self, now: u64, it: &Waits) {
        for (limit, units) in &it.parts {
            match &mut self.limits[*limit] {
                Places::Resource { out, .. } => *out += units,
                place => place.rate().expect("a rate").charge(now, it.id as usize, *units),
            }
        }
        self.out.insert(it.id, (now, it.parts.clone()));
    }

    pub(crate) fn release(&mut self, id: u64) {
        let (_, parts) = self.out.remove(&id).expect("it is out");
        for (limit, units) in parts {
            if let Places::Resource { out, .. } = &mut self.limits[limit] {
                *out -= units;
            }
        }
    }

    /// Whether what a cancellation brings back is known without asking.
    pub(crate) fn is_exact(&self, id: u64) -> bool {
        let Some((_, parts)) = self.out.get(&id) else { return true };
        !parts.iter().any(|(limit, _)| matches!(self.limits[*limit], Places::Bucket(_)))
    }

    pub(crate) fn undo(&mut self, now: u64, id: u64) {
        let Some((admitted, parts)) = self.out.get(&id).cloned() else { return };
        for (limit, units) in parts {
            if let Some(rate) = self.limits[limit].rate() {
                let (_, back) = rate.refundable(now, admitted, id as usize, units);
                rate.refunded(now, id as usize, back);
            }
        }
        self.release(id);
    }

    /// `(standing, asked for, stands)`: what came back is the engine's word, checked against what may.
    pub(crate) fn settle(&mut self, now: u64, admitted: u64, id: u64, limit: usize, (was, to, is): (u64, u64, u64)) {
        let (_, parts) = self.out.get_mut(&id).expect("it is out");
        match parts.iter_mut().find(|(named, _)| *named == limit) {
            Some((_, units)) => *units = is,
            None => {
                parts.push((limit, is));
                parts.sort_unstable();
            }
        }
        match &mut self.limits[limit] {
            Places::Resource { out, .. } => *out = *out - was + to,
            place if to > was => place.rate().expect("a rate").add(now, admitted, id as usize, to - was),
            place => {
                let rate = place.rate().expect("a rate");
                let (least, most) = rate.refundable(now, admitted, id as usize, was - to);
                assert!((least..=most).contains(&(was - is)), "{} came back, not {least}..={most}", was - is);
                rate.refunded(now, id as usize, was - is);
            }
        }
    }

    /// When its demands are there if all before it go first, by known refills.
    pub(crate) fn in_order(&self, now: u64, id: u64) -> Option<u64> {
        let it = self.waits.iter().find(|it| it.id == id).expect("it waits");
        let before =
            |limit| self.waits.iter().filter(|other| other.place < it.place).filter_map(move |o| o.units(limit));
        let instants = it.parts.iter().map(|(limit, units)| {
            let ahead = before(*limit).sum();
            self.limits[*limit].earliest(now, *units, ahead)
        });
        instants.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The first of each line that has room of its own.
    pub(crate) fn ripe_heads(&self, now: u64) -> Vec<u64> {
        let first = |it: &&Waits| !self.waits.iter().any(|other| other.place < it.place && other.same_line(it));
        let ripe = self.waits.iter().filter(first).filter(|it| self.has_room(now, &it.parts));
        ripe.map(|it| it.id).collect()
    }

    /// Lets time pass with nothing coming back, and notes when each goes.
    pub(crate) fn play_out(mut self, mut now: u64) -> BTreeMap<u64, u64> {
        let mut went = BTreeMap::new();
        loop {
            self.time_out(now);
            while let Some(next) = self.next_to_go(now) {
                self.forget(next.id);
                self.charge(now, &next);
                went.insert(next.id, now);
            }
            let Some(next) = self.instants(now).into_iter().filter(|then| *then > now).min() else { return went };
            now = next;
        }
    }

    /// Every instant at which somebody may find room: for itself, or beside some of those before it.
    fn instants(&self, now: u64) -> Vec<u64> {
        let mut instants = vec![self.gate];
        instants.extend(self.waits.iter().filter_map(|it| it.deadline));
        for place in &self.limits {
            if let Places::Window(it) = place {
                instants.extend(it.list.iter().map(|(at, ..)| at + it.period));
            }
        }
        for it in &self.waits {
            for (limit, units) in &it.parts {
                let Places::Bucket(bucket) = &self.limits[*limit] else { continue };
                let mut ahead = 0;
                instants.push(bucket.clone().earliest_after(now, *units, 0));
                for other in self.waits.iter().filter(|other| other.place < it.place) {
                    let Some(before) = other.units(*limit) else { continue };
                    if before + ahead + units > bucket.depth {
                        break;
                    }
                    instants.push(bucket.clone().earliest_after(now, before, ahead + units));
                    ahead += before;
                }
            }
        }
        instants
    }
}
