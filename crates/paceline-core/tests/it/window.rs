//! Sliding windows: never more than the amount in any window, and exact.

use std::time::Duration;

use paceline_core::{Anchor, Quota};

use crate::history::{History, May, Noted, fullest};
use crate::plain::{PERIODS, Window, guarded};
use crate::rng::{Rng, rounds};
use crate::support::nanos;

const REFUNDS: May = May { refund: true, overrun: false };
const ALL: May = May { refund: true, overrun: true };

fn quota(rng: &mut Rng, amounts: &[u64]) -> Quota {
    let amount = *rng.pick(amounts);
    let pad = if rng.one_in(3) { 13 } else { 0 };
    Quota::new(amount, nanos(*rng.pick(&[97, 1_009, 7_919, 1_000_003]) - pad)).guard(nanos(pad))
}

#[test]
fn every_window_holds_at_most_the_amount_and_decisions_are_exact() {
    let mut steps = 0;
    for seed in 0..rounds(150) {
        let mut rng = Rng::new(seed);
        let quota = quota(&mut rng, &[1, 2, 3, 7, 10, 61, 997, 1_024]);
        let mut history = History::new(seed, quota, Window::new(&quota));
        history.run(1_500, if seed % 3 == 0 { May::default() } else { REFUNDS });
        let worst = fullest(&history.noted, guarded(&quota));
        assert!(worst <= quota.amount(), "seed {seed}: {worst} in one window of {quota:?}");
        steps += history.steps;
    }
    assert!(steps >= 200_000);
}

#[test]
fn an_overrun_counts_from_its_admission_and_a_live_change_keeps_what_stands() {
    for seed in 0..rounds(100) {
        let mut rng = Rng::new(seed ^ 0x51);
        let first = quota(&mut rng, &[1, 3, 10, 61, 300]);
        let mut history = History::new(seed, first, Window::new(&first));
        for _ in 0..10 {
            history.run(150, ALL);
            let next = quota(&mut rng, &[1, 3, 10, 61, 300]);
            history.change(next);
        }
    }
}

#[test]
fn a_coalesced_log_is_never_early_and_late_by_a_1023rd_of_the_period_at_most() {
    for seed in 0..rounds(24) {
        let mut rng = Rng::new(seed ^ 0xC0);
        let quota = quota(&mut rng, &[1_025, 5_003, 100_000]);
        let mut history = History::new(seed, quota, Window::new(&quota).coalesced());
        history.run(4_000, REFUNDS);
        let worst = fullest(&history.noted, guarded(&quota));
        assert!(worst <= quota.amount(), "seed {seed}: {worst} in one window of {quota:?}");
    }
}

#[test]
fn pacing_also_bounds_what_comes_at_once() {
    for seed in 0..rounds(80) {
        let mut rng = Rng::new(seed ^ 0xACE);
        let plain = Quota::new(*rng.pick(&[3, 10, 61, 300]), nanos(*rng.pick(&PERIODS)));
        let pace = rng.within(1, plain.amount());
        let quota = plain.paced(pace);
        let mut history = History::new(seed, quota, Window::new(&quota).paced(&quota, pace));
        // What a refund gives back to the window it does not give back to the pace.
        history.run(1_500, REFUNDS);
        let worst = fullest(&history.noted, guarded(&quota));
        assert!(worst <= quota.amount(), "seed {seed}: {worst} in one window of {quota:?}");
        assert!(at_once(&history.noted) <= pace, "seed {seed}: more than {pace} at once");
    }
}

fn at_once(noted: &[Noted]) -> u64 {
    let of = |at: u64| noted.iter().filter(|it| it.at == at).map(|it| it.asked).sum();
    noted.iter().map(|it| of(it.at)).max().unwrap_or(0)
}

#[test]
fn changing_a_paced_quota_over_and_over_does_not_stop_its_pace() {
    for seed in 0..rounds(30) {
        let mut rng = Rng::new(seed ^ 0xBEE);
        let make = |rng: &mut Rng| Quota::new(*rng.pick(&[10, 61, 300]), nanos(*rng.pick(&PERIODS))).paced(7);
        let first = make(&mut rng);
        let mut history = History::new(seed, first, Window::new(&first).paced(&first, 7));
        for _ in 0..100 {
            history.run(12, REFUNDS);
            let next = make(&mut rng);
            history.change(next);
        }
    }
}

/// The service counts a request at an instant between admission and answer that nobody here knows, so every charge
/// counts from its admission until one period after its answer.
#[test]
fn held_until_completion_no_window_a_server_could_see_is_over() {
    for seed in 0..rounds(100) {
        let mut rng = Rng::new(seed ^ 0xA1);
        let quota = quota(&mut rng, &[1, 3, 10, 61]).anchor(Anchor::Completion);
        let mut history = History::new(seed, quota, Window::new(&quota).until_completion());
        history.run(1_500, REFUNDS);
        let period = guarded(&quota);
        let noted = &history.noted;
        for (i, it) in noted.iter().enumerate() {
            let near = &noted[i.saturating_sub(400)..=i];
            let seen = near.iter().filter(|other| other.done.is_none_or(|done| it.at < done + period));
            let sum: u64 = seen.map(|other| other.net).sum();
            assert!(sum <= quota.amount(), "seed {seed}: a server could see {sum} at {}", it.at);
        }
    }
}

#[test]
fn overruns_while_held_stay_exact() {
    for seed in 0..rounds(40) {
        let mut rng = Rng::new(seed ^ 0xA2);
        let quota = quota(&mut rng, &[1, 3, 10, 61]).anchor(Anchor::Completion);
        History::new(seed, quota, Window::new(&quota).until_completion()).run(1_500, ALL);
    }
}

#[test]
fn the_window_is_half_open() {
    let quota = Quota::new(2, Duration::from_nanos(10));
    let mut bench = crate::support::Bench::new(vec![crate::support::Bench::rate(quota)]);
    let _two = bench.take([(0, 2)]);
    bench.now = crate::support::at(9);
    assert!(bench.attempt([(0, 1)]).is_err());
    bench.now = crate::support::at(10);
    assert!(bench.attempt([(0, 2)]).is_ok());
}
