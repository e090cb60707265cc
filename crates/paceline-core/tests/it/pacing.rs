//! Pacing: what it starts with, widens, narrows and pads by.

use std::time::Duration;

use paceline_core::{Algorithm, Anchor, Pacing, Quota, QuotaError, Sample, Time, Verdict};

const REFUSED: Verdict = Verdict::RateLimited { retry_after: None };

fn at(ms: u64) -> Time {
    Time::from_nanos(ms * 1_000_000)
}

fn end(pacing: &mut Pacing, verdict: Verdict, began: u64, took: u64) -> bool {
    let sample = Sample { verdict, began: at(began), duration: Duration::from_millis(took), in_flight: 1 };
    pacing.update(&sample, at(began + took), None)
}

/// `n` clean answers, 20 ms apart from `from` on, that take `took` in turn.
fn clean(pacing: &mut Pacing, from: u64, n: u64, took: [u64; 2]) {
    (0..n).for_each(|i| _ = end(pacing, Verdict::Success, from + 20 * i, took[(i % 2) as usize]));
}

fn told(quota: Quota) -> Pacing {
    Pacing::new(quota).expect("a quota that can be kept")
}

#[test]
fn it_starts_small_and_lets_four_fly_until_the_first_answer() {
    let mut pacing = told(Quota::per_minute(300));
    assert_eq!((pacing.quota().capacity(), pacing.in_flight()), (4, Some(4)));
    assert_eq!(pacing.quota().guard_pad(), Duration::from_millis(300), "a two-hundredth of the period");
    end(&mut pacing, Verdict::Success, 0, 100);
    assert_eq!(pacing.in_flight(), None);
    let few = told(Quota::per_second(2));
    assert_eq!((few.quota().capacity(), few.guard()), (2, Duration::from_millis(10)));
}

#[test]
fn clean_answers_widen_it_to_the_whole_amount() {
    let mut pacing = told(Quota::per_minute(300));
    clean(&mut pacing, 0, 50, [100, 100]);
    let wide = pacing.quota().capacity();
    assert!((50..=200).contains(&wide), "{wide} after a second");
    clean(&mut pacing, 1_000, 150, [100, 100]);
    assert_eq!(pacing.quota(), Quota::per_minute(300).guard(pacing.guard()));
}

#[test]
fn it_widens_only_as_far_as_headers_show_room() {
    let mut pacing = told(Quota::per_minute(300));
    for n in 0..200 {
        let began = at(20 * n);
        let sample = Sample { verdict: Verdict::Success, began, duration: Duration::from_millis(50), in_flight: 1 };
        pacing.update(&sample, began + sample.duration, Some(10));
    }
    assert!((10..=12).contains(&pacing.quota().capacity()), "{}", pacing.quota().capacity());
}

#[test]
fn a_refusal_narrows_it_for_good() {
    let mut pacing = told(Quota::per_minute(300));
    clean(&mut pacing, 0, 20, [100, 100]);
    let wide = pacing.quota().capacity();
    assert!(end(&mut pacing, REFUSED, 1_000, 50));
    let narrow = pacing.quota().capacity();
    assert_eq!((narrow, pacing.raises()), (wide / 4, 0), "the burst explains it, not the guard");
    clean(&mut pacing, 2_000, 1_000, [100, 100]);
    assert_eq!(pacing.quota().capacity(), narrow);
}

#[test]
fn refusals_of_one_burst_are_one() {
    let mut pacing = told(Quota::per_minute(300));
    clean(&mut pacing, 0, 20, [100, 100]);
    (0..4).for_each(|n| _ = end(&mut pacing, REFUSED, 1_000, 50 + n));
    let narrow = pacing.quota().capacity();
    assert!(narrow > 1);
    end(&mut pacing, REFUSED, 1_050, 10);
    assert_eq!(pacing.quota().capacity(), narrow, "it began before the first was known");
}

