//! Sets as words: what is written is read back, and nothing else is.

use std::time::Duration;

use paceline_core::image::{Image, Words};
use paceline_core::{
    Aimd, AimdBuilder, Algorithm, Anchor, Controller, Demand, Limit, Quota, Reset, Sample, ServerState, Set, Time,
    Verdict,
};

fn words(of: &impl Image) -> Vec<u64> {
    let mut words = Vec::new();
    of.write(&mut words);
    words
}

fn again<T: Image>(of: &T) -> Option<T> {
    let words = words(of);
    let mut words = Words::new(&words);
    let read = T::read(&mut words);
    assert_eq!(words.left(), 0);
    read
}

fn quotas() -> Vec<Quota> {
    let plain = Algorithm::ALL.map(|algorithm| Quota::per_minute(7).algorithm(algorithm));
    let window = Quota::per_second(3).guard(Duration::from_millis(2));
    let others = [
        window,
        window.paced(2),
        window.anchor(Anchor::Completion),
        Quota::per_hour(9).burst(4),
        Quota::per_day(9).algorithm(Algorithm::FixedWindow).resets_in(Duration::from_secs(5)),
    ];
    plain.into_iter().chain(others).collect()
}

#[test]
fn quotas_are_read_back() {
    for quota in quotas() {
        assert_eq!(again(&quota), Some(quota));
    }
    assert_eq!(again(&Quota::per_second(0)), None, "what cannot be kept is not read");
}

#[test]
fn what_a_service_said_is_read_back() {
    for reset in [None, Some(Reset::Full(Duration::from_secs(1))), Some(Reset::Window(Duration::from_secs(2)))] {
        let state = ServerState { limit: Some(1), remaining: None, reset, authoritative: true };
        assert_eq!(again(&state), Some(state));
    }
}

#[test]
fn demands_are_read_back_and_others_refused() {
    let demand: Demand = [(1, 5), (7, 2)].into_iter().collect();
    assert_eq!(again(&demand), Some(demand));
    let read = |words: &[u64]| Demand::read(&mut Words::new(words));
    assert_eq!(read(&[2, 7, 1, 0, 1, 1, 0]), None, "not in order");
    assert_eq!(read(&[2, 1, 1, 0, 1, 1, 0]), None, "twice the same limit");
    assert_eq!(read(&[1, 1 << 16, 1, 0]), None, "no index");
    assert_eq!(read(&[u64::MAX]), None, "more parts than words");
}

#[test]
fn no_part_of_a_set_is_a_set() {
    let limits = quotas().into_iter().map(|quota| Limit::rate(quota, Time::from_nanos(5)).unwrap());
    let set = Set::<u64>::new(0, limits.collect::<Vec<_>>());
    let all = words(&set);
    assert!(Set::<u64>::read(&mut Words::new(&all)).is_some());
    for end in 0..all.len() {
        assert!(Set::<u64>::read(&mut Words::new(&all[..end])).is_none(), "{end} of {}", all.len());
    }
}

#[test]
fn verdicts_are_read_back() {
    let refused = |retry_after| Verdict::RateLimited { retry_after };
    let refused = [refused(None), refused(Some(Duration::from_millis(1_500)))];
    let others = [Verdict::Success, Verdict::Overloaded, Verdict::Transient, Verdict::Permanent, Verdict::Cancelled];
    for verdict in refused.into_iter().chain(others) {
        assert_eq!(again(&verdict), Some(verdict));
    }
}

#[test]
fn a_controller_that_is_read_back_goes_on_as_if_it_had_not_been() {
    let mut one = Aimd::builder().max_concurrent(50).initial_concurrent(10).backoff_factor(0.7).build().unwrap();
    let mut other = again(&one).unwrap();
    for step in 1..2_000 {
        let (began, ended) = (Time::from_nanos(step * 1_000), Time::from_nanos(step * 1_000 + 40_000));
        let verdict = if step % 97 == 0 { Verdict::Overloaded } else { Verdict::Success };
        let in_flight = one.level() - step % 3;
        let sample = Sample { verdict, began, duration: Duration::from_micros(40), in_flight };
        one.update(&sample, ended);
        other.update(&sample, ended);
        other = again(&other).unwrap();
        assert_eq!((one.limit().to_bits(), one.successes()), (other.limit().to_bits(), other.successes()), "{step}");
        assert_eq!((one.bad(), one.cuts()), (other.bad(), other.cuts()), "{step}");
    }
    assert!(one.cuts() > 3 && one.level() > 1);
}

#[test]
fn what_no_controller_can_have_learnt_is_not_read() {
    let guarded = words(&Aimd::builder().latency_guard().build().unwrap());
    assert!(Aimd::read(&mut Words::new(&guarded)).is_none(), "its guard is not written");
    assert_eq!(again(&Aimd::builder().backoff_factor(1.5)), None, "it cannot be built");
    assert_eq!(again(&AimdBuilder::default()), Some(AimdBuilder::default()));
    let all = words(&Aimd::default());
    for (at, wrong) in [(7, f64::NAN), (7, 0.5), (7, 21.0), (8, 0.0), (8, f64::NAN), (9, f64::NAN)] {
        let mut words = all.clone();
        words[at] = if at == 9 { u64::MAX } else { wrong.to_bits() };
        assert!(Aimd::read(&mut Words::new(&words)).is_none(), "{wrong} at {at}");
    }
}
