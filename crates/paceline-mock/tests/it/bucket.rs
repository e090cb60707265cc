//! Token buckets, under explicit time.

use std::time::Duration;

use paceline_mock::account::{Account, Verdict};
use paceline_mock::{Charge, LimitKey, MockConfig, MockLimit};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn bucket(size: u64, limits: &[MockLimit]) -> MockConfig {
    MockConfig { bucket: Some(size), limits: limits.to_vec(), ..MockConfig::default() }
}

fn call(account: &mut Account, now: Duration) -> Verdict {
    account.arrive(now, Charge::default())
}

fn wait(verdict: Verdict) -> Option<Duration> {
    match verdict {
        Verdict::Refused(refusal) => refusal.retry_after,
        Verdict::Admitted => panic!("admitted"),
    }
}

const FIFTY_A_SECOND: MockLimit = MockLimit::new(LimitKey::Requests, 50, Duration::from_secs(1));

#[test]
fn it_starts_full_and_refills_evenly() {
    let mut account = Account::new(&bucket(5, &[FIFTY_A_SECOND]));
    for _ in 0..5 {
        assert_eq!(call(&mut account, ms(0)), Verdict::Admitted);
    }
    assert_eq!(wait(call(&mut account, ms(0))), Some(ms(20)));
    assert_eq!(wait(call(&mut account, ms(20) - Duration::from_nanos(1))), Some(Duration::from_nanos(1)));
    assert_eq!(call(&mut account, ms(20)), Verdict::Admitted);
    let reading = account.readings(ms(50))[0];
    assert_eq!((reading.remaining, reading.until_full), (1, ms(70)));
}

#[test]
fn it_never_holds_more_than_its_size() {
    let mut account = Account::new(&bucket(5, &[FIFTY_A_SECOND]));
    let admitted = (0..100).filter(|_| call(&mut account, ms(3_600_000)) == Verdict::Admitted).count();
    assert_eq!(admitted, 5);
}

#[test]
fn worst_is_still_the_strict_window() {
    let mut account = Account::new(&bucket(5, &[FIFTY_A_SECOND]));
    let admitted = (0..1000).filter(|&at| call(&mut account, ms(at)) == Verdict::Admitted).count();
    assert_eq!(admitted, 54, "the bucket, and what 999 ms refill");
    assert_eq!(account.limits()["requests"].worst, 54);
}

#[test]
fn a_rate_that_does_not_divide_a_nanosecond_loses_nothing() {
    let limit = MockLimit::new(LimitKey::Requests, 7, Duration::from_secs(1));
    let mut account = Account::new(&bucket(1, &[limit]));
    let (mut now, mut admitted) = (Duration::ZERO, 0);
    while now < Duration::from_secs(1000) {
        match call(&mut account, now) {
            Verdict::Admitted => admitted += 1,
            Verdict::Refused(refusal) => now += refusal.retry_after.expect("a wait"),
        }
    }
    // Each wait is rounded up to a nanosecond; the remainder stays in the bucket only while it is not full.
    assert!((6_999..=7_001).contains(&admitted), "{admitted}");
}

#[test]
fn its_size_is_of_calls_where_calls_are_limited() {
    let tokens = MockLimit::per_minute(LimitKey::Tokens, 1000);
    let charge = Charge { input_tokens: 500, output_tokens: 0 };
    let mut both = Account::new(&bucket(5, &[FIFTY_A_SECOND, tokens]));
    assert_eq!(both.arrive(ms(0), charge), Verdict::Admitted);
    assert_eq!(both.readings(ms(0))[0].remaining, 4);
    let mut tokens_alone = Account::new(&bucket(600, &[tokens]));
    assert_eq!(tokens_alone.arrive(ms(0), charge), Verdict::Admitted);
    assert_eq!(wait(tokens_alone.arrive(ms(0), charge)), Some(Duration::from_secs(24)));
    let mut too_small = Account::new(&bucket(5, &[tokens]));
    assert_eq!(wait(too_small.arrive(ms(0), charge)), None);
}

#[test]
fn counted_refusals_drain_what_is_there() {
    let config = MockConfig { count_refused: true, ..bucket(1, &[FIFTY_A_SECOND]) };
    let mut account = Account::new(&config);
    assert_eq!(call(&mut account, ms(0)), Verdict::Admitted);
    for at in [19, 38, 57] {
        assert_eq!(wait(call(&mut account, ms(at))), Some(ms(20)));
    }
    assert_eq!(call(&mut account, ms(77)), Verdict::Admitted);
}
