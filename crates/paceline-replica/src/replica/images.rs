//! A replica that is read back from its image goes on as if it had not been, and from words that are no image there is no
//! replica.

use std::panic::{AssertUnwindSafe, catch_unwind};

use paceline::backend::{Report, Sizing};
use paceline::{Aimd, Algorithm, Anchor, Priority, Quota, ServerState, Verdict as Ended};
use paceline_core::Demand;
use paceline_core::image::{Image, Words};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;

/// Whatever can be done to a set, at random.
struct History {
    random: SmallRng,
    now: u64,
    permits: u128,
    held: Vec<(Member, Grant)>,
    limits: usize,
}

fn member(random: &mut SmallRng) -> Member {
    Member::of(random.random_range(1..4) << 16 | random.random_range(1..4)).unwrap()
}

fn quota(random: &mut SmallRng) -> Quota {
    let algorithm = Algorithm::ALL[random.random_range(0..Algorithm::ALL.len())];
    let quota = Quota::new(random.random_range(5..2_000), Duration::from_millis(random.random_range(1..500)));
    let quota = quota.algorithm(algorithm);
    match algorithm {
        Algorithm::TokenBucket => quota.burst(random.random_range(5..50)),
        Algorithm::SlidingWindow if random.random_bool(0.5) => quota.paced(random.random_range(5..50)),
        Algorithm::SlidingWindow => quota.anchor(Anchor::Completion),
        Algorithm::FixedWindow => quota.resets_in(Duration::from_millis(random.random_range(1..500))),
        _ => quota,
    }
}

fn report(random: &mut SmallRng) -> Report {
    let refused = Ended::RateLimited { retry_after: random.random_bool(0.3).then_some(Duration::from_millis(9)) };
    let verdict = [Ended::Success, Ended::Cancelled, refused][random.random_range(0..12_usize).saturating_sub(9)];
    Report { verdict, duration: Duration::from_millis(random.random_range(1..50)), explained: random.random_bool(0.2) }
}

impl History {
    fn new(seed: u64) -> (Self, Replica) {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut limits: Vec<(_, LimitSpec)> =
            (0..3).map(|at| (format!("rate-{at}").into(), LimitSpec::Rate(quota(&mut random)))).collect();
        let by = Some(Aimd::builder().initial_concurrent(8).max_concurrent(12));
        limits.push(("slots".into(), LimitSpec::Adaptive(Sizing { most: 9, first: Some(4), by })));
        let replica = Replica::of(&limits, Time::from_nanos(1)).unwrap();
        (Self { random, now: 1, permits: 0, held: Vec::new(), limits: 4 }, replica)
    }

    fn demand(&mut self) -> Demand {
        let random = &mut self.random;
        (0..self.limits as Index).filter(|_| random.random_bool(0.5)).map(|limit| (limit, 3)).collect()
    }

    fn taken(&mut self) -> Option<(Member, Grant)> {
        (!self.held.is_empty()).then(|| self.held.swap_remove(self.random.random_range(0..self.held.len())))
    }

    fn op(&mut self) -> (Time, Op) {
        let random = &mut self.random;
        self.now += random.random_range(0..30_000_000);
        let member = member(random);
        let limit = random.random_range(0..self.limits - 1) as Index;
        let op = match random.random_range(0..25) {
            0..8 => {
                self.permits += 1;
                let key = Key { member, permit: self.permits };
                let within = Duration::from_nanos(random.random_range(0..400_000_000));
                let patience = [Patience::None, Patience::Within(within), Patience::Endless][random.random_range(0..3)];
                let waited = Duration::from_nanos(random.random_range(0..50_000_000));
                let priority = [Priority::Low, Priority::High][random.random_range(0..2)];
                Op::Ask(Asked { key, demand: self.demand(), priority, waited, patience })
            }
            8..12 => self.taken().map_or(Op::Pump, |(member, grant)| Op::Release(member, grant)),
            12 => self.taken().map_or(Op::Pump, |(member, grant)| Op::Undo(member, grant)),
            13 if random.random_bool(0.3) => self.taken().map_or(Op::Pump, |(member, grant)| {
                let actual = self.demand();
                Op::End(member, grant, actual)
            }),
            13 if random.random_bool(0.2) => {
                self.taken().map_or(Op::Pump, |(member, grant)| Op::Hold(member, vec![grant]))
            }
            13 if random.random_bool(0.1) => {
                self.taken().map_or(Op::Pump, |(member, grant)| Op::Took(member, vec![grant]))
            }
            13 if random.random_bool(0.1) => Op::Used(limit, vec![(Duration::from_millis(3), 2), (Duration::ZERO, 1)]),
            13 => self.taken().map_or(Op::Pump, |(member, grant)| {
                let actual = self.demand();
                Op::Settle(member, grant, actual)
            }),
            14 => Op::Quota(limit, quota(random)),
            15 => Op::Capacity(3, random.random_range(1..12)),
            16 => Op::Sync(limit, ServerState { remaining: Some(2), limit: Some(7), ..ServerState::default() }, None),
            17 => Op::Cancel(self.permits),
            18 => Op::Claim((0..self.permits).collect()),
            20..23 => {
                Op::Report(random.random_bool(0.9).then(|| Time::from_nanos(self.now - self.now / 50)), report(random))
            }
            23 => Op::Pace(member, limit, quota(random)),
            _ => match random.random_range(0..6) {
                0 => Op::Clear(member),
                1 => Op::PassBy(member),
                2 => Op::Reset,
                3 => Op::Pause(Duration::from_millis(20)),
                4 => Op::Unlearn,
                _ => Op::Pump,
            },
        };
        (Time::from_nanos(self.now), op)
    }
}

