//! Limits of different policies in one set, and all that can be done with a permit while the store is away, against plain
//! sums.

use std::time::{Duration, Instant};

use paceline::{Error, LimitSet, Permit, Quota};
use paceline_redis::Outage;
use paceline_testkit::redis::Server;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{options, soon, until};

const LOCAL: u64 = 40;
const SLOTS: u64 = 6;
const MEMBERS: u64 = 2;
const SOON: Duration = Duration::from_millis(60);

/// `closed` and `open` are what they are called; `local` is, and so are the slots that each permit has.
async fn set(server: &Server, prefetch: usize) -> LimitSet {
    let options = options(server).prefetch(prefetch).lease(Duration::from_secs(60));
    let options = options.when_away("closed", Outage::Closed).when_away("open", Outage::Open).outage(Outage::Local);
    let shared = options.connect().await.unwrap();
    let set = LimitSet::builder("set").rate("local", Quota::per_hour(LOCAL)).resource("slots", SLOTS);
    let set = set.rate("closed", Quota::per_hour(1_000)).rate("open", Quota::per_hour(1_000));
    set.backend(shared).build().unwrap()
}

async fn is_away(set: &LimitSet) {
    until("the outage", || set.try_snapshot().is_err()).await;
}

fn used(set: &LimitSet, key: &str) -> u64 {
    set.snapshot().limit(key).unwrap().used
}

fn is_late<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })), "{answer:?}");
}

/// What a client has, by sums.
#[derive(Debug)]
struct Sums {
    local: i64,
    slots: u64,
    /// Units of `local` and `open` that each permit was charged.
    permits: Vec<(u64, u64)>,
    /// The same of those that are back.
    back: (u64, u64),
}

impl Sums {
    /// Whether an acquisition of so much has to succeed.
    fn grants(&mut self, closed: u64, local: u64, open: u64) -> bool {
        let fits = closed == 0 && self.slots > 0 && (local == 0 || self.local >= local as i64);
        if fits {
            self.local -= local as i64;
            self.slots -= 1;
            self.permits.push((local, open));
        }
        fits
    }

    fn settle(&mut self, at: usize, local: u64, open: u64) {
        self.local += self.permits[at].0 as i64 - local as i64;
        self.permits[at] = (local, open);
    }

    fn drop(&mut self, at: usize) {
        let (local, open) = self.permits.remove(at);
        self.back = (self.back.0 + local, self.back.1 + open);
        self.slots += 1;
    }

    fn total(&self) -> (u64, u64) {
        self.permits.iter().fold(self.back, |sum, permit| (sum.0 + permit.0, sum.1 + permit.1))
    }
}

