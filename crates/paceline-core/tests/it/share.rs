//! What several keep by their shares of a set that they know and cannot reach, by a plain list of what was granted.

use std::num::NonZeroU64;
use std::time::Duration;

use paceline_core::{Algorithm, Anchor, ChangeError, Demand, Events, Grant, Quota, Set, Time};

use crate::rng::{Rng, rounds};
use crate::support::{Bench, at, nanos};

const PERIOD: u64 = 10_007;

fn bucket(kind: Algorithm) -> bool {
    matches!(kind, Algorithm::TokenBucket | Algorithm::Gcra)
}

fn quota(rng: &mut Rng) -> Quota {
    let quota = Quota::new(*rng.pick(&[1, 2, 7, 61, 997, 5_003]), nanos(PERIOD)).algorithm(*rng.pick(&Algorithm::ALL));
    match quota.kind() {
        kind if bucket(kind) => quota.burst(rng.within(1, 2 * quota.amount())),
        Algorithm::SlidingWindow if rng.one_in(3) => quota.paced(rng.within(1, quota.amount())),
        Algorithm::SlidingWindow if rng.one_in(3) => quota.anchor(Anchor::Completion),
        _ => quota,
    }
}

/// Lets random demands at it for a while, which end at once; notes what was granted when.
fn live(bench: &mut Bench, rng: &mut Rng, most: u64, end: Time, granted: &mut Vec<(u64, u64)>) {
    loop {
        let then = bench.now + nanos(rng.below(PERIOD / 10));
        if then > end {
            break;
        }
        bench.now = then;
        let units = rng.within(1, most.max(1));
        if let Ok(grant) = bench.attempt([(0, units)]) {
            granted.push((bench.now.as_nanos(), units));
            bench.release(&grant);
        }
    }
    bench.now = end;
}

/// No window holds more than the algorithm promises where there is one set.
fn holds(quota: Quota, granted: &mut [(u64, u64)], began: u64) -> Result<(), String> {
    granted.sort_unstable();
    let amount = u128::from(quota.amount());
    for (first, (from, _)) in granted.iter().enumerate() {
        let mut sum = 0;
        for (to, units) in &granted[first..] {
            sum += u128::from(*units);
            let (length, same) = (to - from, (to - began) / PERIOD == (from - began) / PERIOD);
            let most = match quota.kind() {
                kind if bucket(kind) => u128::from(quota.capacity()) + amount * u128::from(length) / u128::from(PERIOD),
                Algorithm::FixedWindow if same => amount,
                Algorithm::SlidingWindow if length < PERIOD => amount,
                Algorithm::SlidingCounter if length < PERIOD => 2 * amount,
                // A share of it is all or nothing.
                _ => continue,
            };
            if sum > most {
                return Err(format!("{sum} units from {from} to {to}, not {most}"));
            }
        }
    }
    Ok(())
}

fn shares(bench: &Bench, members: u64, held: &Demand) -> Vec<Bench> {
    let count = NonZeroU64::new(members).unwrap();
    let share = |_| Bench { set: bench.set.share(bench.now, count, held), now: bench.now, ..Bench::new(vec![]) };
    (0..members).map(share).collect()
}

#[test]
fn shares_of_a_rate_never_exceed_it_together() {
    let mut some = 0;
    for seed in 0..rounds(600) {
        let mut rng = Rng::new(seed ^ 0x5A6E);
        let (quota, members) = (quota(&mut rng), rng.within(1, 6));
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        let (began, mut granted) = (bench.now.as_nanos(), Vec::new());
        let (before, after) = (rng.below(3 * PERIOD), rng.below(3 * PERIOD));
        let (most, end) = (quota.amount().div_ceil(6), bench.now + nanos(before));
        live(&mut bench, &mut rng, most, end, &mut granted);
        let known = granted.len();
        for mut share in shares(&bench, members, &Demand::default()) {
            live(&mut share, &mut rng, most.div_ceil(members), bench.now + nanos(after), &mut granted);
        }
        some += usize::from(granted.len() > known);
        let held = holds(quota, &mut granted, began);
        assert!(held.is_ok(), "seed {seed}, {members} of {quota:?}: {held:?}");
    }
    assert!(some > 200, "{some} were granted anything");
}

