//! Who is next, and what becomes of those who go away.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use paceline::{Error, LimitSet, Priority, Quota};
use tokio::time::{Instant, sleep, timeout};

use super::{Place, described, is_not_now, made, settle_down, soon, waiting};

/// Whoever wants to know hears of a wait, once, and what it is for.
pub(super) async fn who_waits_is_told(place: &impl Place) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let set = made(place, described().on_wait(move |waiting| heard.lock().unwrap().push(waiting.limit.clone())));
    drop(soon(set.acquire([("calls", 2)])).await);
    assert!(told.lock().unwrap().is_empty(), "it did not wait");
    drop(soon(set.acquire(())).await);
    assert_eq!(*told.lock().unwrap(), [Some("calls".into())]);
}

/// First come, first served.
pub(super) async fn waits_in_order(place: &impl Place) {
    let set = made(place, described());
    drop(soon(set.acquire([("calls", 2)])).await);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..6 {
        let (set, order) = (set.clone(), Arc::clone(&order));
        tasks.push(waiting(async move {
            let permit = set.acquire(()).await.expect("its turn comes");
            order.lock().expect("nobody panicked").push(number);
            drop(permit);
        }));
        sleep(Duration::from_millis(1)).await;
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("nobody panicked"), [0, 1, 2, 3, 4, 5]);
}

/// Urgent ones before others, whoever came first.
pub(super) async fn urgent_demands_go_first(place: &impl Place) {
    let set = made(place, LimitSet::builder("urgent").concurrency(1));
    let held = soon(set.acquire(())).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for priority in [Priority::Low, Priority::Normal, Priority::High] {
        let (set, order) = (set.clone(), Arc::clone(&order));
        tasks.push(waiting(async move {
            let permit = set.request(()).priority(priority).acquire().await.expect("its turn comes");
            order.lock().expect("nobody panicked").push(priority);
            drop(permit);
        }));
        settle_down(place).await;
    }
    drop(held);
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("nobody panicked"), [Priority::High, Priority::Normal, Priority::Low]);
}

/// Whoever waits is not delayed by those who come after.
pub(super) async fn small_ones_pass_only_on_what_is_left_over(place: &impl Place) {
    let described = LimitSet::builder("passing").rate("tokens", Quota::per_second(10).burst(10)).resource("slots", 1);
    let set = made(place, described);
    // From before the charge: its answer takes its time.
    let began = Instant::now();
    let held = soon(set.acquire([("tokens", 4)])).await;
    let large = waiting({
        let set = set.clone();
        async move {
            drop(set.acquire([("tokens", 8), ("slots", 0)]).await.expect("its turn comes"));
            Instant::now()
        }
    });
    settle_down(place).await;
    assert!(is_not_now(place, &set, &[("tokens", 5), ("slots", 0)]).await, "there are 6, and somebody waits for 8");
    let at = large.await.expect("no panic");
    let waited = at - began;
    assert!(waited >= Duration::from_millis(200), "{waited:?} for the two that were missing");
    assert!(waited <= Duration::from_millis(280), "{waited:?}: somebody passed");
    drop(held);
}

/// A deadline ends a wait; one that cannot be met is an error at once.
pub(super) async fn keeps_deadlines(place: &impl Place) {
    let set = made(place, described());
    drop(soon(set.acquire([("calls", 2)])).await);
    settle_down(place).await;
    let began = Instant::now();
    let error = set.request(()).within(Duration::from_millis(50)).acquire().await.expect_err("a second is needed");
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_millis(50), "told after {:?}", began.elapsed());
    let held = (soon(set.acquire(())).await, soon(set.acquire(())).await);
    let began = Instant::now();
    let error = set.request(()).within(Duration::from_secs(3)).acquire().await.expect_err("nobody gives back");
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
    let waited = began.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_millis(3_100)).contains(&waited), "{waited:?}");
    drop(held);
}

/// A wait that is given up does not hold up those behind it.
pub(super) async fn a_dropped_wait_leaves_nothing(place: &impl Place) {
    let set = made(place, described());
    drop(soon(set.acquire([("tokens", 100)])).await);
    let large = timeout(Duration::from_millis(100), set.acquire([("tokens", 100)])).await;
    assert!(large.is_err(), "100 tokens are not there within 100 ms");
    drop(soon(set.acquire([("tokens", 1)])).await);
    settle_down(place).await;
    assert_eq!(set.snapshot().waiting, 0);
    assert_eq!(set.snapshot().active, 0);
}

/// A grant whose future is dropped before it is looked at is as if it had not been.
pub(super) async fn a_grant_that_nobody_took_is_undone(place: &impl Place) {
    let set = made(place, LimitSet::builder("undone").rate("tokens", Quota::per_hour(100)).concurrency(1));
    let held = soon(set.acquire(())).await;
    let mut wait = Box::pin(set.acquire([("tokens", 70)]));
    let begun = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(begun.is_pending());
    drop(held);
    settle_down(place).await;
    drop(wait);
    settle_down(place).await;
    assert_eq!(set.snapshot().limit("tokens").expect("it is there").used, 0);
    drop(soon(set.acquire([("tokens", 100)])).await);
}
