//! Changes of a set that is in use.

use std::time::Duration;

use paceline::{ChangeError, Error, LimitSet, Quota, ServerState, Verdict};
use tokio::time::{Instant, sleep, timeout};

use super::{Place, at_once, described, is_not_now, made, settle_down, soon, waiting};

/// More room wakes those who wait; less is a debt that permits pay as they return.
pub(super) async fn capacities_grow_and_shrink(place: &impl Place) {
    let set = made(place, LimitSet::builder("sized").concurrency(2));
    let mut held = vec![soon(set.acquire(())).await, soon(set.acquire(())).await];
    let third = waiting({
        let set = set.clone();
        async move { set.acquire(()).await.map(paceline::Permit::into_owned) }
    });
    settle_down(place).await;
    set.set_capacity("concurrency", 3).expect("a resource");
    let third =
        timeout(Duration::from_secs(5), third).await.expect("in time").expect("no panic").expect("room for three");
    set.set_capacity("concurrency", 1).expect("a resource");
    settle_down(place).await;
    assert_eq!(set.snapshot().limit("concurrency").expect("it is there").debt, 2);
    drop(held.pop());
    drop(held.pop());
    settle_down(place).await;
    assert!(is_not_now(place, &set, &[]).await, "one is out, and one may be");
    drop(third);
    settle_down(place).await;
    drop(soon(set.acquire(())).await);
}

/// What stands charged stays, whatever the quota.
pub(super) async fn quotas_change(place: &impl Place) {
    let set = made(place, LimitSet::builder("quota").rate("tokens", Quota::per_hour(10)));
    drop(soon(set.acquire([("tokens", 10)])).await);
    assert!(is_not_now(place, &set, &[("tokens", 1)]).await);
    set.set_quota("tokens", Quota::per_hour(15)).expect("a rate");
    settle_down(place).await;
    assert!(is_not_now(place, &set, &[("tokens", 6)]).await, "ten of fifteen are gone");
    drop(soon(set.acquire([("tokens", 5)])).await);
    set.set_quota("tokens", Quota::per_hour(3)).expect("a rate");
    settle_down(place).await;
    let error = set.try_acquire([("tokens", 4)]).expect_err("four of three");
    assert!(matches!(error, Error::TooLarge { capacity: 3, .. }), "{error}");
}

/// Nothing is granted while the gate is closed, to nobody.
pub(super) async fn a_gate_holds_everybody_back(place: &impl Place) {
    let set = made(place, described());
    let other = place.other(&set, described()).expect("the same description");
    set.pause_for(Duration::from_millis(700)).expect("it is reachable");
    settle_down(place).await;
    assert!(is_not_now(place, &other, &[]).await);
    set.pause_for(Duration::from_millis(1)).expect("it is reachable");
    settle_down(place).await;
    assert!(is_not_now(place, &other, &[]).await, "a shorter pause ends no longer one");
    let began = Instant::now();
    drop(soon(other.acquire(())).await);
    let waited = began.elapsed();
    assert!((Duration::from_millis(300)..Duration::from_millis(900)).contains(&waited), "{waited:?}");
    set.pause_for(Duration::from_secs(3_600)).expect("it is reachable");
    settle_down(place).await;
    other.resume().expect("it is reachable");
    settle_down(place).await;
    drop(at_once(place, &set, &[]).await);
}

/// One permit's refusal that names a wait is everybody's pause.
pub(super) async fn a_refusal_pauses_everybody(place: &impl Place) {
    let set = made(place, described());
    let other = place.other(&set, described()).expect("the same description");
    let permit = soon(set.acquire(())).await;
    permit.report(Verdict::RateLimited { retry_after: Some(Duration::from_secs(2)) });
    drop(permit);
    settle_down(place).await;
    assert!(is_not_now(place, &other, &[]).await);
    sleep(Duration::from_millis(2_100)).await;
    drop(soon(other.acquire(())).await);
}

