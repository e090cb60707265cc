//! Random histories of one limit: the engine and a plain model of it, step by step.

use std::time::Duration;

use paceline_core::{Decision, Grant, Limit, Quota, Refusal, Set, Time};

use crate::plain::Plain;
use crate::rng::Rng;
use crate::support::{Bench, at};

/// What may happen in a history besides trying.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct May {
    pub(crate) refund: bool,
    pub(crate) overrun: bool,
}

/// One charge as an onlooker would note it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Noted {
    pub(crate) at: u64,
    /// What was asked for, and what stands of it in the end.
    pub(crate) asked: u64,
    pub(crate) net: u64,
    /// When its permit came back.
    pub(crate) done: Option<u64>,
}

struct Permit {
    id: usize,
    grant: Grant,
    out: bool,
}

pub(crate) struct History<P> {
    bench: Bench,
    plain: P,
    rng: Rng,
    quota: Quota,
    now: u64,
    wait: u64,
    permits: Vec<Permit>,
    pub(crate) noted: Vec<Noted>,
    pub(crate) steps: u64,
}

impl<P: Plain> History<P> {
    pub(crate) fn new(seed: u64, quota: Quota, plain: P) -> Self {
        let bench = Bench::new(vec![Bench::rate(quota)]);
        let (rng, permits, noted) = (Rng::new(seed), Vec::new(), Vec::new());
        Self { bench, plain, rng, quota, now: 0, wait: 0, permits, noted, steps: 0 }
    }

    pub(crate) fn run(&mut self, steps: u64, may: May) {
        for _ in 0..steps {
            self.step(may);
        }
    }

    pub(crate) fn step(&mut self, may: May) {
        self.steps += 1;
        match self.rng.below(10) {
            0..=2 => self.pass(),
            3..=6 => self.attempt(),
            7 => self.give_back(),
            8 if may.refund => self.settle_down(),
            9 if may.overrun && self.rng.one_in(3) => self.settle_up(),
            9 if may.refund => self.undo(),
            _ => self.attempt(),
        }
        if self.permits.len() > 40 {
            let oldest = self.permits.remove(0);
            self.release(oldest);
        }
    }

    /// Lets time pass: not at all, a little, to the edge of the last wait, or periods on end.
    fn pass(&mut self) {
        let period = crate::plain::guarded(&self.quota);
        let spacing = period / self.quota.amount() + 1;
        let step = match self.rng.below(12) {
            0 => 1,
            1..=3 => self.rng.below(2 * spacing),
            4..=5 => self.rng.below(period / 4),
            6 => self.rng.below(period),
            7 => *self.rng.pick(&[period, period - 1, period + 1]),
            8 if self.rng.one_in(4) => self.rng.below(4 * period),
            8 | 9 => self.wait.saturating_sub(1),
            _ => self.wait,
        };
        self.now += step;
        self.wait = self.wait.saturating_sub(step);
        self.bench.now = at(self.now);
    }

    fn units(&mut self) -> u64 {
        let capacity = self.quota.capacity();
        match self.rng.below(16) {
            0 => capacity + 1 + self.rng.below(3),
            1 => capacity,
            2 => self.rng.within(1, capacity),
            3 if self.rng.one_in(4) => 0,
            4..=8 => self.rng.within(1, capacity.div_ceil(8)),
            _ => 1.max(capacity / 50),
        }
    }