#[test]
fn shares_of_a_resource_never_exceed_it_together() {
    for seed in 0..rounds(300) {
        let mut rng = Rng::new(seed ^ 0x5A6F);
        let (capacity, members) = (rng.within(1, 40), rng.within(1, 6));
        let mut bench = Bench::new(vec![Bench::resource(capacity)]);
        let mut held: Vec<Vec<Grant>> = (0..members).map(|_| Vec::new()).collect();
        for _ in 0..rng.below(10) {
            let owner = rng.below(members) as usize;
            held[owner].extend(bench.attempt([(0, rng.within(1, capacity))]));
        }
        let sum = |grants: &[Grant]| grants.iter().filter_map(|grant| grant.charged.units(0)).sum::<u64>();
        let count = NonZeroU64::new(members).unwrap();
        let mut alone: Vec<_> = held
            .iter()
            .map(|held| {
                let set = bench.set.share(bench.now, count, &[(0, sum(held))].into_iter().collect());
                Bench { set, now: bench.now, ..Bench::new(vec![]) }
            })
            .collect();
        for _ in 0..200 {
            let who = rng.below(members) as usize;
            if rng.one_in(2) && !held[who].is_empty() {
                let at = rng.below(held[who].len() as u64) as usize;
                let grant = held[who].swap_remove(at);
                alone[who].release(&grant);
            } else if let Ok(grant) = alone[who].attempt([(0, rng.within(1, capacity.div_ceil(members)))]) {
                held[who].push(grant);
            }
            let out: u64 = held.iter().map(|held| sum(held)).sum();
            assert!(out <= capacity, "seed {seed}: {out} of {capacity}");
        }
    }
}

/// By one list of before, while they were alone and after.
#[test]
fn a_set_that_is_told_of_the_shares_goes_on_within_its_limit() {
    for seed in 0..rounds(600) {
        let mut rng = Rng::new(seed ^ 0x5A70);
        let (quota, members) = (quota(&mut rng), rng.within(1, 6));
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        let (began, mut granted) = (bench.now.as_nanos(), Vec::new());
        let most = quota.amount().div_ceil(6);
        let spans = [rng.below(2 * PERIOD), rng.below(2 * PERIOD), rng.below(2 * PERIOD)];
        let end = bench.now + nanos(spans[0]);
        live(&mut bench, &mut rng, most, end, &mut granted);
        let back = bench.now + nanos(spans[1]);
        let alone = shares(&bench, members, &Demand::default());
        bench.now = back;
        for mut share in alone {
            let mut own = Vec::new();
            live(&mut share, &mut rng, most.div_ceil(members), back, &mut own);
            let past: Vec<_> = own.iter().map(|(at, units)| (nanos(back.as_nanos() - at), *units)).collect();
            bench.set.charge_past(back, 0, past, &mut bench.events).expect("it is a rate");
            granted.extend(own);
        }
        live(&mut bench, &mut rng, most, back + nanos(spans[2]), &mut granted);
        let held = holds(quota, &mut granted, began);
        assert!(held.is_ok(), "seed {seed}, {members} of {quota:?}: {held:?}");
    }
}

#[test]
fn what_one_used_alone_counts_at_its_age() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::new(10, nanos(100))), Bench::resource(1)]);
    bench.now = at(1_000);
    let past = [(nanos(150), 5), (nanos(60), 12), (nanos(10), 1)];
    bench.set.charge_past(bench.now, 0, past, &mut bench.events).expect("it is a rate");
    assert_eq!(bench.used(0), 13, "what has left the window counts no more, and the rest may be a debt");
    bench.now = at(1_039);
    assert_eq!((bench.used(0), bench.available(0)), (13, 0));
    bench.now = at(1_040);
    assert_eq!((bench.used(0), bench.available(0)), (1, 9));
    let told = bench.set.charge_past(bench.now, 1, [], &mut bench.events);
    assert!(matches!(told, Err(ChangeError::NotARate)));
}

#[test]
fn a_share_of_nothing_grants_nothing() {
    let quotas = [
        Quota::per_second(2),
        Quota::per_second(9).burst(2),
        Quota::per_second(9).paced(2),
        Quota::per_second(9).algorithm(Algorithm::LeakyBucket),
    ];
    for quota in quotas {
        let bench = Bench::new(vec![Bench::rate(quota), Bench::resource(2)]);
        for mut share in shares(&bench, 3, &Demand::default()) {
            share.now = share.now + Duration::from_secs(60);
            assert!(share.attempt([(0, 1)]).is_err() && share.attempt([(1, 1)]).is_err(), "{quota:?}");
        }
        let mut alone = shares(&bench, 1, &Demand::default()).remove(0);
        assert!(alone.attempt([(0, 1), (1, 1)]).is_ok(), "one of one has all of it");
    }
}

#[test]
fn a_closed_gate_stays_closed_for_shares() {
    let mut bench = Bench::new(vec![Bench::resource(2)]);
    bench.set.pause(bench.now, nanos(50), &mut bench.events);
    let mut share: Set<u64> = bench.set.share(bench.now, NonZeroU64::MIN, &Demand::default());
    let mut events = Events::default();
    assert_eq!(share.view(bench.now).paused, Some(nanos(50)));
    share.close(&mut events);
    assert!(share.view(bench.now).closed && !bench.set.view(bench.now).closed);
}