/// What the service says remains is what remains, less what was charged since.
pub(super) async fn the_service_has_the_last_word(place: &impl Place) {
    let set = made(place, LimitSet::builder("synced").rate("tokens", Quota::per_hour(100)));
    let permit = soon(set.acquire([("tokens", 10)])).await;
    drop(soon(set.acquire([("tokens", 5)])).await);
    permit.sync("tokens", ServerState { remaining: Some(40), ..ServerState::default() }).expect("a rate");
    settle_down(place).await;
    assert_eq!(set.snapshot().limit("tokens").expect("it is there").available, 35, "5 were charged since");
    let more = ServerState { remaining: Some(70), ..ServerState::default() };
    set.sync("tokens", more).expect("a rate");
    settle_down(place).await;
    assert_eq!(set.snapshot().limit("tokens").expect("it is there").available, 35, "its word only lowers");
    set.sync("tokens", ServerState { authoritative: true, ..more }).expect("a rate");
    settle_down(place).await;
    assert_eq!(set.snapshot().limit("tokens").expect("it is there").available, 70);
    drop(permit);
}

/// Rates are full again; what is out of a resource is out.
pub(super) async fn resets(place: &impl Place) {
    let set = made(place, LimitSet::builder("reset").rate("tokens", Quota::per_hour(10)).concurrency(2));
    let held = soon(set.acquire([("tokens", 10)])).await;
    set.reset().expect("it is reachable");
    settle_down(place).await;
    let snapshot = set.snapshot();
    assert_eq!(snapshot.limit("tokens").expect("it is there").used, 0);
    assert_eq!(snapshot.limit("concurrency").expect("it is there").used, 1);
    held.settle([("tokens", 0)]).expect("a known key");
    drop(held);
    settle_down(place).await;
    assert_eq!(set.snapshot().limit("tokens").expect("it is there").available, 10, "what came before gives nothing");
}

/// Whoever waits learns of it, and nothing more is granted.
pub(super) async fn closing_ends_all_waits(place: &impl Place) {
    let set = made(place, described());
    let held = (soon(set.acquire(())).await, soon(set.acquire(())).await);
    let queued = waiting({
        let set = set.clone();
        async move { set.acquire(()).await.map(drop) }
    });
    settle_down(place).await;
    set.close().expect("it is reachable");
    let ended = timeout(Duration::from_secs(5), queued).await.expect("in time").expect("no panic");
    assert!(matches!(ended, Err(Error::Closed { .. })), "{ended:?}");
    assert!(matches!(set.try_acquire(()), Err(Error::Closed { .. })));
    assert!(matches!(set.acquire(()).await, Err(Error::Closed { .. })));
    drop(held);
    settle_down(place).await;
    assert!(set.snapshot().closed);
    assert_eq!(set.snapshot().active, 0);
}

/// A change that makes no sense is an error, and no change.
pub(super) async fn wrong_changes_change_nothing(place: &impl Place) {
    let set = made(place, described());
    let is = |result: Result<(), Error>, wrong: ChangeError| match result {
        Err(Error::Limit { source, .. }) => assert_eq!(source, wrong),
        other => panic!("{other:?} instead of {wrong}"),
    };
    // Nobody has looked at it so far.
    drop(set.snapshot());
    settle_down(place).await;
    let before = set.snapshot();
    is(set.set_capacity("tokens", 3), ChangeError::NotAResource);
    is(set.set_capacity("concurrency", 0), ChangeError::ZeroCapacity);
    is(set.set_quota("concurrency", Quota::per_second(1)), ChangeError::NotARate);
    is(set.sync("concurrency", ServerState::default()), ChangeError::NotARate);
    assert!(matches!(set.set_quota("tokens", Quota::per_second(0)), Err(Error::Limit { .. })));
    assert!(matches!(set.set_capacity("none", 1), Err(Error::UnknownKey { .. })));
    assert_eq!(set.snapshot(), before);
}
