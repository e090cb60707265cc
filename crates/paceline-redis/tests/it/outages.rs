//! The store goes away and comes back, with or without what it knew.

use std::time::{Duration, Instant};

use paceline::{Error, LimitSet, LimitSetBuilder, Quota};
use paceline_redis::Outage;
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, set, soon, until};

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(100).burst(100)).concurrency(2)
}

#[tokio::test]
async fn waiting_for_a_store_that_is_away_lasts_until_it_is_back_or_the_deadline_in_real_time() {
    let mut server = Server::start();
    let set = set(&server, described).await;
    drop(soon(set.acquire(())).await);
    server.kill();
    let began = Instant::now();
    let late = set.request(()).within(Duration::from_millis(500)).acquire().await;
    assert!(matches!(late, Err(Error::DeadlineExceeded { .. })), "{late:?}");
    assert!(began.elapsed() < Duration::from_millis(900));
    let waiting = tokio::spawn({
        let set = set.clone();
        async move { set.acquire(()).await.map(drop) }
    });
    server.restart();
    soon(waiting).await.unwrap();
    server.kill();
    let waiting = tokio::spawn({
        let set = set.clone();
        async move { set.acquire(()).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waiting.is_finished());
    set.close().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Error::Closed { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_store_that_forgets_all_is_told_again_in_real_time() {
    let mut server = Server::start();
    let (one, other) = (set(&server, described).await, set(&server, described).await);
    let (first, second) = (soon(one.acquire(())).await, soon(other.acquire(())).await);
    until("the news", || one.snapshot().active == 2 && other.snapshot().active == 2).await;
    for flush in [true, false] {
        if flush {
            server.flush()
        } else {
            server.restart()
        }
        // Both come back, whoever is first; nobody else gets what is out.
        let late = one.request(()).within(Duration::from_millis(250)).acquire().await;
        assert!(matches!(late, Err(Error::DeadlineExceeded { .. })), "{late:?}");
        until("the news", || other.snapshot().active == 2).await;
        assert!(!first.is_lost() && !second.is_lost());
        let snapshot = other.snapshot();
        assert_eq!(snapshot.limit("concurrency").unwrap().used, 2, "{snapshot:?}");
        assert_eq!(snapshot.limit("calls").unwrap().used, 2, "what was charged stays charged: {snapshot:?}");
    }
    first.release().await.unwrap();
    let third = soon(other.acquire(())).await;
    drop((second, third));
    until("all to be back", || one.snapshot().active == 0).await;
}

#[tokio::test]
async fn a_store_that_keeps_its_memory_goes_on_in_real_time() {
    let mut server = Server::options().persistent().start();
    let set = set(&server, described).await;
    let permit = soon(set.acquire(())).await;
    server.restart();
    drop(soon(set.acquire(())).await);
    assert!(!permit.is_lost());
    permit.release().await.unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().used, 2);
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_lost_in_real_time() {
    let server = Server::start();
    let set = set(&server, described).await;
    let permit = soon(set.acquire(())).await;
    server.stop();
    assert!(!permit.is_lost());
    let began = Instant::now();
    until("the loss", || permit.is_lost()).await;
    let after = began.elapsed();
    assert!(after <= LEASE + Duration::from_millis(50), "others can have it after a lease, not {after:?}");
    server.resume();
    let other = soon(set.acquire(())).await;
    assert!(!permit.is_lost() && !other.is_lost(), "nobody else had it meanwhile: it is held again");
    let late = set.request(()).within(Duration::from_millis(100)).acquire().await;
    assert!(matches!(late, Err(Error::DeadlineExceeded { .. })), "{late:?}");
    drop((permit, other));
    until("all to be back", || set.snapshot().active == 0).await;
}

#[tokio::test]
async fn a_wait_goes_on_over_a_short_outage_in_real_time() {
    let mut server = Server::start();
    let (one, other) = (set(&server, described).await, set(&server, described).await);
    let both = (soon(one.acquire(())).await, soon(one.acquire(())).await);
    until("the news", || other.snapshot().active == 2).await;
    let waiting = tokio::spawn(async move { other.acquire(()).await.map(drop) });
    until("the wait", || one.snapshot().waiting == 1).await;
    server.restart();
    tokio::time::sleep(Duration::from_millis(100)).await;
    both.0.release().await.unwrap();
    soon(waiting).await.unwrap();
    drop(both.1);
}

#[tokio::test]
async fn a_store_that_stands_still_is_away_for_many_sets_as_soon_as_for_one_in_real_time() {
    let server = Server::start();
    let shared = options(&server).outage(Outage::Open).connect().await.unwrap();
    let set = |number| described(LimitSet::builder(format!("set-{number}"))).backend(shared.clone()).build().unwrap();
    let sets: Vec<_> = (0..30).map(set).collect();
    for set in &sets {
        drop(soon(set.acquire(())).await);
    }
    server.stop();
    let began = Instant::now();
    let permits = futures_util::future::join_all(sets.iter().map(|set| set.acquire(()))).await;
    // Each of three failures takes a response timeout, or two where a connection is made.
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(permits.iter().all(Result::is_ok));
    server.resume();
}
