//! Random histories of two members: what each of them was told is what core's engine gives for the order and the instants
//! that the store has written down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use paceline::backend::{Answer, Ask, BackendError, Change, Home, LimitSpec, PermitId, Remote as _};
use paceline::{Algorithm, Anchor, Priority, Quota, Reset, ServerState, Time};
use paceline_core::image::{Image as _, Words};
use paceline_core::{Arrival, Decision, Demand, Events, Index, Order, Outcome, Set, Ticket, Waiter};
use paceline_redis::Redis;
use paceline_replica::{Asked, Op, Patience};
use paceline_testkit::redis::Server;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::task::JoinHandle;

const STEPS: usize = 150;

/// Core's own set, driven as simply as can be, by what the journal says.
struct Reference {
    set: Set<u128>,
    arrivals: u64,
    waiting: BTreeMap<u128, Ticket>,
    out: u64,
    ends: HashMap<u128, Answer>,
}

impl Reference {
    fn apply(&mut self, now: Time, op: Op) {
        let events = &mut Events::default();
        let set = &mut self.set;
        match op {
            Op::Ask(asked) => {
                let permit = asked.key.permit;
                let decided = self.ask(now, asked);
                self.ends.extend(decided.map(|answer| (permit, answer)));
            }
            Op::Pump => set.pump(now, events),
            // Its outcome is its own, decided or not.
            Op::Cancel(permit) => {
                if let Some(ticket) = self.waiting.remove(&permit) {
                    set.cancel(now, ticket, events);
                }
            }
            Op::Claim(_) => {}
            Op::Release(_, grant) => {
                self.out -= 1;
                set.release(now, &grant, events);
            }
            Op::Undo(_, grant) => {
                self.out -= 1;
                set.undo(now, grant);
                set.pump(now, events);
            }
            Op::Settle(_, mut grant, actual) => {
                for part in actual.parts() {
                    set.settle(now, &mut grant, part.limit, part.units, events);
                }
            }
            Op::End(_, mut grant, actual) => {
                self.out -= 1;
                for part in actual.parts() {
                    set.settle(now, &mut grant, part.limit, part.units, events);
                }
                set.release(now, &grant, events);
            }
            Op::Quota(limit, quota) => set.set_quota(now, limit, quota, events).unwrap(),
            Op::Capacity(limit, capacity) => set.set_capacity(now, limit, capacity, events).unwrap(),
            Op::Sync(limit, state, grant) => set.sync(now, limit, &state, grant.as_ref(), events).unwrap(),
            Op::Pause(pause) => {
                set.pause(now, pause, events);
            }
            Op::Resume => set.resume(now, events),
            Op::Reset => set.reset(now, events),
            other => panic!("{other:?}"),
        }
        self.collect();
    }

    /// What becomes of it at once.
    fn ask(&mut self, now: Time, asked: Asked) -> Option<Answer> {
        let events = &mut Events::default();
        let at = Time::from_nanos(now.as_nanos() - asked.waited.as_nanos() as u64);
        let order = Order::new(Arrival { at, number: self.arrivals + 1 }, asked.priority);
        let (mut demand, permit) = (asked.demand, asked.key.permit);
        let wait = match self.set.try_acquire(now, &mut demand, order, events) {
            Decision::Granted => {
                self.out += 1;
                return Some(Answer::Granted);
            }
            Decision::Never(refusal) => return Some(Answer::Never(refusal)),
            Decision::Wait(wait) => wait,
        };
        let deadline = match asked.patience {
            Patience::None => return Some(Answer::Wait(wait)),
            Patience::Endless => None,
            Patience::Within(within) => {
                if matches!(self.set.at_best(now, &demand, self.out > 0), Decision::Wait(wait) if wait > within) {
                    return Some(Answer::TooLate);
                }
                Some(now + within)
            }
        };
        self.arrivals += 1;
        let ticket =
            self.set.enqueue(now, Waiter { demand, order, deadline, party: None, waker: Some(permit) }, events);
        self.waiting.insert(permit, ticket);
        None
    }

    fn collect(&mut self) {
        self.waiting.retain(|permit, ticket| {
            let Some(outcome) = self.set.collect(*ticket) else { return true };
            let end = match outcome {
                Outcome::Granted(_) => {
                    self.out += 1;
                    Answer::Granted
                }
                Outcome::Refused(refusal) => Answer::Never(refusal),
                Outcome::TimedOut => Answer::TooLate,
            };
            self.ends.insert(*permit, end);
            false
        });
    }
}

type Asking = JoinHandle<Result<Answer, BackendError>>;