    fn attempt(&mut self) {
        let units = self.units();
        // One copy of the limit, to look into the future with.
        let future = self.rng.one_in(16).then(|| self.bench.set.limits()[0].clone());
        let decision = self.bench.attempt([(0, units)]);
        let capacity = self.quota.capacity();
        if units > capacity {
            let refusal = Refusal::TooLarge { limit: 0, asked: units, capacity };
            assert_eq!(decision, Err(Decision::Never(refusal)));
            return;
        }
        let earliest = self.plain.earliest(self.now, units);
        match decision {
            Ok(grant) => {
                assert_eq!(earliest, Some(self.now), "granted {units} at {} too early", self.now);
                let id = self.noted.len();
                self.plain.charge(self.now, id, units);
                self.noted.push(Noted { at: self.now, asked: units, net: units, done: None });
                self.permits.push(Permit { id, grant, out: true });
                self.wait = 0;
            }
            Err(Decision::Wait(Duration::MAX)) => {
                assert_eq!(earliest, None, "{units} at {} waits for a return", self.now);
            }
            Err(Decision::Wait(wait)) => {
                self.wait = wait.as_nanos() as u64;
                let then = self.now + self.wait;
                let earliest = earliest.expect("the model waits for a return");
                let latest = earliest + self.plain.slack();
                assert!(then >= earliest, "{units} at {}: promised {then}, before {earliest}", self.now);
                assert!(then <= latest, "{units} at {}: promised {then}, after {latest}", self.now);
                if let Some(limit) = future {
                    assert_tight(limit, self.now, units, self.wait);
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn pick(&mut self) -> Option<usize> {
        (!self.permits.is_empty()).then(|| self.rng.below(self.permits.len() as u64) as usize)
    }

    fn give_back(&mut self) {
        if let Some(chosen) = self.pick() {
            let permit = &mut self.permits[chosen];
            if permit.out {
                self.bench.release(&permit.grant);
                self.plain.complete(self.now, permit.id);
                self.noted[permit.id].done = Some(self.now);
                permit.out = false;
            }
        }
    }

    fn release(&mut self, permit: Permit) {
        if permit.out {
            self.bench.release(&permit.grant);
            self.plain.complete(self.now, permit.id);
            self.noted[permit.id].done = Some(self.now);
        }
    }

    fn settle_down(&mut self) {
        let Some(chosen) = self.pick().filter(|i| self.permits[*i].out) else { return };
        let Permit { id, mut grant, .. } = self.permits.swap_remove(chosen);
        let standing = grant.charged.units(0).expect("it was demanded");
        let actual = self.rng.below(standing + 1);
        let (least, most) = self.plain.refundable(self.now, self.noted[id].at, id, standing - actual);
        self.bench.settle(&mut grant, 0, actual);
        let back = standing - grant.charged.units(0).expect("it was demanded");
        assert!(back >= least, "{back} of {least} came back at {}", self.now);
        assert!(back <= most, "{back} came back at {}, {most} at most", self.now);
        self.plain.refunded(self.now, id, back);
        self.noted[id].net = self.noted[id].net.saturating_sub(back);
        self.permits.push(Permit { id, grant, out: true });
    }

    fn settle_up(&mut self) {
        let Some(chosen) = self.pick().filter(|i| self.permits[*i].out) else { return };
        let extra = self.rng.within(1, self.quota.amount().div_ceil(4));
        let Permit { id, grant, .. } = &mut self.permits[chosen];
        let standing = grant.charged.units(0).expect("it was demanded");
        self.bench.settle(grant, 0, standing + extra);
        assert_eq!(grant.charged.units(0), Some(standing + extra));
        self.plain.add(self.now, self.noted[*id].at, *id, extra);
    }

    fn undo(&mut self) {
        let Some(chosen) = self.pick().filter(|i| self.permits[*i].out) else { return };
        let Permit { id, mut grant, .. } = self.permits.swap_remove(chosen);
        let standing = grant.charged.units(0).expect("it was demanded");
        let (least, most) = self.plain.refundable(self.now, self.noted[id].at, id, standing);
        if least == most && self.rng.one_in(2) {
            self.bench.set.undo(at(self.now), grant);
            self.plain.refunded(self.now, id, most);
            self.noted[id].net = self.noted[id].net.saturating_sub(most);
        } else {
            self.bench.settle(&mut grant, 0, 0);
            let back = standing - grant.charged.units(0).expect("it was demanded");
            assert!((least..=most).contains(&back));
            self.plain.refunded(self.now, id, back);
            self.noted[id].net = self.noted[id].net.saturating_sub(back);
            self.bench.release(&grant);
        }
        self.plain.complete(self.now, id);
        self.noted[id].done = Some(self.now);
    }

    /// Puts another quota in force, in both.
    pub(crate) fn change(&mut self, quota: Quota) {
        self.quota = quota;
        self.plain.requota(self.now, &quota);
        self.bench.set.set_quota(at(self.now), 0, quota, &mut self.bench.events).expect("a good quota");
    }
}

/// After the wait it is granted if nothing else happens, and not a nanosecond before.
fn assert_tight(limit: Limit, now: u64, units: u64, wait: u64) {
    let mut alone = Bench { set: Set::new(2, [limit]), ..Bench::new(vec![]) };
    for (instant, granted) in [(now + wait - 1, wait == 0), (now + wait, true)] {
        alone.now = Time::from_nanos(instant);
        let order = alone.order(Default::default());
        let demand = [(0, units)].into_iter().collect();
        let decision = alone.set.check(alone.now, &demand, order, None, &mut alone.events);
        assert_eq!(decision == Decision::Granted, granted, "{units} at {now}, which was told to wait {wait}");
    }
}

/// The fullest half-open window of one period, in what stands charged in the end.
pub(crate) fn fullest(noted: &[Noted], period: u64) -> u64 {
    let (mut from, mut sum, mut worst) = (0, 0, 0);
    for it in noted {
        sum += it.net;
        while noted[from].at + period <= it.at {
            sum -= noted[from].net;
            from += 1;
        }
        worst = worst.max(sum);
    }
    worst
}
