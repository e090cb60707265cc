//! The waiting order against a naive reading of its rule, on random histories: who is granted, when, and before whom.

mod naive;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use paceline_core::{
    Algorithm, Arrival, Decision, Demand, Events, Grant, Index, Limit, Order, Outcome, Party, Priority, Quota, Set,
    Ticket, Time, Waiter,
};

use crate::plain::{Drain, PERIODS, Window};
use crate::rng::{Rng, rounds};
use crate::support::{at, nanos};
use naive::{Naive, Places, Waits};

/// Arrivals are told in a slower clock than the limits', so that ageing (30 s a step) happens within a history.
const AGEING: u64 = 1_000_000;

struct World {
    rng: Rng,
    set: Set<u64>,
    naive: Naive,
    now: u64,
    number: u64,
    tickets: BTreeMap<u64, Ticket>,
    permits: Vec<(u64, Grant)>,
    events: Events<u64>,
    periods: Vec<u64>,
    steps: u64,
    passed: u64,
    idle_wakes: u64,
    wakes: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let (mut limits, mut places, mut periods) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rng.within(1, 4) {
            let period = *rng.pick(&PERIODS);
            let quota = Quota::new(rng.within(1, 30), nanos(period));
            periods.push(period);
            let rate = |quota| Limit::rate(quota, Time::ZERO).expect("a good quota");
            let (limit, place) = match rng.below(4) {
                0 => (rate(quota), Places::Window(Window::new(&quota))),
                1 => {
                    let quota = quota.algorithm(Algorithm::TokenBucket).burst(rng.within(1, 30));
                    (rate(quota), Places::Bucket(Drain::bucket(&quota, quota.capacity())))
                }
                _ => {
                    let capacity = rng.within(1, 12);
                    (Limit::resource(capacity).expect("a good capacity"), Places::Resource { capacity, out: 0 })
                }
            };
            limits.push(limit);
            places.push(place);
        }
        Self {
            rng,
            set: Set::new(1, limits),
            naive: Naive::new(places),
            now: 0,
            number: 0,
            tickets: BTreeMap::new(),
            permits: Vec::new(),
            events: Events::default(),
            periods,
            steps: 0,
            passed: 0,
            idle_wakes: 0,
            wakes: 0,
        }
    }

    fn time(&self) -> Time {
        at(self.now)
    }

    fn demand(&mut self) -> Vec<(usize, u64)> {
        let mut parts = Vec::new();
        for (limit, place) in self.naive.limits.iter().enumerate() {
            if self.rng.below(5) < 3 {
                let units = match self.rng.below(8) {
                    0 => place.capacity(),
                    1 => 0,
                    2..=4 => 1,
                    _ => self.rng.within(1, place.capacity()),
                };
                parts.push((limit, units));
            }
        }
        if parts.is_empty() { vec![(0, 1)] } else { parts }
    }

    fn arrive(&mut self) -> (u64, Order, (u64, u64)) {
        self.number += 1;
        let (priority, below) = *self.rng.pick(&[
            (Priority::Low, 2),
            (Priority::Normal, 1),
            (Priority::Normal, 1),
            (Priority::Normal, 1),
            (Priority::High, 0),
        ]);
        let arrived = self.now * AGEING;
        let order = Order::new(Arrival { at: at(arrived), number: self.number }, priority);
        (self.number, order, (arrived + below * 30_000_000_000, self.number))
    }

    fn step(&mut self) {
        self.steps += 1;
        match self.rng.below(20) {
            0..=4 => self.enqueue(),
            5..=6 => self.attempt(),
            7 => self.cancel(),
            8..=9 => self.collect(),
            10..=12 => self.release(),
            13 => self.settle(),
            14 => self.resize(),
            15 if self.rng.one_in(4) => self.gate(),
            _ => self.pass(),
        }
        self.compare();
    }

    fn enqueue(&mut self) {
        if self.naive.waits.len() > 9 {
            return;
        }
        let parts = self.demand();
        let (id, order, place) = self.arrive();
        let deadline = self.rng.one_in(6).then(|| self.now + self.rng.below(2 * self.periods[0]));
        let group = self.rng.one_in(8).then(|| self.rng.within(1, 2));
        let held = group.and_then(|_| self.rng.one_in(2).then(|| self.rng.within(8, 9)));
        let party = group.map(|group| Box::new(Party::AllOf { group, held_by: held }));
        let demand: Demand = parts.iter().map(|(limit, units)| (*limit as Index, *units)).collect();
        let waiter = Waiter { demand, order, deadline: deadline.map(at), party, waker: Some(id) };
        self.naive.enqueue(Waits { id, place, parts, deadline, group, held });
        let ticket = self.set.enqueue(self.time(), waiter, &mut self.events);
        self.tickets.insert(id, ticket);
        self.pumped();
    }

    fn attempt(&mut self) {
        let parts = self.demand();
        let (id, order, place) = self.arrive();
        let mut demand: Demand = parts.iter().map(|(limit, units)| (*limit as Index, *units)).collect();
        // The engine looks after those who wait first, and again after a grant: so does this, one step at a time.
        self.set.pump(self.time(), &mut self.events);
        self.pumped();
        let decision = self.set.try_acquire(self.time(), &mut demand, order, &mut self.events);
        let newcomer = Waits { id, place, parts, deadline: None, group: None, held: None };
        let may = self.now >= self.naive.gate && self.naive.may_go(self.now, &newcomer);
        assert_eq!(decision == Decision::Granted, may, "step {}: {newcomer:?} at {}", self.steps, self.now);
        if may {
            self.nobody_is_delayed_by(&newcomer);
            self.naive.charge(self.now, &newcomer);
            self.permits.push((id, Grant { at: self.time(), charged: demand }));
        }
        self.pumped();
    }

    fn some_ticket(&mut self) -> Option<(u64, Ticket)> {
        let nth = self.rng.below(self.tickets.len() as u64) as usize;
        self.tickets.iter().nth(nth).map(|(id, ticket)| (*id, *ticket))
    }

    fn cancel(&mut self) {
        let Some((id, ticket)) = self.some_ticket() else { return };
        if self.naive.forget(id) {
            self.set.cancel(self.time(), ticket, &mut self.events);
        } else if self.naive.is_exact(id) {
            self.set.cancel(self.time(), ticket, &mut self.events);
            self.naive.undo(self.now, id);
        } else {
            return;
        }
        self.pumped();
        self.tickets.remove(&id);
        // A cancelled wait is nobody's: neither again nor to be collected.
        assert_eq!(self.set.collect(ticket), None);
        self.set.cancel(self.time(), ticket, &mut self.events);
        self.pumped();
    }

    fn collect(&mut self) {
        let Some((id, ticket)) = self.some_ticket() else { return };
        let waiting = self.naive.is_waiting(id);
        assert_eq!(self.set.is_waiting(ticket), waiting);
        match self.set.collect(ticket) {
            None => assert!(waiting, "{id} was decided and cannot be collected"),
            Some(Outcome::Granted(grant)) => {
                assert!(!waiting && self.naive.out.contains_key(&id));
                self.permits.push((id, grant));
            }
            Some(_) => assert!(!waiting && !self.naive.out.contains_key(&id)),
        }
        if !waiting {
            self.tickets.remove(&id);
            assert_eq!(self.set.collect(ticket), None, "an outcome is given once");
        }
    }

    fn release(&mut self) {
        if self.permits.is_empty() {
            return;
        }
        let nth = self.rng.below(self.permits.len() as u64) as usize;
        let (id, grant) = self.permits.swap_remove(nth);
        self.set.release(self.time(), &grant, &mut self.events);
        self.naive.release(id);
        self.pumped();
    }

    fn settle(&mut self) {
        if self.permits.is_empty() {
            return;
        }
        let nth = self.rng.below(self.permits.len() as u64) as usize;
        let (id, mut grant) = self.permits.swap_remove(nth);
        let limit = self.rng.below(self.naive.limits.len() as u64) as usize;
        let standing = grant.charged.units(limit as Index).unwrap_or(0);
        let top = if self.rng.one_in(3) { standing + 4 } else { standing };
        let actual = self.rng.below(top + 1);
        let admitted = grant.at.as_nanos();
        self.set.settle(self.time(), &mut grant, limit as Index, actual, &mut self.events);
        let stands = grant.charged.units(limit as Index).expect("settled");
        self.naive.settle(self.now, admitted, id, limit, (standing, actual, stands));
        self.permits.push((id, grant));
        self.pumped();
    }

    fn resize(&mut self) {
        let limit = self.rng.below(self.naive.limits.len() as u64) as usize;
        let amount = self.rng.within(1, 30);
        let (time, index) = (self.time(), limit as Index);
        let quota = Quota::new(amount, nanos(self.periods[limit]));
        let refused = match &mut self.naive.limits[limit] {
            Places::Resource { capacity, .. } => {
                *capacity = amount.div_ceil(3);
                self.set.set_capacity(time, index, amount.div_ceil(3), &mut self.events)
            }
            Places::Window(window) => {
                crate::plain::Plain::requota(window, self.now, &quota);
                self.set.set_quota(time, index, quota, &mut self.events)
            }
            Places::Bucket(bucket) => {
                let quota = quota.burst(self.rng.within(1, 30));
                crate::plain::Plain::requota(bucket, self.now, &quota);
                self.set.set_quota(time, index, quota, &mut self.events)
            }
        };
        refused.expect("a good change");
        let refused = self.naive.refuse_too_large();
        let woken: BTreeSet<u64> = self.events.woken.drain(..refused.len()).collect();
        assert_eq!(woken, refused);
        self.pumped();
    }

    fn gate(&mut self) {
        if self.rng.one_in(2) {
            let pause = self.rng.below(self.periods[0]);
            self.set.pause(self.time(), Duration::from_nanos(pause), &mut self.events);
            self.naive.gate = self.naive.gate.max(self.now + pause);
        } else {
            self.set.resume(self.time(), &mut self.events);
            self.naive.gate = 0;
        }
        self.pumped();
    }

    /// Lets time pass, to a random instant or to the next that the set names, and pumps there.
    fn pass(&mut self) {
        let next = self.set.next().map(Time::as_nanos);
        let period = self.periods[0];
        let random = self.now + self.rng.below(period / 4);
        match next {
            Some(next) if next <= random || self.rng.one_in(2) => {
                self.now = next;
                self.wakes += 1;
                let (before, heads) = (self.naive.waits.len(), self.naive.ripe_heads(next - 1));
                self.set.pump(self.time(), &mut self.events);
                self.pumped();
                let ripe = self.naive.ripe_heads(next);
                if self.naive.waits.len() == before && self.naive.gate != next && ripe == heads {
                    // Set for a head that may pass where that refill is all, and finds another in its way.
                    assert!(!ripe.is_empty(), "step {}: looks at {next} for nothing", self.steps);
                    self.idle_wakes += 1;
                }
            }
            _ => {
                self.now = random;
                self.set.pump(self.time(), &mut self.events);
                self.pumped();
            }
        }
    }

    /// The naive queue decides as well, and both have decided the same waits in the same order.
    fn pumped(&mut self) {
        let mut decided = if self.now > 0 { self.naive.time_out(self.now - 1) } else { Vec::new() };
        loop {
            while let Some(next) = self.naive.next_to_go(self.now) {
                self.nobody_is_delayed_by(&next);
                self.naive.forget(next.id);
                self.naive.charge(self.now, &next);
                decided.push(next.id);
            }
            // A deadline that comes now is missed only by those who cannot go now.
            let due = self.naive.time_out(self.now);
            if due.is_empty() {
                break;
            }
            decided.extend(due);
        }
        let woken: Vec<u64> = self.events.woken.drain(..).collect();
        assert_eq!(woken, decided, "step {} at {}: {:#?}", self.steps, self.now, self.naive);
        let joint = std::mem::take(&mut self.events.joint);
        let named: BTreeSet<u64> = joint.into_iter().map(|ticket| self.id_of(ticket)).collect();
        if self.now >= self.naive.gate {
            assert_eq!(named, self.naive.ready_joint(self.now), "step {} at {}", self.steps, self.now);
        }
        if let Some(id) = named.first() {
            self.joint(*id);
        }
    }

    fn id_of(&self, ticket: Ticket) -> u64 {
        *self.tickets.iter().find(|(_, known)| **known == ticket).expect("it waits").0
    }

    /// Somebody with all the locks finds another set in the way of a joint demand, or none.
    fn joint(&mut self, id: u64) {
        let ticket = self.tickets[&id];
        assert!(self.set.joint_ready(self.time(), ticket));
        if self.rng.one_in(2) {
            self.set.hold_joint(ticket, 8);
            self.naive.hold(id, 8);
        } else {
            self.set.grant_joint(self.time(), ticket, &mut self.events);
            let waits = self.naive.waits.iter().find(|it| it.id == id).expect("it waits").clone();
            self.naive.forget(id);
            self.naive.charge(self.now, &waits);
            assert_eq!(self.events.woken.drain(..).collect::<Vec<_>>(), [id]);
        }
        self.set.pump(self.time(), &mut self.events);
        self.pumped();
    }

    /// The earlier waiters go, by known refills alone, no later than they would without this one, or than they would in
    /// order: what one of them might have had sooner, by passing others itself, is nobody's until it is had.
    fn nobody_is_delayed_by(&mut self, passing: &Waits) {
        let shares = |it: &Waits| it.parts.iter().any(|(limit, _)| passing.names(*limit));
        let earlier: Vec<u64> =
            self.naive.waits.iter().filter(|it| it.place < passing.place && shares(it)).map(|it| it.id).collect();
        if earlier.is_empty() {
            return;
        }
        self.passed += 1;
        // When a joint demand goes is not this set's to say, so neither is what follows from it.
        if self.naive.waits.iter().any(|it| it.group.is_some()) {
            return;
        }
        let mut without = self.naive.clone();
        without.forget(passing.id);
        let mut with = without.clone();
        with.charge(self.now, passing);
        let (without, with) = (without.play_out(self.now), with.play_out(self.now));
        for id in earlier {
            let (alone, passed) = (without.get(&id), with.get(&id));
            let in_order = self.naive.in_order(self.now, id);
            let delayed = match (alone, passed, in_order) {
                (Some(alone), Some(passed), Some(in_order)) => passed > alone && *passed > in_order,
                (Some(_), None, Some(_)) => true,
                _ => false,
            };
            assert!(!delayed, "step {}: {id} would go at {alone:?}, passed at {passed:?}", self.steps);
        }
    }

    fn compare(&mut self) {
        assert_eq!(self.set.waiting(), self.naive.waits.len());
        // Nothing happens before the instant that the set names, and nothing ever where it names none.
        let far = self.now + 20 * PERIODS[1];
        let until = self.set.next().map_or(far, |next| next.as_nanos() - 1);
        let mut idle = self.naive.clone();
        assert_eq!(idle.time_out(until), [0_u64; 0], "step {}: sleeps past a deadline", self.steps);
        let missed = (until >= self.now).then(|| idle.next_to_go(until)).flatten();
        assert!(missed.is_none(), "step {} at {}: sleeps to {until} past {missed:?}", self.steps, self.now);
    }

    /// Everybody gives up and everything comes back: nothing is left.
    fn wind_up(mut self) {
        for (id, ticket) in std::mem::take(&mut self.tickets) {
            self.naive.forget(id);
            self.set.cancel(self.time(), ticket, &mut self.events);
        }
        for (_, grant) in std::mem::take(&mut self.permits) {
            self.set.release(self.time(), &grant, &mut self.events);
        }
        self.now += 40 * PERIODS[1];
        let view = self.set.view(self.time());
        assert_eq!(view.waiting, 0);
        assert_eq!(self.set.next(), None);
        for limit in view.limits {
            assert_eq!((limit.used, limit.debt), (0, 0), "{limit:?} leaks");
        }
    }
}

#[test]
fn it_grants_whom_the_rule_grants_and_when() {
    let (mut steps, mut passed, mut wakes, mut idle_wakes) = (0, 0, 0, 0);
    for seed in 0..rounds(300) {
        let mut world = World::new(seed);
        for _ in 0..250 {
            world.step();
        }
        steps += world.steps;
        passed += world.passed;
        wakes += world.wakes;
        idle_wakes += world.idle_wakes;
        world.wind_up();
    }
    assert!(steps >= 75_000 && passed >= 1_000, "{steps} steps, {passed} passed");
    assert!(idle_wakes * 20 < wakes, "{idle_wakes} of {wakes} looks changed nothing");
}
