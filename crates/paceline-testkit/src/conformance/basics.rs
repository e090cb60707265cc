//! Granting, giving back, correcting.

use std::time::Duration;

use paceline::{Error, LimitSet, Quota};
use tokio::time::sleep;

use super::{Place, at_once, described, is_not_now, made, settle_down, soon};

/// A demand that does not fit on one limit is charged on none.
pub(super) async fn grants_all_or_nothing(place: &impl Place) {
    let set = made(place, described());
    let first = soon(set.acquire([("tokens", 60)])).await;
    assert!(is_not_now(place, &set, &[("tokens", 60)]).await, "60 and 60 are more than 100");
    let second = at_once(place, &set, &[("tokens", 40)]).await;
    drop((first, second));
}

/// Dropping a permit gives its resource back, and so does releasing it.
pub(super) async fn gives_back_what_is_dropped(place: &impl Place) {
    let set = made(place, LimitSet::builder("dropped").concurrency(2));
    let held = (soon(set.acquire(())).await, soon(set.acquire(())).await);
    assert!(is_not_now(place, &set, &[]).await);
    drop(held);
    settle_down(place).await;
    let again = soon(set.acquire([("concurrency", 2)])).await;
    again.release().await.expect("it is reachable");
    drop(soon(set.acquire([("concurrency", 2)])).await);
}

/// Nothing is limited by no limits.
pub(super) async fn an_empty_set_never_waits(place: &impl Place) {
    let set = made(place, LimitSet::builder("empty"));
    for _ in 0..100 {
        drop(set.acquire(()).await.expect("there is nothing to wait for"));
    }
}

/// An estimate is corrected downwards, and what is left over is there for others at once.
pub(super) async fn settles(place: &impl Place) {
    let set = made(place, described());
    let permit = soon(set.acquire([("tokens", 90)])).await;
    permit.settle([("tokens", 10)]).expect("a known key");
    assert_eq!(permit.charged("tokens"), Ok(10));
    drop(permit);
    let second = tokio::time::timeout(Duration::from_millis(500), set.acquire([("tokens", 90)])).await;
    drop(second.expect("80 came back at once").expect("room"));
}

/// What has left the window is not given back a second time.
pub(super) async fn late_refunds_give_nothing(place: &impl Place) {
    let set = made(place, LimitSet::builder("late").rate("tokens", Quota::per_second(100)));
    let early = soon(set.acquire([("tokens", 90)])).await;
    sleep(Duration::from_millis(1_100)).await;
    let late = soon(set.acquire([("tokens", 100)])).await;
    early.settle([("tokens", 0)]).expect("a known key");
    drop((early, late));
    settle_down(place).await;
    assert!(is_not_now(place, &set, &[("tokens", 1)]).await, "90 of a window that is over");
}

/// More than the estimate is charged, and later demands wait for it.
pub(super) async fn overruns_are_a_debt(place: &impl Place) {
    let set = made(place, LimitSet::builder("debt").rate("tokens", Quota::per_second(100).burst(100)));
    let permit = soon(set.acquire([("tokens", 50)])).await;
    permit.settle([("tokens", 300)]).expect("a known key");
    let began = tokio::time::Instant::now();
    settle_down(place).await;
    let debt = set.snapshot().limit("tokens").expect("it is there").debt;
    assert!((180..=200).contains(&debt), "{debt} instead of 200 less what has drained");
    drop(soon(set.acquire([("tokens", 1)])).await);
    assert!(began.elapsed() >= Duration::from_millis(1_900), "after {:?}", began.elapsed());
    drop(permit);
}

/// A demand beyond a limit is an error at once.
pub(super) async fn refuses_what_can_never_be(place: &impl Place) {
    let set = made(place, described());
    let error = set.acquire([("tokens", 101)]).await.expect_err("101 of 100");
    assert!(matches!(error, Error::TooLarge { asked: 101, capacity: 100, .. }), "{error}");
    let error = set.try_acquire([("tokens", 101)]).expect_err("101 of 100");
    assert!(matches!(error, Error::TooLarge { asked: 101, capacity: 100, .. }), "{error}");
}

/// Everybody who has a handle shares what it allows.
pub(super) async fn others_share_it(place: &impl Place) {
    let set = made(place, described());
    let other = place.other(&set, described()).expect("the same description");
    let held = (soon(set.acquire(())).await, soon(other.acquire(())).await);
    assert!(is_not_now(place, &set, &[]).await);
    assert!(is_not_now(place, &other, &[]).await);
    drop(held);
}

/// Every figure a monitor would want.
pub(super) async fn says_how_it_stands(place: &impl Place) {
    let set = made(place, described());
    let held = (soon(set.acquire([("tokens", 30)])).await, soon(set.acquire([("tokens", 10)])).await);
    let queued = super::waiting({
        let set = set.clone();
        async move { drop(set.acquire(()).await) }
    });
    settle_down(place).await;
    set.pause_for(Duration::from_secs(60)).expect("it is reachable");
    settle_down(place).await;
    let snapshot = set.snapshot();
    let tokens = snapshot.limit("tokens").expect("it is there");
    assert_eq!((tokens.used, tokens.available, tokens.capacity, tokens.debt), (40, 60, 100, 0));
    let at_once = snapshot.limit("concurrency").expect("it is there");
    assert_eq!((at_once.used, at_once.available, at_once.capacity), (2, 0, 2));
    assert_eq!((snapshot.granted, snapshot.active, snapshot.waiting, snapshot.closed), (2, 2, 1, false));
    let paused = snapshot.paused.expect("it is paused");
    assert!((Duration::from_secs(59)..=Duration::from_secs(60)).contains(&paused), "{paused:?}");
    drop(held);
    queued.abort();
}