#[test]
fn the_guard_follows_the_spread_of_round_trips_but_little_while_nothing_is_refused() {
    let mut steady = told(Quota::per_second(50));
    clean(&mut steady, 0, 500, [40, 40]);
    assert_eq!(steady.guard(), Duration::from_millis(10));
    let mut jittery = told(Quota::per_second(50));
    clean(&mut jittery, 0, 500, [40, 43]);
    assert_eq!(jittery.guard(), Duration::from_millis(15), "twice the root of 20 ms times 3 ms");
    let mut wild = told(Quota::per_second(50));
    clean(&mut wild, 0, 500, [40, 240]);
    assert_eq!(wild.guard(), Duration::from_millis(20), "a fiftieth of the period");
    end(&mut wild, REFUSED, 20_000, 100);
    assert_eq!((wild.guard(), wild.raises()), (Duration::from_nanos(90_000_000), 1), "an eleventh");
}

#[test]
fn where_a_round_trip_costs_less_than_the_guard_it_anchors_at_the_answer() {
    let mut pacing = told(Quota::per_minute(300));
    clean(&mut pacing, 0, 500, [100, 100]);
    let guard = pacing.guard();
    end(&mut pacing, REFUSED, 20_000, 100);
    assert_eq!(pacing.guard(), guard);
    let plain = Quota::per_minute(300).guard(guard);
    assert_eq!(pacing.quota(), plain.paced(150).anchor(paceline_core::Anchor::Completion));
    end(&mut pacing, REFUSED, 30_000, 100);
    assert_eq!(pacing.guard(), 2 * guard, "and then it raises");
}

#[test]
fn few_refusals_are_explained_and_many_are_not() {
    let mut pacing = told(Quota::per_second(50));
    clean(&mut pacing, 0, 500, [40, 40]);
    let explained: Vec<_> = (0..6).map(|n| end(&mut pacing, REFUSED, 11_000 + 100 * n, 40)).collect();
    assert_eq!(explained, [true, true, true, false, false, false]);
    clean(&mut pacing, 12_000, 100, [40, 40]);
    assert!(end(&mut pacing, REFUSED, 20_000, 40));
    assert!(!end(&mut pacing, Verdict::Overloaded, 21_000, 40), "only a refusal is a matter of rates");
}

#[test]
fn a_burst_that_was_told_stays() {
    for quota in [Quota::per_second(50).burst(7), Quota::per_second(50).paced(7)] {
        let mut pacing = told(quota);
        assert_eq!(pacing.in_flight(), None);
        clean(&mut pacing, 0, 500, [40, 40]);
        end(&mut pacing, REFUSED, 11_000, 40);
        assert_eq!(pacing.quota().capacity(), 7);
        assert_eq!(pacing.guard(), Duration::from_millis(20));
    }
    assert_eq!(Pacing::new(Quota::per_second(0)).err(), Some(QuotaError::ZeroAmount));
}

#[test]
fn lateness_counts_for_a_window_and_is_forgotten_after() {
    let mut pacing = told(Quota::new(100, Duration::from_secs(10)));
    let guard = |pacing: &Pacing| pacing.guard().as_millis();
    assert_eq!(guard(&pacing), 50);
    pacing.late(Duration::from_millis(30), at(30));
    assert_eq!(guard(&pacing), 80);
    pacing.late(Duration::from_micros(2_900), at(11_000));
    assert_eq!(guard(&pacing), 80, "what came just before may still be in the window");
    pacing.late(Duration::from_micros(2_900), at(22_000));
    assert_eq!(guard(&pacing), 52, "in whole milliseconds, so that small changes are none");
    pacing.late(Duration::from_secs(5), at(22_000));
    assert_eq!(guard(&pacing), 500, "a twentieth of the period at most");
}

#[test]
fn a_steady_one_leaves_the_burst_as_it_is() {
    let quota = Quota::per_minute(150_000);
    let mut pacing = Pacing::steady(quota).expect("a quota that can be kept");
    let padded = quota.guard(Duration::from_millis(300));
    assert_eq!((pacing.quota(), pacing.in_flight()), (padded, None));
    clean(&mut pacing, 0, 10, [500, 500]);
    end(&mut pacing, REFUSED, 1_000, 500);
    assert_eq!(pacing.quota(), padded.guard(Duration::from_millis(600)), "a refusal still raises the guard");
}

