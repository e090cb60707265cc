//! Correcting a charge: debt, refunds in time and too late, keys that were not demanded.

use std::time::Duration;

use paceline_core::{Algorithm, Anchor, Decision, Quota, Time};

use crate::support::{Bench, secs};

fn millis(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

#[test]
fn an_overrun_makes_later_demands_wait() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(1_000))]);
    let mut grant = bench.take([(0, 100)]);
    bench.now = secs(10);
    bench.settle(&mut grant, 0, 1_500);
    let view = bench.set.view(bench.now).limits[0];
    assert_eq!((view.used, view.available, view.debt), (1_500, 0, 500));
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_secs(50))), "from the admission on");
    assert_eq!(grant.charged.units(0), Some(1_500));
}

#[test]
fn a_bucket_in_debt_drains_it_first() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).burst(10))]);
    let mut grant = bench.take([(0, 10)]);
    bench.settle(&mut grant, 0, 30);
    assert_eq!(bench.set.view(bench.now).limits[0].debt, 20);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_millis(2_100))));
}

#[test]
fn a_refund_within_the_window_is_exact() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(1_000))]);
    let mut early = bench.take([(0, 600)]);
    bench.now = secs(30);
    let _late = bench.take([(0, 400)]);
    let waits = bench.enqueue([(0, 350)]);
    bench.now = secs(59);
    bench.settle(&mut early, 0, 250);
    assert_eq!(early.charged.units(0), Some(250));
    assert!(bench.granted(waits).is_some(), "what came back is given on at once");
    assert_eq!(bench.available(0), 0);
}

#[test]
fn a_refund_after_the_window_brings_nothing() {
    let quota = Quota::per_minute(1_000);
    let fixed = quota.algorithm(Algorithm::FixedWindow);
    let counter = quota.algorithm(Algorithm::SlidingCounter);
    for quota in [quota, fixed, counter, quota.algorithm(Algorithm::TokenBucket)] {
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        let mut early = bench.take([(0, 600)]);
        bench.now = secs(120);
        let _late = bench.take([(0, 400)]);
        let before = bench.used(0);
        bench.settle(&mut early, 0, 0);
        assert_eq!(early.charged.units(0), Some(600), "{quota:?}: the grant says what stands");
        assert_eq!(bench.used(0), before, "{quota:?}: and nobody else's charge is touched");
    }
}

#[test]
fn a_bucket_refunds_what_has_not_drained_of_the_charge() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).burst(20))]);
    let mut first = bench.take([(0, 10)]);
    let mut second = bench.take([(0, 10)]);
    bench.now = millis(700);
    bench.settle(&mut first, 0, 0);
    assert_eq!(first.charged.units(0), Some(7), "seven have drained, first in first out");
    bench.settle(&mut second, 0, 4);
    assert_eq!(second.charged.units(0), Some(4));
    assert_eq!(bench.used(0), 4);
}

#[test]
fn the_last_call_wins() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(1_000)), Bench::resource(10)]);
    let mut grant = bench.take([(0, 100), (1, 2)]);
    for actual in [40, 90, 7, 300, 0, 55] {
        bench.settle(&mut grant, 0, actual);
        bench.settle(&mut grant, 1, actual % 10);
        assert_eq!((bench.used(0), bench.used(1)), (actual, actual % 10));
    }
    bench.release(&grant);
    assert_eq!((bench.used(0), bench.used(1)), (55, 0));
}

#[test]
fn a_key_that_was_not_demanded_is_charged_in_full_and_can_be_corrected() {
    let window = Quota::per_minute(1_000);
    for quota in
        [window, window.burst(1_000), window.algorithm(Algorithm::FixedWindow), window.anchor(Anchor::Completion)]
    {
        let mut bench = Bench::new(vec![Bench::rate(window), Bench::rate(quota)]);
        let mut grant = bench.take([(0, 1)]);
        bench.now = secs(1);
        let _other = bench.take([(1, 20)]);
        bench.settle(&mut grant, 1, 100);
        assert_eq!(bench.used(1), 120, "{quota:?}");
        bench.settle(&mut grant, 1, 30);
        assert_eq!((grant.charged.units(1), bench.used(1)), (Some(30), 50), "{quota:?}");
        bench.release(&grant);
    }
}

#[test]
fn a_window_counts_what_was_not_demanded_from_the_admission() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10)), Bench::rate(Quota::per_minute(10))]);
    let mut grant = bench.take([(0, 1)]);
    bench.now = secs(20);
    let _other = bench.take([(1, 4)]);
    bench.settle(&mut grant, 1, 6);
    assert_eq!(bench.attempt([(1, 1)]), Err(Decision::Wait(Duration::from_secs(40))));
}

/// Demands that come to nothing leave nothing behind, however many: the log stays exact to the nanosecond.
#[test]
fn refunded_charges_do_not_blur_a_log() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(10))]);
    for nanos in 0..5_000 {
        bench.now = Time::from_nanos(nanos);
        let grant = bench.take([(0, 10)]);
        bench.set.undo(bench.now, grant);
    }
    bench.now = Time::from_nanos(5_000);
    let _first = bench.take([(0, 5)]);
    bench.now = secs(30);
    let _second = bench.take([(0, 5)]);
    assert_eq!(bench.attempt([(0, 5)]), Err(Decision::Wait(Duration::from_nanos(30_000_005_000))));
}

#[test]
fn undoing_a_grant_leaves_no_trace() {
    let limits =
        vec![Bench::resource(3), Bench::rate(Quota::per_minute(5)), Bench::rate(Quota::per_second(5).burst(9))];
    let mut bench = Bench::new(limits);
    let before = bench.set.view(bench.now);
    let grant = bench.take([(0, 2), (1, 3), (2, 9)]);
    bench.set.undo(bench.now, grant);
    assert_eq!(bench.set.view(bench.now), before);
}

#[test]
fn held_charges_leave_one_period_after_the_answer() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(2).anchor(Anchor::Completion))]);
    let (first, mut second) = (bench.take([(0, 1)]), bench.take([(0, 1)]));
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::MAX)));
    let waits = bench.enqueue([(0, 1)]);
    bench.now = secs(100);
    bench.release(&first);
    assert_eq!(bench.set.next(), Some(secs(160)));
    bench.now = secs(130);
    bench.settle(&mut second, 0, 0);
    assert!(bench.granted(waits).is_some(), "a held charge can be refunded however long it was out");
    bench.release(&second);
}
