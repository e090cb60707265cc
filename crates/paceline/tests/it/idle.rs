//! Promises 1 and 2 through the public face: with a backlog no algorithm idles, and none exceeds what it states.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::{Algorithm, LimitSet, ManualClock, Quota};
use tokio::time::Instant;

use crate::support::{Dice, millis, secs, worst_window};

const HOUR: Duration = secs(3_600);

/// Admissions `(instant, units)` of a time with twenty tasks that always want more.
async fn backlog(quota: Quota, sizes: &'static [u64], lasting: Duration) -> Vec<(u64, u64)> {
    let set = LimitSet::builder("backlog").rate("units", quota).build().unwrap();
    let admissions = Arc::new(Mutex::new(Vec::new()));
    let end = Instant::now() + lasting;
    let tasks = (0..20_u64).map(|seed| {
        let (set, admissions) = (set.clone(), Arc::clone(&admissions));
        tokio::spawn(async move {
            let mut dice = Dice(seed);
            loop {
                let units = sizes[usize::try_from(dice.below(sizes.len() as u64)).unwrap()];
                let Ok(permit) = tokio::time::timeout_at(end, set.acquire([("units", units)])).await else { return };
                let at = permit.unwrap().admitted_at().as_nanos();
                admissions.lock().unwrap().push((at, units));
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    let mut admissions = std::mem::take(&mut *admissions.lock().unwrap());
    admissions.sort_unstable();
    admissions
}

fn share_used(admissions: &[(u64, u64)], quota: &Quota, lasting: Duration) -> f64 {
    let total: u64 = admissions.iter().map(|(_, units)| units).sum();
    let periods = lasting.as_secs_f64() / (quota.period() + quota.guard_pad()).as_secs_f64();
    total as f64 / (quota.amount() as f64 * periods)
}

async fn busy_and_within(quota: Quota, sizes: &'static [u64], allowed: u64) {
    let admissions = backlog(quota, sizes, HOUR).await;
    let (share, worst) = (share_used(&admissions, &quota, HOUR), worst_window(&admissions, quota.period()));
    assert!(share >= 0.995, "{quota:?}, {sizes:?}: {share:.4} of the quota is used");
    assert!(worst <= allowed, "{quota:?}, {sizes:?}: {worst} in one window, {allowed} are allowed");
}

#[tokio::test(start_paused = true)]
async fn a_sliding_window_is_full_for_an_hour_and_never_over() {
    busy_and_within(Quota::new(100, secs(10)), &[1], 100).await;
    busy_and_within(Quota::new(100, secs(10)).guard(millis(5)), &[1], 100).await;
    busy_and_within(Quota::per_minute(6_000), &[1, 2, 5, 20], 6_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_coalesced_sliding_window_idles_less_than_a_thousandth() {
    busy_and_within(Quota::per_minute(200_000), &[200, 1_500, 900], 200_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_paced_sliding_window_is_full_for_an_hour_and_never_over() {
    busy_and_within(Quota::new(100, secs(20)).paced(5), &[1], 100).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_bucket_is_used_for_an_hour_and_never_over() {
    busy_and_within(Quota::per_second(10).burst(20), &[1], 30).await;
    busy_and_within(Quota::per_second(20).burst(50), &[1, 2, 5, 20], 70).await;
}

#[tokio::test(start_paused = true)]
async fn gcra_is_used_for_an_hour_and_never_over() {
    busy_and_within(Quota::per_second(10).burst(20).algorithm(Algorithm::Gcra), &[1], 30).await;
}

#[tokio::test(start_paused = true)]
async fn a_leaky_bucket_is_used_for_an_hour_and_never_over() {
    busy_and_within(Quota::per_second(10).algorithm(Algorithm::LeakyBucket), &[1], 11).await;
    busy_and_within(Quota::per_second(20).algorithm(Algorithm::LeakyBucket), &[1, 2, 5, 20], 40).await;
}

#[tokio::test(start_paused = true)]
async fn a_sliding_counter_is_used_for_an_hour_and_at_most_twice_over() {
    busy_and_within(Quota::new(100, secs(10)).algorithm(Algorithm::SlidingCounter), &[1], 200).await;
    busy_and_within(Quota::per_second(7).algorithm(Algorithm::SlidingCounter), &[1], 14).await;
}

#[tokio::test(start_paused = true)]
async fn a_fixed_window_is_full_for_an_hour_and_twice_over_at_most_across_a_boundary() {
    let quota = Quota::new(100, secs(10)).algorithm(Algorithm::FixedWindow);
    busy_and_within(quota, &[1], 200).await;
    let admissions = backlog(quota, &[1], HOUR).await;
    let start = admissions[0].0;
    for window in admissions.chunk_by(|a, b| (a.0 - start) / 10_000_000_000 == (b.0 - start) / 10_000_000_000) {
        assert!(window.len() <= 100);
    }
}

/// Tokio's timers count whole milliseconds, so a demand that has to be alone in its bucket starts up to one late. It is
/// charged as of when it was due, so an even pace keeps its rate and still never exceeds amount + largest demand.
#[tokio::test(start_paused = true)]
async fn late_timers_cost_an_even_pace_nothing() {
    for per_second in [7, 30, 300, 900] {
        let even = Quota::per_second(per_second).algorithm(Algorithm::LeakyBucket);
        for quota in [even, Quota::per_second(per_second).burst(1)] {
            let admissions = backlog(quota, &[1], secs(100)).await;
            let share = share_used(&admissions, &quota, secs(100));
            assert!(share >= 0.995, "{quota:?}: {share:.4}");
            let worst = worst_window(&admissions, secs(1));
            assert!(worst <= per_second + 1, "{quota:?}: {worst} in one second");
        }
    }
}

/// The same hour by a clock that stops at exactly the right instants, for quotas that no timer divides.
#[test]
fn with_an_exact_clock_no_quota_idles() {
    use Algorithm::{FixedWindow, Gcra, LeakyBucket, SlidingCounter, SlidingWindow, TokenBucket};
    for (algorithm, over) in
        [(SlidingWindow, 0), (TokenBucket, 7), (Gcra, 7), (LeakyBucket, 3), (SlidingCounter, 7), (FixedWindow, 7)]
    {
        for (amount, period) in [(7, secs(1)), (7, Duration::from_nanos(999_999_937)), (7, millis(1_301))] {
            let quota = Quota::new(amount, period).algorithm(algorithm);
            let clock = ManualClock::default();
            let set = LimitSet::builder("exact").rate("units", quota).clock(clock.clone()).build().unwrap();
            let (mut admissions, mut dice) = (Vec::new(), Dice(7));
            let mut units = 1;
            let start = clock.now();
            while clock.now().since(start) < HOUR {
                match set.try_acquire([("units", units)]) {
                    Ok(permit) => {
                        admissions.push((permit.admitted_at().as_nanos(), units));
                        // Sizes that leave nothing of a window over.
                        units = if algorithm == LeakyBucket { 1 + dice.below(3) } else { 1 };
                    }
                    Err(error) => clock.advance(error.retry_after().unwrap_or_else(|| panic!("{error}"))),
                }
            }
            let (share, worst) = (share_used(&admissions, &quota, HOUR), worst_window(&admissions, period));
            assert!(share >= 0.995, "{quota:?}: {share:.4}");
            assert!(worst <= amount + over, "{quota:?}: {worst}");
        }
    }
}

/// The completion anchor: no window the server could have seen is over, wherever between asking and answering it counts.
#[tokio::test(start_paused = true)]
async fn held_until_completion_no_window_a_server_could_see_is_over() {
    let quota = Quota::per_second(20).anchor(paceline::Anchor::Completion);
    let set = LimitSet::builder("strict").calls(quota).build().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tasks = (0..40_u64).map(|seed| {
        let (set, seen) = (set.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            let mut dice = Dice(seed);
            for _ in 0..50 {
                let permit = set.acquire(()).await.unwrap();
                tokio::time::sleep(millis(dice.below(100))).await;
                seen.lock().unwrap().push((Instant::now(), 1));
                tokio::time::sleep(millis(dice.below(100))).await;
                drop(permit);
            }
        })
    });
    let start = Instant::now();
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    let mut seen: Vec<(u64, u64)> =
        seen.lock().unwrap().iter().map(|(at, n)| (u64::try_from((*at - start).as_nanos()).unwrap(), *n)).collect();
    seen.sort_unstable();
    assert!(worst_window(&seen, secs(1)) <= 20);
    let (ideal, latency) = (100.0, 0.1);
    assert!(start.elapsed().as_secs_f64() <= ideal * (1.0 + 2.0 * latency), "{:?}", start.elapsed());
}
