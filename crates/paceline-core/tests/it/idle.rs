//! Never idle: with a backlog, an hour of virtual time uses 99.5 % of the guarded quota, and no window is over.

use std::time::Duration;

use paceline_core::{
    Algorithm, Anchor, Arrival, Demand, Events, Limit, Order, Outcome, Priority, Quota, Set, Ticket, Time, Waiter,
};

use crate::support::Bench;

const HOUR: u64 = 3_600_000_000_000;

/// Grants of an hour in which somebody always waits, each asking for the next of `sizes`.
fn backlog(quota: Quota, sizes: &[u64], latency: u64) -> Vec<(u64, u64)> {
    let mut bench = Bench::new(vec![Bench::rate(quota)]);
    let mut sizes = sizes.iter().copied().cycle();
    let mut waits: Vec<(Ticket, u64)> = Vec::new();
    let mut out = std::collections::VecDeque::new();
    let mut granted = Vec::new();
    loop {
        while waits.len() < 3 {
            let units = sizes.next().expect("cycles");
            waits.push((bench.enqueue([(0, units)]), units));
        }
        waits.retain(|(ticket, units)| match bench.set.collect(*ticket) {
            Some(Outcome::Granted(grant)) => {
                granted.push((bench.now.as_nanos(), *units));
                out.push_back((bench.now + Duration::from_nanos(latency), grant));
                false
            }
            Some(other) => panic!("{other:?}"),
            None => true,
        });
        if waits.len() < 3 {
            continue;
        }
        let returns = out.front().map(|(due, _)| *due);
        let next = [bench.set.next(), returns].into_iter().flatten().min().expect("something is to come");
        if next >= Time::from_nanos(HOUR) {
            return granted;
        }
        bench.now = next;
        match out.front() {
            Some((due, _)) if *due == next => {
                let (_, grant) = out.pop_front().expect("it is there");
                bench.release(&grant);
            }
            _ => bench.pump(),
        }
    }
}

fn fullest(granted: &[(u64, u64)], period: u64) -> u64 {
    let (mut from, mut sum, mut worst) = (0, 0, 0);
    for (at, units) in granted {
        sum += units;
        while granted[from].0 + period <= *at {
            sum -= granted[from].1;
            from += 1;
        }
        worst = worst.max(sum);
    }
    worst
}

/// The guarantee in any window, for demands of at most `largest`.
fn guarantee(quota: &Quota, largest: u64) -> u64 {
    match quota.kind() {
        Algorithm::TokenBucket | Algorithm::Gcra => quota.amount() + quota.capacity(),
        Algorithm::LeakyBucket => quota.amount() + largest,
        Algorithm::SlidingCounter => 2 * quota.amount(),
        Algorithm::FixedWindow => 2 * quota.amount(),
        _ => quota.amount(),
    }
}

/// Uses at least 99.5 % of what is usable in each period: the amount, less what the sizes alone make impossible.
fn assert_used(quota: Quota, sizes: &[u64], usable: u64) {
    let granted = backlog(quota, sizes, 0);
    let period = (quota.period() + quota.guard_pad()).as_nanos() as u64;
    let total: u64 = granted.iter().map(|(_, units)| units).sum();
    let ideal = u128::from(usable) * u128::from(HOUR) / u128::from(period);
    assert!(u128::from(total) * 1_000 >= ideal * 995, "{quota:?}: {total} of {ideal} units in an hour");
    let worst = fullest(&granted, period);
    let most = guarantee(&quota, *sizes.iter().max().expect("sizes"));
    assert!(worst <= most, "{quota:?}: {worst} in one window");
}

fn single_units_use_the_whole_quota(algorithm: Algorithm) {
    for quota in [
        Quota::new(100, Duration::from_secs(10)),
        Quota::per_minute(1_000),
        Quota::new(7, Duration::from_secs(3)),
        Quota::new(7, Duration::from_secs(3)).guard(Duration::from_millis(50)),
    ] {
        assert_used(quota.algorithm(algorithm), &[1], quota.amount());
    }
}

#[test]
fn a_sliding_window_is_never_idle() {
    single_units_use_the_whole_quota(Algorithm::SlidingWindow);
}

#[test]
fn a_token_bucket_is_never_idle() {
    single_units_use_the_whole_quota(Algorithm::TokenBucket);
}

#[test]
fn gcra_is_never_idle() {
    single_units_use_the_whole_quota(Algorithm::Gcra);
}

#[test]
fn a_leaky_bucket_is_never_idle() {
    single_units_use_the_whole_quota(Algorithm::LeakyBucket);
}

