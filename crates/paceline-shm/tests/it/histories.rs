//! Random histories of two members give, step by step, what core's engine gives.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use paceline::backend::{Answer, Ask, BackendError, Change, Home, LimitSpec, PermitId, Remote as _, Report, Sizing};
use paceline::{Aimd, AimdBuilder, Algorithm, Anchor, ManualClock, Priority, Quota, Reset, ServerState, Time, Verdict};
use paceline_core::{
    Arrival, Controller as _, Decision, Demand, Events, Grant, Index, Order, Outcome, Refusal, Sample, Set, Ticket,
    Waiter,
};
use paceline_shm::Options;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{self, directory};

const STEPS: usize = 400;

/// The capacity that is stated.
const MOST: u64 = 9;

/// Core's own set, driven as simply as can be.
struct Reference {
    set: Set<u128>,
    arrivals: u64,
    waiting: BTreeMap<u128, Ticket>,
    held: HashMap<u128, Grant>,
    aimd: Aimd,
    /// The resource that is sized, and what it never exceeds.
    sized: (Index, u64),
    stated: BTreeMap<Index, Quota>,
    words: BTreeMap<(Index, usize), Quota>,
}

/// What became of a demand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Granted,
    Never(Refusal),
    TooLate,
}

impl Reference {
    fn ask(&mut self, now: Time, ask: &Ask, waits: bool) -> Result<End, Duration> {
        self.arrivals += 1;
        let mut events = Events::default();
        let order = Order::new(Arrival { at: now, number: self.arrivals }, ask.priority);
        let mut demand = ask.demand.clone();
        match self.set.try_acquire(now, &mut demand, order, &mut events) {
            Decision::Granted => {
                self.held.insert(ask.permit.0, Grant { at: now, charged: demand });
                Ok(End::Granted)
            }
            Decision::Never(refusal) => Ok(End::Never(refusal)),
            Decision::Wait(wait) if !waits => Err(wait),
            Decision::Wait(wait) => {
                if let Some(within) = ask.within {
                    let at_best = self.set.at_best(now, &demand, !self.held.is_empty());
                    if matches!(at_best, Decision::Wait(wait) if wait > within) {
                        return Ok(End::TooLate);
                    }
                }
                let deadline = ask.within.map(|within| now + within);
                let waiter = Waiter { demand, order, deadline, party: None, waker: Some(ask.permit.0) };
                let ticket = self.set.enqueue(now, waiter, &mut events);
                self.waiting.insert(ask.permit.0, ticket);
                Err(wait)
            }
        }
    }

    /// The waits that have ended.
    fn ended(&mut self, now: Time) -> BTreeMap<u128, End> {
        self.set.pump(now, &mut Events::default());
        let mut ended = BTreeMap::new();
        self.waiting.retain(|permit, ticket| {
            let Some(outcome) = self.set.collect(*ticket) else { return true };
            let end = match outcome {
                Outcome::Granted(grant) => {
                    self.held.insert(*permit, grant);
                    End::Granted
                }
                Outcome::Refused(refusal) => End::Never(refusal),
                Outcome::TimedOut => End::TooLate,
            };
            ended.insert(*permit, end);
            false
        });
        ended
    }

    fn give_back(&mut self, now: Time, permit: u128) {
        let mut events = Events::default();
        if let Some(ticket) = self.waiting.remove(&permit) {
            self.set.cancel(now, ticket, &mut events);
        }
        if let Some(grant) = self.held.remove(&permit) {
            self.set.release(now, &grant, &mut events);
        }
    }

    fn report(&mut self, now: Time, permit: u128, report: Report) {
        let Report { verdict, duration, explained } = report;
        let sample = Sample { verdict, began: self.held[&permit].at, duration, in_flight: self.held.len() as u64 };
        if !explained {
            self.aimd.update(&sample, now);
        }
        if let Verdict::RateLimited { retry_after: Some(pause) } = verdict {
            self.set.pause(now, pause, &mut Events::default());
        }
        self.resize(now);
    }

    fn resize(&mut self, now: Time) {
        let (limit, most) = self.sized;
        self.set.set_capacity(now, limit, self.aimd.level().min(most), &mut Events::default()).unwrap();
    }