/// Two members, and what they were told.
struct Members {
    homes: [Arc<dyn Home>; 2],
    asking: BTreeMap<u128, Asking>,
    owners: HashMap<u128, usize>,
    told: HashMap<u128, Answer>,
    held: Vec<u128>,
    next: u128,
}

impl Members {
    fn ask(&mut self, random: &mut SmallRng, limits: usize) {
        let member = random.random_range(0..2);
        let demand: Demand = (0..limits)
            .map(|limit| (limit as Index, random.random_range(0..=9)))
            .filter(|(_, units)| (1..=6).contains(units))
            .collect();
        let priority = [Priority::Low, Priority::Normal, Priority::High][random.random_range(0..3)];
        let within = random.random_bool(0.3).then(|| Duration::from_millis(random.random_range(0..150)));
        let waited = Duration::from_millis(if random.random_bool(0.2) { random.random_range(0..100) } else { 0 });
        let ask = Ask { permit: PermitId(self.next), demand, priority, waited, within };
        self.next += 1;
        self.owners.insert(ask.permit.0, member);
        let home = Arc::clone(&self.homes[member]);
        self.asking.insert(ask.permit.0, tokio::spawn(async move { home.acquire(&ask).await }));
    }

    /// Takes note of what has ended.
    async fn note(&mut self) {
        let ended = self.asking.iter().filter(|(_, asking)| asking.is_finished()).map(|(permit, _)| *permit);
        for permit in ended.collect::<Vec<_>>() {
            let answer = self.asking.remove(&permit).unwrap().await.unwrap().unwrap();
            if answer == Answer::Granted {
                self.held.push(permit);
            }
            self.told.insert(permit, answer);
        }
    }

    fn home(&self, permit: u128) -> &Arc<dyn Home> {
        &self.homes[self.owners[&permit]]
    }

    async fn step(&mut self, random: &mut SmallRng, limits: &[(Arc<str>, LimitSpec)]) {
        self.note().await;
        let one = (!self.held.is_empty()).then(|| random.random_range(0..self.held.len()));
        match (random.random_range(0..100), one) {
            (0..45, _) => self.ask(random, limits.len()),
            (45..60, Some(at)) => {
                let permit = self.held.swap_remove(at);
                self.home(permit).forget(PermitId(permit));
            }
            (60..72, Some(at)) => {
                let actual = [(random.random_range(0..limits.len()) as Index, random.random_range(0..9))];
                self.home(self.held[at]).settle(PermitId(self.held[at]), actual.into_iter().collect());
            }
            (72..77, _) => {
                if let Some((permit, asking)) = self.asking.pop_first() {
                    asking.abort();
                    self.home(permit).forget(PermitId(permit));
                }
            }
            (77..84, at) => {
                let permit = at.map(|at| self.held[at]);
                let member = permit.map_or(random.random_range(0..2), |permit| self.owners[&permit]);
                self.homes[member].change(change(random, limits, permit)).unwrap();
            }
            _ => tokio::time::sleep(Duration::from_micros(random.random_range(1..20_000))).await,
        }
        if random.random_bool(0.5) {
            tokio::task::yield_now().await;
        }
    }
}

fn quota(random: &mut SmallRng) -> Quota {
    let algorithm = Algorithm::ALL[random.random_range(0..Algorithm::ALL.len())];
    let quota = Quota::new(random.random_range(6..30), Duration::from_millis(random.random_range(20..200)));
    let quota = quota.algorithm(algorithm).guard(Duration::from_millis(random.random_range(0..5)));
    match algorithm {
        Algorithm::TokenBucket | Algorithm::Gcra => quota.burst(random.random_range(6..20)),
        Algorithm::SlidingWindow if random.random_bool(0.3) => quota.paced(random.random_range(6..20)),
        Algorithm::SlidingWindow if random.random_bool(0.4) => quota.anchor(Anchor::Completion),
        _ => quota,
    }
}

