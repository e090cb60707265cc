//! The service's word: its limit, what it has left, when that comes back.

use std::time::Duration;

use paceline_core::{Algorithm, ChangeError, Decision, Grant, Outcome, Quota, Refusal, Reset, ServerState};

use crate::support::{Bench, secs};

fn left(remaining: u64) -> ServerState {
    ServerState { remaining: Some(remaining), ..ServerState::default() }
}

fn limit(amount: u64) -> ServerState {
    ServerState { limit: Some(amount), ..ServerState::default() }
}

impl Bench {
    fn sync(&mut self, state: ServerState, grant: Option<&Grant>) {
        self.set.sync(self.now, 0, &state, grant, &mut self.events).expect("a rate");
        self.settle_events();
    }
}

fn quotas() -> [Quota; 4] {
    let quota = Quota::per_minute(100);
    [quota, quota.burst(100), quota.algorithm(Algorithm::SlidingCounter), quota.algorithm(Algorithm::FixedWindow)]
}

#[test]
fn what_the_server_has_left_lowers_what_is_available_and_never_raises_it() {
    for quota in quotas() {
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        let _used = bench.take([(0, 30)]);
        bench.sync(left(50), None);
        assert_eq!(bench.available(0), 50, "{quota:?}");
        bench.sync(left(90), None);
        assert_eq!(bench.available(0), 50, "{quota:?}: ours is lower");
        bench.sync(left(0), None);
        assert_eq!(bench.available(0), 0, "{quota:?}");
    }
}

#[test]
fn what_was_charged_since_the_request_it_answers_is_taken_off() {
    for quota in quotas() {
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        let asked = bench.take([(0, 10)]);
        let _since = [bench.take([(0, 5)]), bench.take([(0, 7)])];
        bench.sync(left(40), Some(&asked));
        assert_eq!(bench.available(0), 28, "{quota:?}: 40 − 5 − 7");
    }
}

#[test]
fn its_limit_lowers_ours_until_it_says_otherwise_and_never_raises_it() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(100))]);
    bench.sync(limit(40), None);
    assert_eq!(bench.available(0), 40);
    let refusal = Refusal::TooLarge { limit: 0, asked: 41, capacity: 40 };
    assert_eq!(bench.attempt([(0, 41)]), Err(Decision::Never(refusal)));
    bench.sync(limit(500), None);
    assert_eq!(bench.available(0), 100);
    bench.sync(ServerState { authoritative: true, ..limit(500) }, None);
    assert_eq!(bench.available(0), 500);
    bench.sync(limit(0), None);
    assert_eq!(bench.available(0), 1, "a limit of nothing would end everything");
}

/// A guard that follows the network is no word on the amount.
#[test]
fn its_limit_outlives_a_change_of_the_guard_and_not_one_of_the_amount() {
    for quota in [quotas()[0], quotas()[2], quotas()[3]] {
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        bench.sync(limit(40), None);
        bench.set.set_quota(bench.now, 0, quota.guard(Duration::from_secs(1)), &mut bench.events).unwrap();
        assert_eq!(bench.available(0), 40, "{quota:?}");
        bench.set.set_quota(bench.now, 0, Quota::per_minute(70), &mut bench.events).unwrap();
        assert_eq!(bench.available(0), 70, "{quota:?}: until the next answer");
    }
}

#[test]
fn a_lower_limit_fails_what_waits_for_more() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(100))]);
    let _used = bench.take([(0, 100)]);
    let waits = bench.enqueue([(0, 60)]);
    bench.sync(limit(50), None);
    let refusal = Refusal::TooLarge { limit: 0, asked: 60, capacity: 50 };
    assert_eq!(bench.set.collect(waits), Some(Outcome::Refused(refusal)));
}

#[test]
fn an_authority_also_raises_what_is_available() {
    for quota in quotas() {
        let mut bench = Bench::new(vec![Bench::rate(quota)]);
        let _used = bench.take([(0, 100)]);
        let waits = bench.enqueue([(0, 20)]);
        bench.sync(ServerState { authoritative: true, ..left(60) }, None);
        assert!(bench.granted(waits).is_some(), "{quota:?}");
        assert_eq!(bench.available(0), 40, "{quota:?}");
    }
}

#[test]
fn what_the_server_counts_leaves_a_window_when_it_says() {
    for reset in [Reset::Window(Duration::from_secs(7)), Reset::Full(Duration::from_secs(7))] {
        let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(100))]);
        bench.now = secs(100);
        bench.sync(ServerState { reset: Some(reset), ..left(0) }, None);
        assert_eq!(bench.attempt([(0, 100)]), Err(Decision::Wait(Duration::from_secs(7))));
        bench.now = secs(107);
        assert!(bench.attempt([(0, 100)]).is_ok());
    }
}

#[test]
fn a_fixed_window_follows_the_servers_own() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(100).algorithm(Algorithm::FixedWindow))]);
    bench.sync(ServerState { reset: Some(Reset::Window(Duration::from_secs(7))), ..left(0) }, None);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_secs(7))));
    bench.now = secs(7);
    let _all = bench.take([(0, 100)]);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_secs(60))));
}

/// The window in which a charge counted is told by when it was counted, not by where the window now ends.
#[test]
fn moving_the_end_of_a_fixed_window_refunds_nobody_elses_charge() {
    let mut bench = Bench::new(vec![Bench::rate(Quota::per_minute(100).algorithm(Algorithm::FixedWindow))]);
    bench.now = secs(50);
    let mut earlier = bench.take([(0, 60)]);
    bench.now = secs(61);
    let mut now = bench.take([(0, 80)]);
    let sooner = ServerState { reset: Some(Reset::Window(Duration::from_secs(5))), ..left(20) };
    bench.sync(sooner, None);
    bench.settle(&mut earlier, 0, 0);
    assert_eq!((bench.used(0), earlier.charged.units(0)), (80, Some(60)));
    let later = ServerState { reset: Some(Reset::Window(Duration::from_secs(59))), ..left(20) };
    bench.sync(later, None);
    bench.now = secs(110);
    bench.settle(&mut now, 0, 10);
    assert_eq!((bench.used(0), now.charged.units(0)), (10, Some(10)), "still the same window");
}

#[test]
fn a_limit_in_an_answer_does_not_move_the_resets() {
    let quota = Quota::per_minute(100).algorithm(Algorithm::FixedWindow);
    let quota = quota.guard(Duration::from_secs(2)).resets_in(Duration::from_secs(10));
    let mut bench = Bench::new(vec![Bench::rate(quota)]);
    bench.now = secs(30);
    let _used = bench.take([(0, 50)]);
    bench.sync(limit(50), None);
    assert_eq!(bench.attempt([(0, 1)]), Err(Decision::Wait(Duration::from_secs(42))), "10 + 2 + 60 − 30");
}

#[test]
fn a_resource_is_not_the_servers_to_count() {
    let mut bench = Bench::new(vec![Bench::resource(4)]);
    let answer = bench.set.sync(bench.now, 0, &left(1), None, &mut bench.events);
    assert_eq!(answer, Err(ChangeError::NotARate));
}
