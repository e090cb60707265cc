//! Sliding windows, concurrency and refusals, under explicit time.

use std::time::Duration;

use paceline_mock::account::{Account, Cause, Refusal, Verdict};
use paceline_mock::{Charge, LimitKey, MockConfig, MockLimit};

const NS: Duration = Duration::from_nanos(1);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn with(limits: &[MockLimit]) -> MockConfig {
    MockConfig { limits: limits.to_vec(), ..MockConfig::default() }
}

fn requests(amount: u64, seconds: u64) -> MockLimit {
    MockLimit::new(LimitKey::Requests, amount, secs(seconds))
}

fn call(account: &mut Account, now: Duration) -> Verdict {
    account.arrive(now, Charge::default())
}

#[track_caller]
fn refused(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refused(refusal) => refusal,
        Verdict::Admitted => panic!("admitted"),
    }
}

#[test]
fn a_window_is_open_at_its_start() {
    let mut account = Account::new(&with(&[requests(1, 10)]));
    assert_eq!(call(&mut account, secs(5)), Verdict::Admitted);
    let early = refused(call(&mut account, secs(15) - NS));
    assert_eq!(early.retry_after, Some(NS));
    assert_eq!(call(&mut account, secs(15)), Verdict::Admitted);
    assert_eq!(account.limits()["requests"].worst, 1);
}

#[test]
fn the_wait_is_until_enough_has_left() {
    let tokens = MockLimit::new(LimitKey::Tokens, 100, secs(60));
    let mut account = Account::new(&with(&[tokens]));
    for (at, units) in [(0, 10), (10, 40), (20, 50)] {
        assert_eq!(account.arrive(secs(at), Charge { input_tokens: units, output_tokens: 0 }), Verdict::Admitted);
    }
    let mut wait =
        |units| refused(account.arrive(secs(30), Charge { input_tokens: 0, output_tokens: units })).retry_after;
    assert_eq!(wait(1), Some(secs(30)));
    assert_eq!(wait(10), Some(secs(30)));
    assert_eq!(wait(11), Some(secs(40)));
    assert_eq!(wait(51), Some(secs(50)));
    assert_eq!(wait(101), None, "more than the limit never fits");
}

#[test]
fn one_full_limit_leaves_the_others_uncharged() {
    let limits = [requests(10, 60), MockLimit::per_minute(LimitKey::OutputTokens, 5)];
    let mut account = Account::new(&with(&limits));
    let charge = Charge { input_tokens: 0, output_tokens: 4 };
    assert_eq!(account.arrive(secs(0), charge), Verdict::Admitted);
    let refusal = refused(account.arrive(secs(1), charge));
    let Cause::Limit { reading, requested } = refusal.cause else { panic!("{refusal:?}") };
    assert_eq!((reading.limit.key, reading.remaining, requested), (LimitKey::OutputTokens, 1, 4));
    let left: Vec<u64> = account.readings(secs(1)).iter().map(|reading| reading.remaining).collect();
    assert_eq!(left, [9, 1]);
}

#[test]
fn of_several_full_limits_the_longest_wait_is_named() {
    let mut account = Account::new(&with(&[requests(1, 10), requests(1, 60)]));
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted);
    assert_eq!(refused(call(&mut account, secs(4))).retry_after, Some(secs(56)));
    let names: Vec<String> = account.limits().into_keys().collect();
    assert_eq!(names, ["requests", "requests/60s"]);
}

#[test]
fn worst_is_the_fullest_window_not_the_last() {
    let mut account = Account::new(&with(&[requests(5, 10)]));
    for at in [0, 1, 2, 30] {
        assert_eq!(call(&mut account, secs(at)), Verdict::Admitted);
    }
    assert_eq!(account.limits()["requests"].worst, 3);
    account.forget_records();
    assert_eq!(account.limits()["requests"].worst, 0);
    assert_eq!(call(&mut account, secs(31)), Verdict::Admitted);
    assert_eq!(account.limits()["requests"].worst, 2, "what is still in the window counts after a reset");
}

#[test]
fn counted_refusals_keep_a_hammering_client_out() {
    let config = MockConfig { count_refused: true, ..with(&[requests(2, 10)]) };
    let mut account = Account::new(&config);
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted);
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted);
    for at in (4..100).step_by(4) {
        // The refusal itself is one of the three in the window, and two have to leave.
        assert_eq!(refused(call(&mut account, secs(at))).retry_after, Some(secs(6)));
    }
    assert_eq!(call(&mut account, secs(102)), Verdict::Admitted);
    assert_eq!(account.limits()["requests"].worst, 2, "refusals are not admitted");
}

#[test]
fn refusals_do_not_count_unless_told_to() {
    let mut account = Account::new(&with(&[requests(1, 10)]));
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted);
    for at in 1..10 {
        refused(call(&mut account, secs(at)));
    }
    assert_eq!(call(&mut account, secs(10)), Verdict::Admitted);
}

#[test]
fn concurrency_counts_until_calls_leave() {
    let config = MockConfig { concurrency: Some(2), ..with(&[requests(3, 10)]) };
    let mut account = Account::new(&config);
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted);
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted);
    let refusal = refused(call(&mut account, secs(0)));
    assert_eq!(refusal, Refusal { cause: Cause::Concurrency { limit: 2 }, retry_after: Some(secs(1)) });
    account.leave();
    assert_eq!(call(&mut account, secs(0)), Verdict::Admitted, "the refusal charged no window");
    assert_eq!((account.in_flight(), account.peak_in_flight()), (2, 2));
}

#[test]
fn readings_tell_what_is_left_and_when_all_is_free() {
    let mut account = Account::new(&with(&[requests(5, 10)]));
    assert_eq!(account.readings(secs(0))[0].until_full, Duration::ZERO);
    for at in [1, 3] {
        assert_eq!(call(&mut account, secs(at)), Verdict::Admitted);
    }
    let reading = account.readings(secs(4))[0];
    assert_eq!((reading.remaining, reading.until_full), (3, secs(9)));
}

#[test]
fn the_greatest_amounts_do_not_overflow() {
    let mut account = Account::new(&with(&[MockLimit::new(LimitKey::Tokens, u64::MAX, secs(1))]));
    let all = Charge { input_tokens: u64::MAX, output_tokens: u64::MAX };
    for at in 0..5 {
        assert_eq!(account.arrive(secs(at), all), Verdict::Admitted);
    }
    refused(account.arrive(secs(4), Charge::of(1, 0)));
}