    fn count(&mut self, now: Time, limit: Index) {
        let words = self.words.iter().filter(|((of, _), _)| *of == limit).map(|(_, word)| *word);
        let quota = self.stated[&limit].counted_as(words);
        if self.set.limits()[usize::from(limit)].quota() != Some(&quota) {
            self.set.set_quota(now, limit, quota, &mut Events::default()).unwrap();
        }
    }

    fn change(&mut self, now: Time, member: usize, change: Change) {
        let (set, events) = (&mut self.set, &mut Events::default());
        match change {
            Change::Quota(limit, quota) => {
                self.stated.insert(limit, quota);
                if self.words.keys().any(|(of, _)| *of == limit) {
                    self.count(now, limit);
                } else {
                    set.set_quota(now, limit, quota, events).unwrap();
                }
            }
            Change::Capacity(limit, capacity) => {
                self.sized = (limit, capacity);
                self.resize(now);
            }
            Change::Pace(limit, quota) => {
                self.words.insert((limit, member), quota);
                self.count(now, limit);
            }
            Change::Sync(limit, state, permit) => {
                let grant = permit.and_then(|permit| self.held.get(&permit.0));
                set.sync(now, limit, &state, grant, events).unwrap();
            }
            Change::Pause(pause) => {
                set.pause(now, pause, events);
            }
            Change::Resume => set.resume(now, events),
            Change::Reset => set.reset(now, events),
            other => panic!("{other:?}"),
        }
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<Answer, BackendError>> + Send>>;

/// Both, side by side.
struct Both {
    clock: ManualClock,
    members: [(paceline_shm::Shm, Arc<dyn Home>); 2],
    asking: BTreeMap<u128, (usize, Asking)>,
    owners: HashMap<u128, usize>,
    reference: Reference,
    next: u128,
}

fn end(answer: Answer) -> End {
    match answer {
        Answer::Granted => End::Granted,
        Answer::Never(refusal) => End::Never(refusal),
        Answer::TooLate => End::TooLate,
        Answer::Wait(wait) => panic!("a wait of {wait:?} is no end"),
    }
}

fn poll(asking: &mut Asking) -> Option<End> {
    match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(end(answer.unwrap())),
        Poll::Pending => None,
    }
}

impl Both {
    fn new(directory: &std::path::Path, limits: &[(Arc<str>, LimitSpec)]) -> Self {
        let clock = ManualClock::default();
        let members = [0, 1].map(|_| {
            let shm = Options::new().directory(directory).clock(clock.clone()).open("histories").unwrap();
            let home = shm.open(&"set".into(), limits).unwrap();
            (shm, home)
        });
        let made = limits.iter().map(|(_, spec)| spec.make(clock.now()).unwrap());
        let (set, held) = (Set::new(1, made.collect::<Vec<_>>()), HashMap::new());
        let rate = |(limit, (_, spec)): (Index, &(_, LimitSpec))| match spec {
            LimitSpec::Rate(quota) => Some((limit, *quota)),
            _ => None,
        };
        let (stated, words) = ((0..).zip(limits).filter_map(rate).collect(), BTreeMap::new());
        let (aimd, sized) = (sizing().build().unwrap(), (limits.len() as Index - 1, MOST));
        let waiting = BTreeMap::new();
        let mut reference = Reference { set, arrivals: 0, waiting, held, aimd, sized, stated, words };
        reference.resize(clock.now());
        Self { clock, members, asking: BTreeMap::new(), owners: HashMap::new(), reference, next: 1 }
    }

