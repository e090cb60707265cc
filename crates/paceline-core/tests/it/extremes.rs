//! Numbers at the ends of their ranges: nothing overflows, nothing stays for ever.

use std::time::Duration;

use paceline_core::{Algorithm, Anchor, Demand, Events, Grant, Limit, Quota, Reset, ServerState, Set, Time};

use crate::rng::{Rng, rounds};
use crate::support::{Bench, secs};

const HUGE: [u64; 6] = [u64::MAX, u64::MAX - 1, u64::MAX / 2, 1 << 40, 1, 0];

fn quota(rng: &mut Rng) -> Quota {
    let amount = (*rng.pick(&HUGE)).max(1);
    let period = *rng.pick(&[i64::MAX as u64, i64::MAX as u64 - 1, 1, 1_000_000_007]);
    let quota = Quota::new(amount, Duration::from_nanos(period));
    match rng.below(8) {
        0 => quota,
        1 => quota.paced((*rng.pick(&HUGE)).max(1)),
        2 => quota.anchor(Anchor::Completion),
        3 => quota.burst((*rng.pick(&HUGE)).max(1)),
        4 => quota.algorithm(Algorithm::LeakyBucket),
        5 => quota.algorithm(Algorithm::SlidingCounter),
        6 => quota.algorithm(Algorithm::FixedWindow).resets_in(Duration::from_nanos(rng.next())),
        _ => quota.algorithm(Algorithm::FixedWindow),
    }
}

#[test]
fn no_numbers_make_it_panic() {
    for seed in 0..rounds(400) {
        let mut rng = Rng::new(seed ^ 0xF0);
        let mut now = Time::ZERO;
        let limits = vec![Limit::rate(quota(&mut rng), now).expect("valid"), Bench::resource(u64::MAX)];
        let mut bench = Bench::new(limits);
        let mut out: Vec<Grant> = Vec::new();
        for _ in 0..60 {
            bench.now = now;
            let units = *rng.pick(&HUGE);
            match rng.below(9) {
                0 => now = now + Duration::from_nanos(*rng.pick(&HUGE)),
                1 => now = now + Duration::from_nanos(rng.below(2_000_000_000)),
                2 => out.extend(bench.attempt([(0, units), (1, units)])),
                3 => drop(bench.enqueue([(0, units), (1, 1)])),
                4 => {
                    if let Some(mut grant) = out.pop() {
                        bench.settle(&mut grant, rng.below(2) as u16, units);
                        out.push(grant);
                    }
                }
                5 => {
                    if let Some(grant) = out.pop() {
                        bench.release(&grant);
                    }
                }
                6 => {
                    let quota = quota(&mut rng);
                    bench.set.set_quota(now, 0, quota, &mut bench.events).expect("valid");
                }
                7 => {
                    let reset = Some(Reset::Window(Duration::from_nanos(*rng.pick(&HUGE))));
                    let (limit, remaining) = (Some(*rng.pick(&HUGE)), Some(*rng.pick(&HUGE)));
                    let state = ServerState { limit, remaining, reset, authoritative: rng.one_in(2) };
                    bench.set.sync(now, 0, &state, out.last(), &mut bench.events).expect("a rate");
                }
                _ => bench.pump(),
            }
            let _ = bench.set.view(now);
        }
    }
}

#[test]
fn a_window_forgets_even_what_no_counter_can_hold() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10))]);
    let mut first = bench.take([(0, 1)]);
    bench.now = secs(1);
    let mut second = bench.take([(0, 1)]);
    bench.settle(&mut first, 0, u64::MAX);
    bench.settle(&mut second, 0, u64::MAX);
    bench.now = secs(59);
    assert!(bench.attempt([(0, 1)]).is_err());
    bench.now = secs(61);
    assert_eq!(bench.used(0), 0);
    assert!(bench.attempt([(0, 10)]).is_ok());
}

#[test]
fn an_empty_demand_and_an_empty_set_never_wait() {
    let mut events = Events::default();
    let mut bench = Bench::new(vec![Bench::resource(1)]);
    let _held = bench.take([(0, 1)]);
    let _waits = bench.enqueue([(0, 1)]);
    assert!(bench.attempt([]).is_ok());
    let mut empty = Set::<()>::new(1, []);
    let order = bench.order(Default::default());
    let decision = empty.try_acquire(Time::ZERO, &mut Demand::default(), order, &mut events);
    assert_eq!(decision, paceline_core::Decision::Granted);
}

#[test]
fn time_that_goes_back_counts_as_the_latest_seen() {
    for algorithm in [
        Algorithm::SlidingWindow,
        Algorithm::TokenBucket,
        Algorithm::Gcra,
        Algorithm::LeakyBucket,
        Algorithm::SlidingCounter,
        Algorithm::FixedWindow,
    ] {
        let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).algorithm(algorithm))]);
        bench.now = secs(10);
        let _all = bench.take([(0, 10)]);
        bench.now = secs(5);
        assert!(bench.attempt([(0, 10)]).is_err(), "{algorithm:?}");
        bench.now = secs(12);
        assert!(bench.attempt([(0, 1)]).is_ok(), "{algorithm:?}");
    }
}
