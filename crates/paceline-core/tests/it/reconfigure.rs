//! Changing limits while they are in use.

use std::time::Duration;

use paceline_core::{Algorithm, Anchor, ChangeError, Decision, Limit, Outcome, Quota, QuotaError, Refusal, Time};

use crate::support::{Bench, secs};

impl Bench {
    fn resize(&mut self, limit: u16, capacity: u64) {
        self.set.set_capacity(self.now, limit, capacity, &mut self.events).expect("a good capacity");
        self.settle_events();
    }

    fn requota(&mut self, limit: u16, quota: Quota) {
        self.set.set_quota(self.now, limit, quota, &mut self.events).expect("a good quota");
        self.settle_events();
    }
}

/// A seed swaps the limiter for a smaller one while permits are out: ten calls under a limit of two.
#[test]
fn shrinking_below_what_is_out_is_a_debt_that_returns_pay() {
    let mut bench = Bench::new(vec![Bench::resource(10)]);
    let out: Vec<_> = (0..10).map(|_| bench.take([(0, 1)])).collect();
    bench.resize(0, 2);
    let view = bench.set.view(bench.now).limits[0];
    assert_eq!((view.capacity, view.used, view.available, view.debt), (2, 10, 0, 8));
    let waits = bench.enqueue([(0, 1)]);
    for grant in &out[..8] {
        bench.release(grant);
        assert!(bench.set.is_waiting(waits), "the debt is not paid");
    }
    bench.release(&out[8]);
    assert!(bench.granted(waits).is_some());
    assert_eq!(bench.used(0), 2);
}

#[test]
fn growing_lets_those_in_who_wait() {
    let mut bench = Bench::new(vec![Bench::resource(1)]);
    let _out = bench.take([(0, 1)]);
    let tickets = [bench.enqueue([(0, 1)]), bench.enqueue([(0, 1)])];
    bench.resize(0, 3);
    assert_eq!(bench.woken, [2, 3]);
    assert!(tickets.into_iter().all(|ticket| bench.granted(ticket).is_some()));
}

#[test]
fn shrinking_below_a_demand_that_waits_fails_it_at_once() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(100)), Bench::resource(10)]);
    let _out = bench.take([(0, 100), (1, 10)]);
    let (large, small) = (bench.enqueue([(1, 8)]), bench.enqueue([(1, 3)]));
    bench.resize(1, 7);
    let refusal = Refusal::TooLarge { limit: 1, asked: 8, capacity: 7 };
    assert_eq!(bench.set.collect(large), Some(Outcome::Refused(refusal)));
    assert!(bench.set.is_waiting(small));

    let rate = bench.enqueue([(0, 60)]);
    bench.requota(0, Quota::per_minute(50));
    let refusal = Refusal::TooLarge { limit: 0, asked: 60, capacity: 50 };
    assert_eq!(bench.set.collect(rate), Some(Outcome::Refused(refusal)));
    assert_eq!(bench.woken, [2, 4]);
}

#[test]
fn a_smaller_burst_also_fails_what_it_cannot_hold() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).burst(20))]);
    let _out = bench.take([(0, 20)]);
    let waits = bench.enqueue([(0, 15)]);
    bench.requota(0, Quota::per_second(10).burst(5));
    let refusal = Refusal::TooLarge { limit: 0, asked: 15, capacity: 5 };
    assert_eq!(bench.set.collect(waits), Some(Outcome::Refused(refusal)));
}

#[test]
fn a_change_that_cannot_be_kept_changes_nothing() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(5)), Bench::resource(5)]);
    let before = bench.set.view(bench.now);
    let events = &mut bench.events;
    let zero = bench.set.set_quota(bench.now, 0, Quota::per_minute(0), events);
    assert_eq!(zero, Err(ChangeError::Quota(QuotaError::ZeroAmount)));
    assert_eq!(bench.set.set_capacity(bench.now, 1, 0, events), Err(ChangeError::ZeroCapacity));
    assert_eq!(bench.set.set_capacity(bench.now, 0, 3, events), Err(ChangeError::NotAResource));
    assert_eq!(bench.set.set_quota(bench.now, 1, Quota::per_minute(1), events), Err(ChangeError::NotARate));
    assert_eq!(bench.set.view(bench.now), before);
}

#[test]
fn quotas_that_cannot_be_kept_are_named() {
    let quota = Quota::per_second(5);
    let no_meaning = |option, algorithm| Err(QuotaError::NoMeaning { option, algorithm });
    let long = Duration::from_secs(400 * 365 * 86_400);
    for (quota, expected) in [
        (Quota::per_second(0), Err(QuotaError::ZeroAmount)),
        (Quota::new(1, Duration::ZERO), Err(QuotaError::ZeroPeriod)),
        (Quota::new(1, long), Err(QuotaError::PeriodTooLong(long))),
        (quota.burst(0), Err(QuotaError::ZeroBurst)),
        (quota.paced(0), Err(QuotaError::ZeroBurst)),
        (quota.algorithm(Algorithm::LeakyBucket).burst(3), no_meaning("burst", Algorithm::LeakyBucket)),
        (quota.burst(3).paced(2), no_meaning("paced", Algorithm::TokenBucket)),
        (quota.burst(3).anchor(Anchor::Completion), no_meaning("anchor", Algorithm::TokenBucket)),
        (quota.resets_in(Duration::from_secs(1)), no_meaning("resets_in", Algorithm::SlidingWindow)),
        (quota, Ok(())),
    ] {
        assert_eq!(quota.validate(), expected, "{quota:?}");
        assert_eq!(Limit::rate(quota, Time::ZERO).map(|_| ()), expected);
    }
    assert_eq!(Limit::resource(0).map(|_| ()), Err(ChangeError::ZeroCapacity));
}