    fn ask(&mut self, random: &mut SmallRng, limits: usize) {
        let member = random.random_range(0..2);
        let demand: Demand = (0..limits)
            .map(|limit| (limit as Index, random.random_range(0..=9)))
            .filter(|(_, units)| (1..=6).contains(units))
            .collect();
        let priority = [Priority::Low, Priority::Normal, Priority::High][random.random_range(0..3)];
        let within = random.random_bool(0.3).then(|| Duration::from_millis(random.random_range(0..1_500)));
        let ask = Ask { permit: PermitId(self.next), demand, priority, waited: Duration::ZERO, within };
        self.next += 1;
        let (now, home) = (self.clock.now(), Arc::clone(&self.members[member].1));
        self.owners.insert(ask.permit.0, member);
        if random.random_bool(0.4) {
            let expected = self.reference.ask(now, &ask, false);
            match (home.try_acquire(&ask).unwrap(), expected) {
                (Answer::Wait(wait), Err(expected)) => assert_eq!(wait, expected, "{ask:?}"),
                (answer, Ok(expected)) => assert_eq!(end(answer), expected, "{ask:?}"),
                (answer, Err(expected)) => panic!("{answer:?} instead of {expected:?}: {ask:?}"),
            }
            return;
        }
        let expected = self.reference.ask(now, &ask, true);
        let permit = ask.permit.0;
        let mut asking: Asking = Box::pin(async move { home.acquire(&ask).await });
        let first = poll(&mut asking);
        match (first, expected) {
            (Some(end), Ok(expected)) => assert_eq!(end, expected),
            // It may have been decided as it was let wait; that is compared with the others.
            (Some(end), Err(_)) => {
                let ended = self.reference.ended(now);
                assert_eq!(ended.get(&permit), Some(&end));
                assert_eq!(ended.len(), 1, "{ended:?}");
            }
            (None, Err(_)) => drop(self.asking.insert(permit, (member, asking))),
            (None, Ok(expected)) => panic!("it waits instead of {expected:?}"),
        }
    }

    /// Lets both look, and compares what has ended and how all stands.
    fn compare(&mut self) {
        let now = self.clock.now();
        self.members.iter().for_each(|(shm, _)| shm.tick());
        self.members.iter().for_each(|(shm, _)| shm.tick());
        let mut ended = BTreeMap::new();
        self.asking.retain(|permit, (_, asking)| match poll(asking) {
            Some(end) => {
                ended.insert(*permit, end);
                false
            }
            None => true,
        });
        assert_eq!(ended, self.reference.ended(now));
        let expected = self.reference.set.view(now);
        for (_, home) in &self.members {
            let standing = home.standing().unwrap();
            assert_eq!(standing.view, expected);
            assert_eq!(standing.active, self.reference.held.len() as u64);
            assert_eq!(standing.feedback.level, Some(self.reference.aimd.level()));
            assert_eq!(standing.feedback.cuts, self.reference.aimd.cuts());
        }
    }

