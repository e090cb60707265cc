//! Processes that share a set over one store.

use std::time::{Duration, Instant};

use paceline::{Error, LimitSet, LimitSetBuilder, Quota};
use paceline_testkit::process::Process;
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, set, soon, until};

const AMOUNT: u64 = 100;

fn described(capacity: u64) -> impl FnOnce(LimitSetBuilder) -> LimitSetBuilder {
    move |set| set.calls(Quota::per_hour(AMOUNT).burst(AMOUNT)).concurrency(capacity)
}

fn holder(server: &Server, capacity: u64) -> Process {
    let mut process = Process::start(server.url(), "hold", &[AMOUNT.to_string(), capacity.to_string()]);
    assert_eq!(process.says(), "ready");
    process
}

#[tokio::test]
async fn two_processes_share_a_bucket_and_a_resource_in_real_time() {
    let server = Server::start();
    let set = set(&server, described(2)).await;
    let mut other = holder(&server, 2);
    let first = soon(set.acquire(())).await;
    other.tell("take");
    assert_eq!(other.says(), "taken");
    let late = set.request(()).within(Duration::from_millis(50)).acquire().await;
    assert!(matches!(late, Err(Error::DeadlineExceeded { .. })), "two are out");
    first.release().await.unwrap();
    let second = soon(set.acquire(())).await;
    other.tell("give");
    assert_eq!(other.says(), "given");
    until("the news", || set.snapshot().active == 1).await;
    let snapshot = set.snapshot();
    assert_eq!((snapshot.granted, snapshot.members), (3, 2));
    assert_eq!(snapshot.limit("calls").unwrap().used, 3);
    drop(second);
    until("the end", || set.snapshot().active == 0).await;
}

#[tokio::test]
async fn who_joins_is_counted_by_all_without_a_question_in_real_time() {
    let server = Server::start();
    let join = async || {
        let shared = options(&server).lease(Duration::from_secs(60)).connect().await.unwrap();
        let set = described(1)(LimitSet::builder("set")).backend(shared.clone()).build().unwrap();
        until("it to join", || set.try_snapshot().is_ok()).await;
        (shared, set)
    };
    let (shared, first) = join().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (before, mut others) = (shared.round_trips(), Vec::new());
    for count in 2..5 {
        others.push(join().await);
        until("the news", || first.snapshot().members == count).await;
    }
    assert_eq!(shared.round_trips(), before);
}

#[tokio::test]
async fn a_wait_is_ended_by_another_process_in_real_time() {
    let server = Server::start();
    let set = set(&server, described(1)).await;
    let mut other = holder(&server, 1);
    other.tell("take");
    assert_eq!(other.says(), "taken");
    let (permit, ()) = tokio::join!(soon(set.acquire(())), async {
        until("the wait", || set.snapshot().waiting == 1).await;
        other.tell("give");
    });
    assert_eq!(other.says(), "given");
    other.tell("take");
    tokio::time::sleep(Duration::from_millis(50)).await;
    permit.release().await.unwrap();
    assert_eq!(other.says(), "taken");
}

#[tokio::test]
async fn what_half_of_the_holders_had_is_free_within_a_lease_of_their_death_in_real_time() {
    const HOLDERS: u64 = 4;
    let server = Server::start();
    let set = set(&server, described(2 * HOLDERS)).await;
    let mut holders: Vec<_> = (0..HOLDERS).map(|_| holder(&server, 2 * HOLDERS)).collect();
    for holder in &mut holders {
        for _ in 0..2 {
            holder.tell("take");
            assert_eq!(holder.says(), "taken");
        }
    }
    until("all to be out", || set.snapshot().active == 2 * HOLDERS).await;
    let died = Instant::now();
    holders.drain(..HOLDERS as usize / 2).for_each(|mut holder| holder.kill());
    let mut free = Vec::new();
    for _ in 0..HOLDERS {
        free.push(soon(set.acquire(())).await);
    }
    let after = died.elapsed();
    println!("all is free again after {after:?}");
    assert!(after < LEASE + Duration::from_millis(500), "{after:?}");
    let late = set.request(()).within(Duration::from_millis(50)).acquire().await;
    assert!(late.is_err(), "the others live");
    assert_eq!(set.snapshot().members, 1 + HOLDERS as usize / 2);
    assert_eq!(set.snapshot().limit("calls").unwrap().used, 3 * HOLDERS, "what was charged stays charged");
    for holder in &mut holders {
        holder.tell("asked");
        assert_eq!(holder.says(), "0");
    }
}

#[tokio::test]
async fn a_holder_that_outslept_its_lease_knows_it_in_real_time() {
    let server = Server::start();
    let set = set(&server, described(1)).await;
    let mut sleeper = holder(&server, 1);
    sleeper.tell("take");
    assert_eq!(sleeper.says(), "taken");
    sleeper.signal("-STOP");
    let permit = soon(set.acquire(())).await;
    sleeper.signal("-CONT");
    sleeper.tell("asked");
    assert_eq!(sleeper.says(), "1");
    sleeper.tell("give");
    assert_eq!(sleeper.says(), "given");
    assert!(!permit.is_lost());
    tokio::time::sleep(2 * LEASE).await;
    assert!(!permit.is_lost(), "it is renewed");
    // It goes on as somebody new.
    sleeper.tell("take");
    tokio::time::sleep(Duration::from_millis(50)).await;
    permit.release().await.unwrap();
    assert_eq!(sleeper.says(), "taken");
}