/// A hundred times as many in a soak.
fn soaked(few: u64) -> u64 {
    if std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0") { 100 * few } else { few }
}

fn words(of: &impl Image) -> Vec<u64> {
    let mut words = Vec::new();
    of.write(&mut words);
    words
}

#[test]
fn an_image_goes_on_as_what_it_is_of() {
    for seed in 0..soaked(20) {
        let (mut history, mut one) = History::new(seed);
        let mut other = Replica::read(&mut Words::new(&words(&one))).unwrap();
        for step in 0..400 {
            let (now, op) = history.op();
            let record = words(&op);
            let mut record = Words::new(&record);
            assert_eq!(Op::read(&mut record).as_ref(), Some(&op));
            assert_eq!(record.left(), 0);
            assert!(one.can_apply(now, &op));
            let effect = one.apply(now, &op);
            assert_eq!(format!("{effect:?}"), format!("{:?}", other.apply(now, &op)), "{seed}, {step}: {op:?}");
            one.decided.sort_by_key(|key| key.permit);
            other.decided.sort_by_key(|key| key.permit);
            assert_eq!(one.decided, other.decided, "{seed}, {step}: {op:?}");
            one.decided.clear();
            let image = words(&other);
            let mut image = Words::new(&image);
            other = Replica::read(&mut image).unwrap();
            assert_eq!(image.left(), 0);
            if let (Effect::Granted(grant), Op::Ask(asked)) = (effect, &op) {
                history.held.push((asked.key.member, grant));
            }
        }
        assert_eq!(one.standing(one.now), other.standing(other.now));
    }
}

/// Members that run different versions must not agree to share. What a history leaves is known for each layout version: if
/// this fails, core decides otherwise than it did, or writes otherwise, and `VERSION` has to rise with these words.
#[test]
fn what_a_layout_version_means_does_not_change() {
    let (mut history, mut replica) = History::new(7);
    for _ in 0..300 {
        let (now, op) = history.op();
        if let (Effect::Granted(grant), Op::Ask(asked)) = (replica.apply(now, &op), &op) {
            history.held.push((asked.key.member, grant));
        }
    }
    let digest = words(&replica).iter().fold(0_u64, |sum, word| (sum ^ word).wrapping_mul(0x100_0000_01b3));
    assert_eq!((crate::VERSION, digest), (4, 3_970_872_350_989_295_759), "see above");
}

#[test]
fn an_outcome_that_names_a_limit_beyond_the_last_is_none() {
    let (_, mut replica) = History::new(1);
    let mut told = |limit| {
        let refused = Verdict::Refused(Refusal::TooLarge { limit, asked: 2, capacity: 1 });
        replica.unclaimed.insert(7, (Member::of(1).unwrap(), refused));
        Replica::read(&mut Words::new(&words(&replica))).is_some()
    };
    assert!(told(3) && !told(4));
}

/// Whatever the words are, reading them and going on with what was read neither panics nor hangs.
#[test]
fn wrong_words_harm_nobody() {
    let (mut read, mut refused) = (0, 0);
    for seed in 0..soaked(300) {
        let (mut history, mut replica) = History::new(seed);
        for _ in 0..60 {
            let (now, op) = history.op();
            if let (Effect::Granted(grant), Op::Ask(asked)) = (replica.apply(now, &op), &op) {
                history.held.push((asked.key.member, grant));
            }
        }
        let mut image = words(&replica);
        let mut random = SmallRng::seed_from_u64(seed);
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..image.len());
            image[at] = match random.random_range(0..4) {
                0 => random.random(),
                1 => random.random_range(0..20),
                2 => u64::MAX - random.random_range(0..3),
                _ => image[at] ^ 1 << random.random_range(0..64),
            };
        }
        let went = catch_unwind(AssertUnwindSafe(|| {
            let Some(mut replica) = Replica::read(&mut Words::new(&image)) else { return false };
            for _ in 0..60 {
                let (now, op) = history.op();
                let mut record = words(&op);
                let at = history.random.random_range(0..record.len());
                if history.random.random_bool(0.3) {
                    record[at] = [u64::MAX, 0, history.random.random()][history.random.random_range(0..3)];
                }
                let Some(op) = Op::read(&mut Words::new(&record)) else { continue };
                if replica.can_apply(now, &op) {
                    let _ = replica.apply(now, &op);
                    let _ = replica.standing(now);
                }
            }
            true
        }));
        match went {
            Ok(true) => read += 1,
            Ok(false) => refused += 1,
            Err(_) => panic!("seed {seed} panics"),
        }
    }
    assert!(read > 20 && refused > 20, "{read} were read, {refused} refused");
}