    fn step(&mut self, random: &mut SmallRng, limits: &[(Arc<str>, LimitSpec)]) {
        let now = self.clock.now();
        let held: Vec<u128> = self.reference.held.keys().copied().collect();
        let one = (!held.is_empty()).then(|| held[random.random_range(0..held.len())]);
        match (random.random_range(0..100), one) {
            (0..40, _) => self.ask(random, limits.len()),
            (40..60, Some(permit)) => {
                self.reference.give_back(now, permit);
                self.members[self.owners[&permit]].1.forget(PermitId(permit));
            }
            (60..72, Some(permit)) => {
                let actual: Demand =
                    [(random.random_range(0..limits.len()) as Index, random.random_range(0..9))].into_iter().collect();
                let grant = self.reference.held.get_mut(&permit).unwrap();
                for part in actual.parts() {
                    self.reference.set.settle(now, grant, part.limit, part.units, &mut Events::default());
                }
                self.members[self.owners[&permit]].1.settle(PermitId(permit), actual);
            }
            (72..76, _) => {
                let waiting: Vec<u128> = self.asking.keys().copied().collect();
                if let Some(permit) = waiting.first() {
                    self.reference.give_back(now, *permit);
                    let (member, asking) = self.asking.remove(permit).unwrap();
                    drop(asking);
                    self.members[member].1.forget(PermitId(*permit));
                }
            }
            (76..84, permit) => {
                let change = change(random, limits, permit);
                // A permit's answer is its owner's to tell of.
                let member = permit.map_or(random.random_range(0..2), |permit| self.owners[&permit]);
                self.reference.change(now, member, change);
                self.members[member].1.change(change).unwrap();
            }
            (84..92, Some(permit)) => {
                let report = report(random);
                self.reference.report(now, permit, report);
                self.members[self.owners[&permit]].1.report(PermitId(permit), report);
            }
            _ => {
                let nanos = [1, 1_000_000, 50_000_000, 400_000_000][random.random_range(0..4)];
                self.clock.advance(Duration::from_nanos(random.random_range(1..=nanos)));
            }
        }
    }
}

fn quota(random: &mut SmallRng) -> Quota {
    let algorithm = Algorithm::ALL[random.random_range(0..Algorithm::ALL.len())];
    let quota = Quota::new(random.random_range(6..30), Duration::from_millis(random.random_range(100..2_000)));
    let quota = quota.algorithm(algorithm).guard(Duration::from_millis(random.random_range(0..30)));
    match algorithm {
        Algorithm::TokenBucket | Algorithm::Gcra => quota.burst(random.random_range(6..20)),
        Algorithm::SlidingWindow if random.random_bool(0.3) => quota.paced(random.random_range(6..20)),
        Algorithm::SlidingWindow if random.random_bool(0.4) => quota.anchor(Anchor::Completion),
        Algorithm::FixedWindow if random.random_bool(0.5) => {
            quota.guard(Duration::ZERO).resets_in(Duration::from_millis(random.random_range(1..500)))
        }
        _ => quota,
    }
}

fn change(random: &mut SmallRng, limits: &[(Arc<str>, LimitSpec)], permit: Option<u128>) -> Change {
    let limit = random.random_range(0..limits.len());
    match (random.random_range(0..12), limits[limit].1) {
        (0, _) => Change::Pause(Duration::from_millis(random.random_range(1..300))),
        (1, _) => Change::Resume,
        (2, _) => Change::Reset,
        (_, LimitSpec::Adaptive(_) | LimitSpec::Resource(_)) => {
            Change::Capacity(limit as Index, random.random_range(1..10))
        }
        (6..8, LimitSpec::Rate(quota)) => {
            let guarded = quota.guard(Duration::from_millis(random.random_range(0..40)));
            let window = quota.kind() == Algorithm::SlidingWindow && random.random_bool(0.5);
            Change::Pace(limit as Index, if window { guarded.paced(random.random_range(6..20)) } else { guarded })
        }
        (3..6, _) => Change::Quota(limit as Index, quota(random)),
        _ => {
            let reset =
                random.random_bool(0.5).then(|| Reset::Window(Duration::from_millis(random.random_range(1..900))));
            let remaining = Some(random.random_range(0..20));
            let limit_told = random.random_bool(0.2).then(|| random.random_range(3..20));
            let state = ServerState { limit: limit_told, remaining, reset, authoritative: random.random_bool(0.3) };
            Change::Sync(limit as Index, state, permit.map(PermitId))
        }
    }
}

/// The least that fits the largest demand is seldom in force, so waits are refused too.
fn sizing() -> AimdBuilder {
    Aimd::builder().initial_concurrent(8).min_concurrent(3).max_concurrent(12).recovery_threshold(3)
}

fn report(random: &mut SmallRng) -> Report {
    let pause = random.random_bool(0.3).then(|| Duration::from_millis(random.random_range(1..300)));
    let refused = Verdict::RateLimited { retry_after: pause };
    let verdict = if random.random_bool(0.2) { refused } else { Verdict::Success };
    Report { verdict, duration: Duration::from_millis(5), explained: random.random_bool(0.1) }
}

#[test]
fn random_histories_give_the_decisions_of_core() {
    for seed in 0..support::soaked(30, 1_000) {
        println!("seed {seed}");
        let random = &mut SmallRng::seed_from_u64(seed);
        let directory = directory();
        let mut limits: Vec<(Arc<str>, LimitSpec)> = Vec::new();
        for number in 0..random.random_range(1..4) {
            limits.push((format!("rate-{number}").into(), LimitSpec::Rate(quota(random))));
        }
        limits.push(("slots".into(), LimitSpec::Adaptive(Sizing { most: MOST, first: None, by: Some(sizing()) })));
        let mut both = Both::new(directory.path(), &limits);
        for _ in 0..STEPS {
            both.step(random, &limits);
            both.compare();
        }
    }
}
