//! Whether the store has heard what was done, before whoever did it goes.

use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_redis::{Options, Outage, Redis};
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, soon, until};

const AWAY: Duration = Duration::from_secs(1);

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(100).burst(100)).concurrency(100)
}

async fn set(options: Options) -> (Redis, LimitSet) {
    let shared = options.connect().await.unwrap();
    let set = described(LimitSet::builder("set")).backend(shared.clone()).build().unwrap();
    (shared, set)
}

fn patient(server: &Server) -> Options {
    Redis::options(&server.url()).lease(4 * LEASE).response_timeout(2 * LEASE).outage(Outage::Open)
}

#[tokio::test]
async fn all_that_was_done_has_arrived_and_who_was_let_go_of_has_left_in_real_time() {
    let server = Server::start();
    let link = Delaying::before(server.address());
    let (shared, one) = set(options(&server)).await;
    drop(soon(one.acquire(())).await);
    drop((one, shared));
    until("it to leave", || server.ask(&["EXISTS", "{paceline:set}:members"]) == "0").await;
    let (shared, one) = set(Redis::options(&server.url_at(link.address()))).await;
    soon(one.acquire(())).await.settle([("calls", 7)]).unwrap();
    link.delay(Duration::from_millis(30), Duration::ZERO);
    // While one batch is on its way, the rest comes together for the next.
    one.reset().unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    one.pause_for(Duration::from_secs(3_600)).unwrap();
    one.set_capacity("concurrency", 5).unwrap();
    drop(one);
    shared.flush().await.unwrap();
    link.refuse();
    assert_eq!(server.ask(&["EXISTS", "{paceline:set}:members"]), "0", "it has left");
    let (_other, other) = set(options(&server)).await;
    until("it", || other.try_snapshot().is_ok()).await;
    let seen = other.snapshot();
    assert_eq!((seen.limit("calls").unwrap().used, seen.limit("concurrency").unwrap().capacity), (0, 5));
    assert!(seen.paused.is_some() && seen.active == 0, "{seen:?}");
    shared.flush().await.expect("there is nothing to tell");
}

/// Who has left is no member again, whatever its last word was answered.
#[tokio::test]
async fn who_leaves_does_so_once_though_the_answer_to_it_is_lost_in_real_time() {
    for lost in [false, true] {
        let server = Server::start();
        let link = Delaying::before(server.address());
        let (_other, other) = set(options(&server)).await;
        let (shared, one) = set(Redis::options(&server.url_at(link.address()))).await;
        for _ in 0..5 {
            soon(one.acquire(())).await.release().await.unwrap();
        }
        soon(other.acquire(())).await.release().await.unwrap();
        link.delay(Duration::from_millis(30), Duration::ZERO);
        drop(one);
        let mut flushes = vec![tokio::spawn({
            let shared = shared.clone();
            async move { shared.flush().await }
        })];
        until("it to leave", || server.ask(&["ZCARD", "{paceline:set}:members"]) == "1").await;
        if lost {
            link.cut();
        }
        flushes.push(tokio::spawn(async move { shared.flush().await }));
        let mut told = Vec::new();
        for flush in flushes {
            told.push(flush.await.unwrap().is_ok());
        }
        assert!(lost || told == [true, true], "{told:?}");
        assert_eq!(server.ask(&["ZCARD", "{paceline:set}:members"]), "1", "lost: {lost}");
        soon(other.acquire(())).await.release().await.unwrap();
        assert_eq!(other.snapshot().limit("calls").unwrap().used, 7, "lost: {lost}");
    }
}

#[tokio::test]
async fn who_cannot_tell_is_told_so_in_time_in_real_time() {
    let mut server = Server::start();
    let (shared, one) = set(options(&server)).await;
    soon(one.acquire(())).await.release().await.unwrap();
    server.kill();
    one.reset().unwrap();
    let began = Instant::now();
    let error = shared.flush().await.expect_err("nobody hears it");
    assert!(error.retryable && error.message.contains("cannot reach Redis"), "{error}");
    one.reset().unwrap();
    drop(one);
    shared.flush().await.expect_err("nobody hears it");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_was_used_alone_is_told_by_who_is_let_go_of_meanwhile_in_real_time() {
    let mut server = Server::options().persistent().start();
    let (shared, one) = set(patient(&server)).await;
    soon(one.acquire(())).await.release().await.unwrap();
    server.kill();
    let used: Vec<_> = futures_util::future::join_all((0..9).map(|_| soon(one.acquire(())))).await;
    drop(used);
    drop(one);
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.restart();
    shared.flush().await.unwrap();
    let (_other, other) = set(options(&server)).await;
    until("it", || other.try_snapshot().is_ok()).await;
    assert_eq!(other.snapshot().limit("calls").unwrap().used, 10);
}

#[tokio::test]
async fn a_pause_that_is_told_late_is_shorter_by_that_in_real_time() {
    let mut server = Server::options().persistent().start();
    let (shared, one) = set(patient(&server)).await;
    soon(one.acquire(())).await.release().await.unwrap();
    server.kill();
    until("the outage", || one.try_snapshot().is_err()).await;
    // So long that it is not over, however slow this machine is.
    let (paused, length) = (Instant::now(), AWAY + Duration::from_secs(10));
    one.pause_for(length).unwrap();
    tokio::time::sleep(AWAY).await;
    server.restart();
    shared.flush().await.unwrap();
    let (_other, other) = set(options(&server)).await;
    until("it", || other.try_snapshot().is_ok()).await;
    let left = other.snapshot().paused.expect("it is not over");
    let over = (paused + length).saturating_duration_since(Instant::now());
    assert!(
        left <= over + Duration::from_millis(100) && left + Duration::from_millis(300) >= over,
        "{left:?} {over:?}"
    );
}
