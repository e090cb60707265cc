//! The behaviour that every backend owes, as checks that panic.
//!
//! They speak to a backend through [`LimitSet`], as its users do, and to the seam itself where a user cannot (an answer
//! that was lost). Each needs a fresh backend and a tokio runtime; under a paused clock they take no time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paceline::backend::{Answer, Ask, LimitSpec, PermitId, Remote};
use paceline::{Error, LimitSet, Priority, Quota};

/// A set of 2 calls a second, 100 tokens a second and 2 at once.
fn set<B: Remote + Clone>(backend: &B) -> LimitSet {
    let backend: Arc<dyn Remote> = Arc::new(backend.clone());
    let set = LimitSet::builder("conformance").calls(Quota::per_second(2)).rate("tokens", Quota::per_second(100));
    set.concurrency(2).backend(backend).build().expect("the description is sound")
}

/// Runs every check on a fresh backend each.
pub async fn all<B: Remote + Clone, F: Future<Output = B>>(fresh: impl Fn() -> F) {
    grants_all_or_nothing(fresh().await).await;
    gives_back_what_is_dropped(fresh().await).await;
    waits_in_order(fresh().await).await;
    a_dropped_wait_leaves_nothing(fresh().await).await;
    asking_again_charges_once(fresh().await).await;
    settles(fresh().await).await;
    refuses_what_can_never_be(fresh().await).await;
    keeps_deadlines(fresh().await).await;
    names_what_differs(fresh().await).await;
}

/// A demand that does not fit on one limit is charged on none.
pub async fn grants_all_or_nothing<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    let first = set.acquire([("tokens", 60)]).await.expect("there is room");
    let error = set.try_acquire([("tokens", 60)]).expect_err("60 and 60 are more than 100");
    assert!(matches!(error, Error::NotNow { .. }), "{error}");
    let second = set.try_acquire([("tokens", 40)]).expect("nothing of the refused demand was charged");
    drop((first, second));
}

/// Dropping a permit gives its resource back.
pub async fn gives_back_what_is_dropped<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    let held = (set.acquire(()).await.expect("room"), set.acquire(()).await.expect("room"));
    drop(held);
    let again = tokio::time::timeout(Duration::from_secs(5), set.acquire(())).await.expect("in time");
    again.expect("two are back").release().await.expect("it is reachable");
}

/// First come, first served.
pub async fn waits_in_order<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    drop(set.acquire([("calls", 2)]).await.expect("room"));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..6 {
        let (set, order) = (set.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let permit = set.acquire(()).await.expect("its turn comes");
            order.lock().expect("nobody panicked").push(number);
            drop(permit);
        }));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for task in tasks {
        task.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("nobody panicked"), [0, 1, 2, 3, 4, 5]);
}

/// A wait that is given up does not hold up those behind it.
pub async fn a_dropped_wait_leaves_nothing<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    drop(set.acquire([("tokens", 100)]).await.expect("room"));
    let large = tokio::time::timeout(Duration::from_millis(100), set.acquire([("tokens", 100)])).await;
    assert!(large.is_err(), "100 tokens are not there within 100 ms");
    let small = tokio::time::timeout(Duration::from_secs(5), set.acquire([("tokens", 1)])).await;
    drop(small.expect("in time").expect("room"));
}

/// Asking twice with one id, as after an answer that was lost, charges once.
pub async fn asking_again_charges_once<B: Remote + Clone>(backend: B) {
    let limits = [("tokens".into(), LimitSpec::Rate(Quota::per_second(100)))];
    let home = backend.open(&"again".into(), &limits).expect("it opens");
    let ask = |id, units| Ask {
        permit: PermitId(id),
        demand: [(0, units)].into_iter().collect(),
        priority: Priority::Normal,
        waited: Duration::ZERO,
        within: None,
    };
    for _ in 0..3 {
        assert_eq!(home.acquire(&ask(1, 60)).await, Ok(Answer::Granted));
    }
    assert_eq!(home.acquire(&ask(2, 40)).await, Ok(Answer::Granted), "60 were charged once, not three times");
    home.release(PermitId(1)).await.expect("it is out");
    home.release(PermitId(1)).await.expect("giving back twice is no error");
}

/// An estimate is corrected both ways.
pub async fn settles<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    let permit = set.acquire([("tokens", 90)]).await.expect("room");
    permit.settle([("tokens", 10)]).expect("a known key");
    assert_eq!(permit.charged("tokens"), Ok(10));
    drop(permit);
    let second = tokio::time::timeout(Duration::from_millis(500), set.acquire([("tokens", 90)])).await;
    drop(second.expect("80 came back at once").expect("room"));
}

/// A demand beyond a limit is an error at once.
pub async fn refuses_what_can_never_be<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    let error = set.acquire([("tokens", 101)]).await.expect_err("101 of 100");
    assert!(matches!(error, Error::TooLarge { asked: 101, capacity: 100, .. }), "{error}");
}

/// A deadline ends a wait.
pub async fn keeps_deadlines<B: Remote + Clone>(backend: B) {
    let set = set(&backend);
    drop(set.acquire([("calls", 2)]).await.expect("room"));
    let error = set.request(()).within(Duration::from_millis(50)).acquire().await.expect_err("a second is needed");
    assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
}

/// Two descriptions of one set are told apart.
pub async fn names_what_differs<B: Remote + Clone>(backend: B) {
    let name: Arc<str> = "twice".into();
    let limits = |units| [("tokens".into(), LimitSpec::Rate(Quota::per_second(units)))];
    backend.open(&name, &limits(1)).expect("it opens");
    backend.open(&name, &limits(1)).expect("the same again is fine");
    let error = backend.open(&name, &limits(2)).expect_err("another quota");
    assert!(error.message.contains("twice"), "{error}");
}