#[test]
fn a_sliding_counter_is_never_idle() {
    single_units_use_the_whole_quota(Algorithm::SlidingCounter);
}

#[test]
fn a_fixed_window_is_never_idle() {
    single_units_use_the_whole_quota(Algorithm::FixedWindow);
}

#[test]
fn a_paced_window_uses_its_whole_quota() {
    for quota in [Quota::per_minute(1_000), Quota::new(7, Duration::from_secs(3))] {
        assert_used(quota.paced(1), &[1], quota.amount());
        assert_used(quota.paced(5), &[1], quota.amount());
    }
}

#[test]
fn a_coalesced_log_loses_a_thousandth_at_most() {
    let quota = Quota::per_minute(60_000);
    assert_used(quota, &[7, 131, 30, 1, 59], quota.amount() - 131);
    assert_used(quota.paced(500), &[7, 131, 30, 1, 59], quota.amount() - 131);
}

#[test]
fn heavy_demands_use_all_that_their_size_leaves() {
    use Algorithm as A;
    for algorithm in [A::SlidingWindow, A::TokenBucket, A::Gcra, A::LeakyBucket, A::SlidingCounter, A::FixedWindow] {
        // Buckets save up between demands; in windows only three fit, and what is left of one is lost.
        let usable = match algorithm {
            A::SlidingWindow | A::FixedWindow | A::SlidingCounter => 900,
            _ => 1_000,
        };
        assert_used(Quota::per_minute(1_000).algorithm(algorithm), &[300], usable);
    }
}

/// The price of holding charges until completion: latency ÷ (period + latency).
#[test]
fn holding_until_completion_costs_what_it_says() {
    for latency in [0, 40_000_000, 1_000_000_000] {
        let quota = Quota::new(100, Duration::from_secs(10)).anchor(Anchor::Completion);
        let granted = backlog(quota, &[1], latency);
        let total: u64 = granted.iter().map(|(_, units)| units).sum();
        let ideal = u128::from(quota.amount()) * u128::from(HOUR) / u128::from(10_000_000_000 + latency);
        assert!(u128::from(total) * 1_000 >= ideal * 995, "{total} of {ideal} at {latency} ns");
        assert!(fullest(&granted, 10_000_000_000 + latency) <= 100);
    }
}

#[test]
fn two_limits_at_once_use_the_one_that_binds() {
    let tokens = Quota::per_minute(150_000);
    let calls = Quota::per_minute(500);
    let mut bench = Bench::new(vec![Bench::rate(calls), Bench::rate(tokens)]);
    let (mut granted, mut waits) = (0_u64, Vec::new());
    loop {
        while waits.len() < 2 {
            waits.push(bench.enqueue([(0, 1), (1, 1_000)]));
        }
        let before = waits.len();
        waits.retain(|ticket| bench.set.collect(*ticket).is_none());
        granted += (before - waits.len()) as u64;
        if waits.len() < 2 {
            continue;
        }
        bench.now = bench.set.next().expect("somebody waits");
        if bench.now >= Time::from_nanos(HOUR) {
            break;
        }
        bench.pump();
    }
    assert!(granted * 1_000 >= 150 * 60 * 995, "{granted} of {} in an hour", 150 * 60);
}

/// Who keeps the time may come late. One unit's interval of that is made up for, and not more.
#[test]
fn a_late_timer_is_made_up_for_by_one_interval_at_most() {
    let ms = |ms: u64| Time::from_nanos(ms * 1_000_000);
    for quota in [Quota::per_second(100).algorithm(Algorithm::LeakyBucket), Quota::per_second(100).burst(1)] {
        let mut set = Set::<()>::new(1, [Limit::rate(quota, ms(0)).expect("a good quota")]);
        let mut events = Events::default();
        for number in 0..4 {
            let order = Order::new(Arrival { at: ms(0), number }, Priority::Normal);
            let demand: Demand = [(0, 1)].into_iter().collect();
            let waiter = Waiter { demand, order, deadline: None, party: None, waker: Some(()) };
            let _ = set.enqueue(ms(0), waiter, &mut events);
        }
        assert_eq!((set.waiting(), set.next()), (3, Some(ms(10))));
        set.pump(ms(14), &mut events);
        assert_eq!((set.waiting(), set.next()), (2, Some(ms(20))), "4 ms late: as if on time");
        set.pump(ms(55), &mut events);
        assert_eq!((set.waiting(), set.next()), (0, None), "35 ms late: one at its time, one made up for");
    }
}
