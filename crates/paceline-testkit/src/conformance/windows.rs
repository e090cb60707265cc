//! What each algorithm promises of any window.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::{Algorithm, Anchor, LimitSet, Quota};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::{Place, is_not_now, made, settle_down, soon, waiting};

const AMOUNT: u64 = 20;
const BURST: u64 = 7;
const LARGEST: u64 = 5;
const PERIOD: Duration = Duration::from_secs(1);
const PERIODS: u32 = 4;

/// What any window of one period can hold: the table of [`Algorithm`].
fn bound(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::SlidingWindow => AMOUNT,
        Algorithm::TokenBucket | Algorithm::Gcra => AMOUNT + BURST,
        Algorithm::LeakyBucket => AMOUNT + LARGEST,
        _ => 2 * AMOUNT,
    }
}

/// Greedy callers get what is allowed and no more, by a plain list of what they got.
pub(super) async fn no_window_holds_more_than_promised(place: &impl Place) {
    let mut all = Vec::new();
    for (number, algorithm) in place.algorithms().into_iter().enumerate() {
        let quota = Quota::new(AMOUNT, PERIOD).algorithm(algorithm);
        let bucket = matches!(algorithm, Algorithm::TokenBucket | Algorithm::Gcra);
        let quota = if bucket { quota.burst(BURST) } else { quota };
        let set = made(place, LimitSet::builder(format!("greedy-{number}")).rate("units", quota));
        all.push((algorithm, waiting(greedy(set))));
    }
    for (algorithm, admitted) in all {
        let mut admitted = admitted.await.expect("no panic");
        admitted.sort_unstable();
        for (at, (from, _)) in admitted.iter().enumerate() {
            let end = *from + PERIOD - place.lateness();
            let window = admitted[at..].iter().take_while(|(then, _)| *then < end);
            let units: u64 = window.map(|(_, units)| units).sum();
            assert!(units <= bound(algorithm), "{algorithm:?}: {units} units within one period");
        }
        let all: u64 = admitted.iter().map(|(_, units)| units).sum();
        assert!(all * 10 >= AMOUNT * u64::from(PERIODS) * 7, "{algorithm:?}: only {all} units came through");
    }
}

/// What three callers who never pause were granted, and when.
async fn greedy(set: LimitSet) -> Vec<(Instant, u64)> {
    let admitted = Arc::new(Mutex::new(Vec::new()));
    let end = Instant::now() + PERIOD * PERIODS;
    let callers: Vec<_> = (0..3)
        .map(|caller| {
            let (set, admitted) = (set.clone(), Arc::clone(&admitted));
            waiting(async move {
                let mut random = SmallRng::seed_from_u64(caller);
                while Instant::now() < end {
                    let units = random.random_range(1..=LARGEST);
                    drop(set.acquire([("units", units)]).await.expect("its turn comes"));
                    admitted.lock().expect("nobody panicked").push((Instant::now(), units));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic");
    }
    std::mem::take(&mut *admitted.lock().expect("nobody panicked"))
}

/// The unit that leaves the window first is the first that is there again, and not sooner.
pub(super) async fn a_window_is_exact_to_the_instant(place: &impl Place) {
    let set = made(place, LimitSet::builder("exact").rate("units", Quota::per_second(3)));
    let mut begun = Vec::new();
    for _ in 0..3 {
        drop(soon(set.acquire([("units", 1)])).await);
        begun.push(Instant::now());
        sleep(Duration::from_millis(200)).await;
    }
    for first in begun {
        drop(soon(set.acquire([("units", 1)])).await);
        let after = first.elapsed();
        let (least, most) = (PERIOD - place.lateness(), PERIOD + place.lateness() + Duration::from_millis(100));
        assert!((least..most).contains(&after), "{after:?}");
    }
}

/// A charge counts from when its permit came back, and until then.
pub(super) async fn charges_are_held_until_completion(place: &impl Place) {
    if !place.algorithms().contains(&Algorithm::SlidingWindow) {
        return;
    }
    let quota = Quota::per_second(1).anchor(Anchor::Completion);
    let set = made(place, LimitSet::builder("held").rate("units", quota));
    let held = soon(set.acquire([("units", 1)])).await;
    sleep(Duration::from_secs(3)).await;
    assert!(is_not_now(place, &set, &[("units", 1)]).await, "it is still out");
    drop(held);
    let began = Instant::now();
    settle_down(place).await;
    drop(soon(set.acquire([("units", 1)])).await);
    assert!(began.elapsed() >= PERIOD - place.lateness(), "after {:?}", began.elapsed());
}
