//! The rate controller, against the tables of the AWS SDKs (smithy-rs, `client_rate_limiter.rs`).

use std::time::Duration;

use paceline_core::{CubicRate, Sample, Time, Verdict};

const REFUSED: Verdict = Verdict::RateLimited { retry_after: None };

fn at(seconds: f64) -> Time {
    Time::ZERO + Duration::from_secs_f64(seconds)
}

fn end(cubic: &mut CubicRate, verdict: Verdict, began: f64, now: f64) {
    let duration = Duration::from_secs_f64(now - began);
    cubic.update(&Sample { verdict, began: at(began), duration, in_flight: 1 }, at(now));
}

#[test]
fn rates_are_those_of_the_aws_sdks() {
    let mut cubic = CubicRate::default();
    let table = [
        (0.2, false, 0.0, None),
        (0.4, false, 0.0, None),
        (0.6, false, 4.8, None),
        (0.8, false, 4.8, None),
        (1.0, false, 4.16, None),
        (1.2, false, 4.16, None),
        (1.4, false, 4.16, None),
        (1.6, false, 5.632, None),
        (1.8, false, 5.632, None),
        (2.0, true, 4.3264, Some(3.028_48)),
        (2.2, false, 4.3264, Some(3.486_639_173_470_26)),
        (2.4, false, 4.3264, Some(3.821_874_416_040_255)),
        (2.6, false, 5.665_28, Some(4.053_385_727_709_987)),
        (2.8, false, 5.665_28, Some(4.200_373_108_479_454)),
        (3.0, false, 4.333_056, Some(4.282_036_558_348_658)),
        (3.2, true, 4.333_056, Some(2.997_425_590_844_06)),
        (3.4, false, 4.333_056, Some(3.452_226_394_386_346_3)),
    ];
    for (now, throttled, sent, rate) in table {
        end(&mut cubic, if throttled { REFUSED } else { Verdict::Success }, now - 0.1, now);
        assert!((cubic.sent() - sent).abs() < 1e-9, "at {now} s {} are sent, not {sent}", cubic.sent());
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let same = cubic.rate().map_or(rate.is_none(), |it| rate.is_some_and(|rate| close(it, rate)));
        assert!(same, "at {now} s the rate is {:?}, not {rate:?}", cubic.rate());
    }
}

fn running(rate: f64, seconds: f64) -> CubicRate {
    let mut cubic = CubicRate::default();
    let calls = (rate * seconds) as u64;
    (1..=calls).for_each(|n| end(&mut cubic, Verdict::Success, n as f64 / rate, n as f64 / rate + 0.001));
    cubic
}

#[test]
fn a_burst_of_refusals_is_one_cut() {
    let mut cubic = running(50.0, 5.0);
    assert_eq!(cubic.rate(), None);
    (0..10).for_each(|n| end(&mut cubic, REFUSED, 5.0, 5.1 + f64::from(n) / 100.0));
    assert_eq!(cubic.cuts(), 1);
    let rate = cubic.rate().expect("there was a throttle");
    assert!((33.0..38.0).contains(&rate), "{rate}");
}

#[test]
fn the_floor_is_a_share_of_what_worked() {
    let mut cubic = running(50.0, 5.0);
    for n in 0..200 {
        let began = 5.1 + f64::from(n);
        end(&mut cubic, REFUSED, began, began + 0.5);
    }
    let rate = cubic.rate().expect("there was a throttle");
    assert!((9.8..10.4).contains(&rate), "{rate}");
    assert_eq!(cubic.quota().map(|quota| quota.amount()), Some(1));
    cubic.reset();
    assert_eq!((cubic.rate(), cubic.cuts()), (None, 0));
}

#[test]
fn what_was_sent_in_the_first_second_is_its_rate() {
    let mut cubic = CubicRate::default();
    (0..10).for_each(|n| end(&mut cubic, Verdict::Success, 0.01, 0.05 + f64::from(n) / 100.0));
    end(&mut cubic, REFUSED, 0.1, 0.3);
    let rate = cubic.rate().expect("there was a throttle");
    assert!((7.6..7.8).contains(&rate), "0.7 of 11, not of the 37 a second of a burst: {rate}");
}

#[test]
fn it_never_allows_more_than_twice_what_is_sent() {
    let mut cubic = running(50.0, 5.0);
    end(&mut cubic, REFUSED, 5.0, 5.1);
    for n in 0..600 {
        let now = 5.2 + f64::from(n) / 10.0;
        end(&mut cubic, Verdict::Success, now - 0.05, now);
    }
    let rate = cubic.rate().expect("there was a throttle");
    assert!((18.0..22.0).contains(&rate), "10 a second are sent, {rate} allowed");
}