/// Random doings while the store is away; what each comes to is as by sums, and so is all of it after the return.
async fn history(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = Server::options().persistent().start();
    let sets = [set(&server, 0).await, set(&server, 0).await];
    // A slot each is held before.
    let early = [1, 2];
    let mut permits: [Vec<Permit<'_>>; 2] = Default::default();
    for (at, set) in sets.iter().enumerate() {
        permits[at].push(soon(set.acquire([("local", early[at])])).await);
    }
    let all: u64 = early.iter().sum();
    until("the news", || sets.iter().all(|set| set.snapshot().active == 2 && used(set, "local") == all)).await;
    server.kill();
    for set in &sets {
        is_away(set).await;
    }
    let free = (SLOTS - MEMBERS) / MEMBERS;
    let mut sums = early.map(|early| Sums {
        local: (LOCAL / MEMBERS) as i64 - all as i64,
        slots: free,
        permits: vec![(early, 0)],
        back: (0, 0),
    });
    for step in 0..40 {
        let at = random.random_range(0..sets.len());
        let (set, held, sums) = (&sets[at], &mut permits[at], &mut sums[at]);
        match random.random_range(0..6) {
            0..3 => {
                let closed = u64::from(random.random_bool(0.1));
                let (local, open) = (random.random_range(0..5), random.random_range(0..5));
                let mut demand = vec![("closed", closed), ("local", local), ("open", open)];
                demand.retain(|(_, units)| *units > 0);
                let known = format!("seed {seed}, step {step}, client {at}: {demand:?} with {sums:?}");
                match (set.request(&demand).within(SOON).acquire().await, sums.grants(closed, local, open)) {
                    (Ok(permit), true) => held.push(permit),
                    (Err(Error::DeadlineExceeded { .. }), false) => {}
                    (other, _) => panic!("{known}: {other:?}"),
                }
            }
            // The first, which is the store's, is settled there.
            3 if held.len() > 1 => {
                let (one, local, open) = (random.random_range(1..held.len()), random.random_range(0..6), 1);
                held[one].settle([("local", local), ("open", open)]).unwrap();
                sums.settle(one, local, open);
            }
            4 | 5 if held.len() > 1 => {
                let one = random.random_range(1..held.len());
                drop(held.remove(one));
                sums.drop(one);
            }
            _ => {}
        }
    }
    server.restart();
    let total = sums.iter().map(Sums::total).fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let active: u64 = permits.iter().map(|held| held.len() as u64).sum();
    for set in &sets {
        let stands = || (used(set, "local"), used(set, "open"), used(set, "slots"), set.snapshot().active);
        let expected = (total.0, total.1, active, active);
        let began = Instant::now();
        while set.try_snapshot().is_err() || stands() != expected {
            assert!(began.elapsed() < Duration::from_secs(5), "seed {seed}: {:?}, {expected:?}", set.try_snapshot());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(used(set, "closed"), 0);
    }
    drop(permits);
    until("all to be back", || sets.iter().all(|set| set.snapshot().active == 0 && used(set, "slots") == 0)).await;
}

#[tokio::test]
async fn limits_of_each_policy_in_one_set_are_kept_as_by_plain_sums_in_real_time() {
    let soak = std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0");
    // The eleventh corrects a permit up and down again.
    let seeds = if soak { 0..40 } else { 9..12 };
    for seed in seeds {
        history(seed).await;
    }
}

#[tokio::test]
async fn a_permit_of_the_store_is_settled_and_given_back_while_it_is_away_in_real_time() {
    let mut server = Server::options().persistent().start();
    let set = set(&server, 0).await;
    let settled = soon(set.acquire([("local", 5), ("closed", 5)])).await;
    let released = soon(set.acquire([("local", 5)])).await;
    let mut held = Vec::new();
    for _ in 2..SLOTS {
        held.push(soon(set.acquire([("open", 1)])).await);
    }
    server.kill();
    is_away(&set).await;
    is_late(set.request(()).within(SOON).acquire().await);
    settled.settle([("local", 2), ("closed", 9)]).unwrap();
    let told = released.release().await.expect_err("nobody knows whether it arrived");
    assert!(told.is_retryable(), "{told}");
    // Its slot can be had here at once, and what it was charged stays charged.
    let alone = soon(set.request([("local", LOCAL - 10)]).within(SOON).acquire()).await;
    drop(settled);
    is_late(set.request([("local", 1)]).within(SOON).acquire().await);
    alone.release().await.expect("nobody else has to know");
    server.restart();
    let stands = || (used(&set, "local"), used(&set, "closed"), set.snapshot().active);
    until("its word", || set.try_snapshot().is_ok() && stands() == (2 + 5 + LOCAL - 10, 9, SLOTS - 2)).await;
}

#[tokio::test]
async fn who_gives_up_while_the_store_is_away_leaves_the_place_to_the_next_in_real_time() {
    let mut server = Server::options().persistent().start();
    let set = set(&server, 0).await;
    drop(soon(set.acquire(())).await);
    until("its return", || set.snapshot().active == 0).await;
    server.kill();
    is_away(&set).await;
    let mut held = Vec::new();
    for _ in 0..SLOTS {
        held.push(soon(set.acquire([("local", 1)])).await);
    }
    let wait = |units: u64, within: Duration| {
        let set = set.clone();
        tokio::spawn(async move { set.request([("local", units)]).within(within).acquire().await.map(drop) })
    };
    let long = Duration::from_secs(5);
    let cancelled = wait(LOCAL - SLOTS, long);
    tokio::time::sleep(SOON).await;
    let late = wait(LOCAL - SLOTS, SOON);
    tokio::time::sleep(SOON / 2).await;
    let next = wait(1, long);
    is_late(late.await.unwrap());
    cancelled.abort();
    tokio::time::sleep(SOON).await;
    assert!(!next.is_finished(), "all slots are out");
    let began = Instant::now();
    drop(held.pop());
    next.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    // And for the rest of the share, which nobody who gave up has.
    drop(held.pop());
    drop(soon(set.acquire([("local", LOCAL - SLOTS - 1)])).await);
    drop(held);
    server.restart();
    let stands = || (used(&set, "local"), set.snapshot().waiting, set.snapshot().active);
    until("its word", || set.try_snapshot().is_ok() && stands() == (LOCAL, 0, 0)).await;
}

#[tokio::test]
async fn who_waits_for_a_closed_limit_keeps_the_place_until_the_store_is_back_in_real_time() {
    let mut server = Server::options().persistent().start();
    let set = set(&server, 0).await;
    drop(soon(set.acquire(())).await);
    server.kill();
    let wait = || {
        let set = set.clone();
        tokio::spawn(async move { set.acquire([("closed", 1), ("local", 1), ("open", 1)]).await.map(drop) })
    };
    let (goes_on, cancelled) = (wait(), wait());
    is_away(&set).await;
    drop(soon(set.acquire([("local", 1), ("open", 1)])).await);
    tokio::time::sleep(SOON).await;
    assert!(!goes_on.is_finished(), "{:?}", goes_on.await);
    cancelled.abort();
    server.restart();
    soon(goes_on).await.unwrap();
    let stands = || (used(&set, "closed"), used(&set, "local"), used(&set, "open"), set.snapshot().waiting);
    until("what was used", || stands() == (1, 2, 2, 0)).await;
}

#[tokio::test]
async fn what_is_tried_while_the_store_is_away_goes_by_the_policies_in_real_time() {
    let mut server = Server::options().persistent().start();
    let (without, with) = (set(&server, 0).await, set(&server, 4).await);
    for set in [&without, &with] {
        drop(soon(set.acquire(())).await);
    }
    until("their return", || with.snapshot().active == 0 && with.snapshot().members == 2).await;
    server.kill();
    is_away(&without).await;
    is_away(&with).await;
    for key in ["closed", "local", "open"] {
        let error = without.try_acquire([(key, 1)]).expect_err("nothing is held in advance");
        assert!(error.to_string().contains("Options::prefetch"), "{error}");
        assert!(!error.is_retryable(), "{error}");
    }
    let error = with.try_acquire([("closed", 1)]).expect_err("it is closed");
    assert!(error.is_retryable() && error.to_string().contains("cannot reach"), "{error}");
    drop(with.try_acquire([("open", 500)]).unwrap());
    let half = with.try_acquire([("local", LOCAL / MEMBERS)]).unwrap();
    let none = with.try_acquire([("local", 1)]).expect_err("its share is used");
    assert!(matches!(none, Error::NotNow { .. }), "{none}");
    let slots: Vec<_> = (1..SLOTS / MEMBERS).map(|_| with.try_acquire(()).unwrap()).collect();
    let none = with.try_acquire([("open", 1)]).expect_err("its slots are out");
    assert!(matches!(none, Error::NotNow { .. }), "{none}");
    drop((half, slots));
    server.restart();
    let stands = |set: &LimitSet| (used(set, "local"), used(set, "open"), set.snapshot().active);
    for set in [&without, &with] {
        until("what was used", || set.try_snapshot().is_ok() && stands(set) == (LOCAL / MEMBERS, 500, 0)).await;
    }
}