fn change(random: &mut SmallRng, limits: &[(Arc<str>, LimitSpec)], permit: Option<u128>) -> Change {
    let limit = random.random_range(0..limits.len());
    match (random.random_range(0..12), limits[limit].1) {
        (0, _) => Change::Pause(Duration::from_millis(random.random_range(1..30))),
        (1, _) => Change::Resume,
        (2, _) => Change::Reset,
        (_, LimitSpec::Resource(_)) => Change::Capacity(limit as Index, random.random_range(1..10)),
        (3..6, _) => Change::Quota(limit as Index, quota(random)),
        _ => {
            let reset =
                random.random_bool(0.5).then(|| Reset::Window(Duration::from_millis(random.random_range(1..90))));
            let remaining = Some(random.random_range(0..20));
            let told = random.random_bool(0.2).then(|| random.random_range(6..20));
            let state = ServerState { limit: told, remaining, reset, authoritative: random.random_bool(0.3) };
            Change::Sync(limit as Index, state, permit.map(PermitId))
        }
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect()
}

/// When a set was made, and all entries of its journal since, as instants and operations.
async fn journal(server: &Server, prefix: &str) -> (Time, Vec<(Time, Op)>) {
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut get = redis::cmd("HGET");
    get.arg(format!("{{{prefix}:set}}:head")).arg("image");
    let image: Vec<u8> = get.query_async(&mut connection).await.unwrap();
    let made = Time::from_nanos(words(&image)[0]);
    let mut list = redis::cmd("LRANGE");
    list.arg(format!("{{{prefix}:set}}:journal")).arg(0).arg(-1);
    let entries: Vec<Vec<u8>> = list.query_async(&mut connection).await.unwrap();
    let mut all = Vec::new();
    for entry in entries {
        let words = words(&entry);
        let mut words = Words::new(&words);
        let now = Time::from_nanos(words.word().unwrap() * 1_000);
        words.word().unwrap();
        words.word().unwrap();
        while words.left() > 0 {
            all.push((now, Op::read(&mut words).unwrap()));
        }
    }
    (made, all)
}

async fn history(server: &Server, seed: u64) {
    println!("seed {seed}");
    let prefix = format!("history-{seed}");
    let random = &mut SmallRng::seed_from_u64(seed);
    let mut limits: Vec<(Arc<str>, LimitSpec)> = Vec::new();
    for number in 0..random.random_range(1..4) {
        limits.push((format!("rate-{number}").into(), LimitSpec::Rate(quota(random))));
    }
    limits.push(("slots".into(), LimitSpec::Resource(random.random_range(2..9))));
    let options = Redis::options(&server.url()).prefix(&prefix);
    let members = [options.clone().connect().await.unwrap(), options.connect().await.unwrap()];
    let homes = members.each_ref().map(|redis| redis.open(&"set".into(), &limits).unwrap());
    let (told, held) = (HashMap::new(), Vec::new());
    let mut both = Members { homes, asking: BTreeMap::new(), owners: HashMap::new(), told, held, next: 1 };
    for _ in 0..STEPS {
        both.step(random, &limits).await;
    }
    // Nothing more is under way once everything has had its round trip.
    both.asking.values().for_each(JoinHandle::abort);
    for (permit, _) in std::mem::take(&mut both.asking) {
        both.home(permit).forget(PermitId(permit));
    }
    // Whoever comes back last has heard of all before.
    let mut standings = Vec::new();
    for member in [0, 1, 0, 1] {
        both.next += 1;
        nothing_is_left(&both.homes[member], both.next).await;
        standings.push(both.homes[member].standing().unwrap());
    }
    let [.., one, other] = &standings[..] else { panic!("there are four") };
    assert_eq!((one.view.granted + 1, one.active), (other.view.granted, other.active), "seed {seed}");

    let (began, journal) = journal(server, &prefix).await;
    let made = limits.iter().map(|(_, spec)| spec.make(began).unwrap());
    let set = Set::new(1, made.collect::<Vec<_>>());
    let mut reference = Reference { set, arrivals: 0, waiting: BTreeMap::new(), out: 0, ends: HashMap::new() };
    let count = journal.len();
    for (now, op) in journal {
        reference.apply(now, op);
    }
    for (permit, answer) in &both.told {
        assert_eq!(Some(answer), reference.ends.get(permit), "seed {seed}, permit {permit}");
    }
    assert_eq!((other.active, other.view.granted), (reference.out, reference.set.granted()), "seed {seed}");
    assert_eq!(reference.out, both.held.len() as u64, "seed {seed}");
    println!("{count} operations, {} demands decided", both.told.len());
}

/// Goes behind all that a member has to tell, and comes back.
async fn nothing_is_left(home: &Arc<dyn Home>, number: u128) {
    let (permit, demand) = (PermitId(number), Demand::default());
    let ask = Ask { permit, demand, priority: Priority::Normal, waited: Duration::ZERO, within: None };
    assert_eq!(home.acquire(&ask).await, Ok(Answer::Granted));
    home.release(permit).await.unwrap();
}

#[tokio::test]
async fn random_histories_give_the_decisions_of_core_in_real_time() {
    let server = Server::start();
    let soaked = std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0");
    for seed in 0..if soaked { 500 } else { 15 } {
        history(&server, seed).await;
    }
}