#[test]
fn the_guard_leaves_something_of_a_window_that_resets_at_known_times() {
    let window = Quota::new(50, Duration::from_millis(90)).algorithm(Algorithm::FixedWindow);
    let mut pacing = told(window.resets_in(Duration::from_millis(40)));
    pacing.late(Duration::from_millis(60), at(0));
    assert_eq!(pacing.quota().validate(), Ok(()), "{:?}", pacing.guard());
    let longest = Duration::from_secs(270 * 365 * 86_400);
    let mut pacing = told(Quota::new(1, longest).burst(1));
    (0..20).for_each(|n| _ = end(&mut pacing, REFUSED, 1 + 200 * n, 100));
    assert_eq!(pacing.quota().validate(), Ok(()), "{:?}", pacing.guard());
}

#[test]
fn another_quota_keeps_what_was_learnt_of_the_service() {
    let mut pacing = told(Quota::per_second(50));
    clean(&mut pacing, 0, 200, [20, 20]);
    end(&mut pacing, REFUSED, 5_000, 100);
    assert_eq!((pacing.quota().capacity(), pacing.raises()), (25, 1));
    pacing.restate(Quota::per_second(20)).expect("a quota that can be kept");
    assert_eq!((pacing.quota().amount(), pacing.quota().capacity(), pacing.raises()), (20, 20, 1));
    assert_eq!(pacing.restate(Quota::per_second(0)), Err(QuotaError::ZeroAmount));
    assert_eq!(pacing.quota().amount(), 20, "nothing has changed");
    let mut steady = Pacing::steady(Quota::per_second(50)).expect("a quota that can be kept");
    steady.restate(Quota::per_second(20)).expect("a quota that can be kept");
    assert_eq!((steady.quota().capacity(), steady.in_flight()), (20, None), "of which one demand may take all");
}

#[test]
fn an_anchor_at_the_answer_stays_where_it_is_told() {
    let quota = Quota::per_second(50).anchor(Anchor::Completion);
    let mut pacing = told(quota);
    assert_eq!(pacing.quota(), quota.guard(pacing.guard()).paced(4));
    let mut later = told(Quota::per_second(20));
    later.restate(quota).expect("a quota that can be kept");
    assert_eq!(later.quota(), pacing.quota());
    end(&mut pacing, Verdict::Success, 0, 1);
    (1..3).for_each(|n| _ = end(&mut pacing, REFUSED, 1_000 * n, 1));
    assert_eq!(pacing.raises(), 1, "there is nothing to move any more");
}

#[test]
fn a_window_too_short_for_any_guard_is_refused_at_once() {
    let short = Quota::new(50, Duration::from_millis(15)).algorithm(Algorithm::FixedWindow).resets_in(Duration::ZERO);
    let guard = Duration::from_millis(10);
    assert_eq!(Pacing::new(short).err(), Some(QuotaError::GuardTooLong(guard)));
    let mut pacing = told(Quota::per_second(50));
    assert_eq!(pacing.restate(short), Err(QuotaError::GuardTooLong(guard)));
    assert_eq!(pacing.quota().amount(), 50, "nothing has changed");
}

#[test]
fn of_many_words_the_most_careful_counts() {
    let (stated, ms) = (Quota::per_second(50), Duration::from_millis);
    assert_eq!(stated.counted_as([]), stated);
    let (early, late) = (stated.guard(ms(40)), stated.guard(ms(10)).paced(6).anchor(Anchor::Completion));
    let both = stated.guard(ms(40)).paced(6).anchor(Anchor::Completion);
    assert_eq!(stated.counted_as([early, late]), both);
    assert_eq!(stated.counted_as([late, early]), both, "in any order");
    assert_eq!(stated.guard(ms(90)).paced(2).counted_as([early]), early, "who states it has no word of his own");
    let bucket = stated.burst(3);
    assert_eq!(bucket.counted_as([late]), bucket, "what cannot be kept is not in force");
}