#[test]
fn a_log_that_starts_to_coalesce_leaves_in_time() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(1_024))]);
    for nanos in 0..1_024 {
        bench.now = Time::from_nanos(nanos);
        let _unit = bench.take([(0, 1)]);
    }
    bench.requota(0, Quota::per_minute(100_000));
    for second in 1..60 {
        bench.now = secs(second);
        let _units = bench.take([(0, 1_000)]);
    }
    // At most a 1023rd of a minute late, each.
    bench.now = secs(118);
    assert!(bench.used(0) <= 2_000, "{} still counted", bench.used(0));
}

#[test]
fn another_algorithm_keeps_what_stands_and_refunds_none_of_it() {
    let quota = Quota::per_minute(10);
    let completion = quota.anchor(Anchor::Completion);
    let all = [
        quota,
        quota.burst(10),
        quota.algorithm(Algorithm::LeakyBucket),
        quota.algorithm(Algorithm::SlidingCounter),
        quota.algorithm(Algorithm::FixedWindow),
        completion,
    ];
    for from in all {
        for (to, back_before) in all.into_iter().filter(|to| *to != from).flat_map(|to| [(to, false), (to, true)]) {
            let mut bench = Bench::new(vec![Bench::rate(from)]);
            let out = bench.take([(0, 4)]);
            if back_before {
                bench.release(&out);
            }
            bench.now = Time::from_nanos(1);
            bench.requota(0, to);
            assert_eq!(bench.used(0), 4, "{from:?} to {to:?}");
            if !back_before {
                bench.release(&out);
            }
            let left = bench.used(0);
            assert!((4..=8).contains(&left), "{from:?} to {to:?}: {left}");
            // Everything leaves in the end, whatever was out across the change.
            bench.now = secs(240);
            assert_eq!(bench.used(0), 0, "{from:?} to {to:?}: held for ever");
        }
    }
}

#[test]
fn a_permit_from_before_the_change_does_not_end_the_hold_of_another() {
    let quota = Quota::per_minute(10);
    let mut bench = Bench::new(vec![Bench::rate(quota)]);
    let mut before = bench.take([(0, 5)]);
    bench.now = secs(1);
    bench.requota(0, quota.anchor(Anchor::Completion));
    let after = bench.take([(0, 5)]);
    bench.settle(&mut before, 0, 2);
    bench.release(&before);
    assert_eq!(bench.used(0), 7);
    bench.now = secs(200);
    assert_eq!(bench.used(0), 5, "the later one is still out");
    bench.release(&after);
    bench.now = secs(260);
    assert_eq!(bench.used(0), 0);
}

#[test]
fn a_pace_goes_on_through_changes_that_keep_coming() {
    let quota = Quota::per_second(10).paced(1);
    let mut bench = Bench::new(vec![Bench::rate(quota)]);
    let _first = bench.take([(0, 1)]);
    let waits = bench.enqueue([(0, 1)]);
    for step in 1..=10 {
        bench.run_to(Time::from_nanos(step * 10_000_000));
        bench.requota(0, quota);
    }
    assert!(bench.granted(waits).is_some(), "a hundred milliseconds are over");
}

#[test]
fn a_reset_forgets_rates_and_keeps_what_is_out() {
    let limits = || vec![Bench::rate(Quota::per_minute(10)), Bench::resource(3)];
    let mut bench = Bench::new(limits());
    for round in 0..5 {
        bench.now = secs(round);
        let mut before = bench.take([(0, 10), (1, 1)]);
        let waits = bench.enqueue([(0, 10)]);
        bench.set.reset(bench.now, &mut bench.events);
        assert_eq!(bench.used(1), 1);
        let mut after = bench.granted(waits).expect("the rate is free again");
        bench.settle(&mut before, 0, 0);
        assert_eq!(bench.used(0), 10, "round {round}: what was forgotten cannot be refunded");
        bench.release(&before);
        bench.now = Time::from_nanos(bench.now.as_nanos() + 1);
        bench.set.reset(bench.now, &mut bench.events);
        bench.settle(&mut after, 0, 4);
        assert_eq!((bench.used(0), after.charged.units(0)), (0, Some(10)));
        bench.release(&after);
        bench.now = Time::from_nanos(bench.now.as_nanos() + 1);
        let mut fresh = bench.take([(0, 10)]);
        bench.settle(&mut fresh, 0, 3);
        assert_eq!(bench.used(0), 3, "round {round}: a charge after a reset is refunded like any");
        bench.set.reset(bench.now, &mut bench.events);
    }
}

#[test]
fn a_paced_window_has_no_debt_without_an_overrun() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(60).paced(2))]);
    for second in 0..10 {
        bench.now = secs(second);
        let _unit = bench.take([(0, 1)]);
    }
    let view = bench.set.view(bench.now).limits[0];
    assert_eq!((view.capacity, view.used, view.available, view.debt), (2, 10, 1, 0));
}

#[test]
fn a_leaky_bucket_has_nothing_available_until_it_is_empty() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_second(10).algorithm(Algorithm::LeakyBucket))]);
    assert_eq!(bench.available(0), 10);
    let _units = bench.take([(0, 3)]);
    assert_eq!(bench.available(0), 0);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_millis(300))));
}
