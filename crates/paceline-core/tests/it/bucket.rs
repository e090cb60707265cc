//! Token bucket, GCRA, leaky bucket: amount + burst (or + the largest demand) in any window, to the nanosecond.

use paceline_core::{Algorithm, Quota};

use crate::history::{History, May, Noted, fullest};
use crate::plain::{Arrival, Drain, PERIODS, guarded};
use crate::rng::{Rng, rounds};
use crate::support::nanos;

const REFUNDS: May = May { refund: true, overrun: false };
const ALL: May = May { refund: true, overrun: true };

fn bucket(rng: &mut Rng, algorithm: Algorithm) -> Quota {
    let period = *rng.pick(&PERIODS);
    let pad = if rng.one_in(3) { 11 } else { 0 };
    let quota = Quota::new(*rng.pick(&[1, 3, 10, 61, 4_999]), nanos(period - pad)).guard(nanos(pad));
    let quota = quota.algorithm(algorithm);
    let burst = *rng.pick(&[1, 2, 5, 50, 700]);
    if rng.one_in(4) || algorithm == Algorithm::LeakyBucket { quota } else { quota.burst(burst) }
}

/// As if everybody had asked for no more than stands in the end: each would still have been granted.
fn assert_replays(noted: &[Noted], quota: &Quota) {
    let (amount, period) = (u128::from(quota.amount()), u128::from(guarded(quota)));
    let (mut level, mut last) = (0_u128, 0);
    for it in noted {
        level = level.saturating_sub(u128::from(it.at - last) * amount);
        last = it.at;
        if quota.kind() == Algorithm::LeakyBucket {
            assert!(it.net == 0 || level == 0, "{it:?} started in a full bucket");
        } else {
            let full = u128::from(quota.capacity()) * period;
            assert!(level + u128::from(it.net) * period <= full, "{it:?} overflows the bucket");
        }
        level += u128::from(it.net) * period;
    }
}

#[test]
fn token_bucket_keeps_amount_and_burst_and_refunds_what_has_not_drained() {
    let mut steps = 0;
    for seed in 0..rounds(130) {
        let mut rng = Rng::new(seed ^ 0xB0);
        let quota = bucket(&mut rng, Algorithm::TokenBucket);
        let mut history = History::new(seed, quota, Drain::bucket(&quota, quota.capacity()));
        history.run(1_500, REFUNDS);
        let worst = fullest(&history.noted, guarded(&quota));
        assert!(worst <= quota.amount() + quota.capacity(), "seed {seed}: {worst} in one window of {quota:?}");
        assert_replays(&history.noted, &quota);
        steps += history.steps;
    }
    assert!(steps >= 190_000);
}

#[test]
fn token_bucket_stays_exact_through_overruns_and_live_changes() {
    for seed in 0..rounds(80) {
        let mut rng = Rng::new(seed ^ 0xB1);
        let first = bucket(&mut rng, Algorithm::TokenBucket);
        let mut history = History::new(seed, first, Drain::bucket(&first, first.capacity()));
        for _ in 0..10 {
            history.run(150, ALL);
            let next = bucket(&mut rng, Algorithm::TokenBucket);
            history.change(next);
        }
    }
}

#[test]
fn gcra_is_its_own_formula_in_arrival_times() {
    for seed in 0..rounds(70) {
        let mut rng = Rng::new(seed ^ 0xB2);
        let quota = bucket(&mut rng, Algorithm::Gcra);
        let mut history = History::new(seed, quota, Arrival::new(&quota, quota.capacity()));
        history.run(1_500, May::default());
        let worst = fullest(&history.noted, guarded(&quota));
        assert!(worst <= quota.amount() + quota.capacity(), "seed {seed}: {worst} in one window of {quota:?}");
    }
}

#[test]
fn gcra_refunds_as_the_token_bucket_does() {
    for seed in 0..rounds(40) {
        let mut rng = Rng::new(seed ^ 0xB3);
        let quota = bucket(&mut rng, Algorithm::Gcra);
        let mut history = History::new(seed, quota, Drain::bucket(&quota, quota.capacity()));
        history.run(1_500, ALL);
    }
}

#[test]
fn leaky_bucket_starts_a_demand_only_when_empty() {
    for seed in 0..rounds(100) {
        let mut rng = Rng::new(seed ^ 0xB4);
        let quota = bucket(&mut rng, Algorithm::LeakyBucket);
        let mut history = History::new(seed, quota, Drain::leaky(&quota));
        history.run(1_500, REFUNDS);
        let worst = fullest(&history.noted, guarded(&quota));
        let largest = history.noted.iter().map(|it| it.net).max().unwrap_or(0);
        assert!(worst <= quota.amount() + largest, "seed {seed}: {worst} in one window of {quota:?}");
        assert_replays(&history.noted, &quota);
    }
}

#[test]
fn leaky_bucket_stays_exact_through_overruns_and_live_changes() {
    for seed in 0..rounds(40) {
        let mut rng = Rng::new(seed ^ 0xB5);
        let first = bucket(&mut rng, Algorithm::LeakyBucket);
        let mut history = History::new(seed, first, Drain::leaky(&first));
        for _ in 0..10 {
            history.run(150, ALL);
            let next = bucket(&mut rng, Algorithm::LeakyBucket);
            history.change(next);
        }
    }
}
