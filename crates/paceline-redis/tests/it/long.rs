//! A journal that grows, and those who are behind.

use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_redis::Redis;
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::Server;

use crate::support::{soon, until};

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(1_000_000)).rate("tokens", Quota::per_second(1_000).burst(1_000)).concurrency(4)
}

async fn set(url: &str) -> LimitSet {
    let shared = Redis::options(url).response_timeout(Duration::from_millis(500)).connect().await.unwrap();
    described(LimitSet::builder("set")).backend(shared).build().unwrap()
}

#[tokio::test]
async fn a_journal_is_cut_and_who_was_away_takes_an_image_in_real_time() {
    const ROUNDS: u64 = 1_500;
    let server = Server::start();
    let link = Delaying::before(server.address());
    let (one, other) = (set(&server.url()).await, set(&server.url_at(link.address())).await);
    let held = soon(other.acquire([("tokens", 5)])).await;
    link.stall();
    let began = Instant::now();
    for _ in 0..ROUNDS {
        soon(one.acquire(())).await.release().await.unwrap();
    }
    let entries: u64 = server.ask(&["LLEN", "{paceline:set}:journal"]).parse().unwrap();
    println!("{:?} an acquire and release; {entries} entries are left", began.elapsed() / ROUNDS as u32);
    assert!(entries < 2_048 + 256 + 256, "{entries} of {}", 2 * ROUNDS);
    let late = set(&server.url()).await;
    drop(soon(late.acquire([("calls", 0)])).await);
    link.heal();
    for set in [&late, &other, &one] {
        until("the image", || (set.snapshot().granted, set.snapshot().active) == (ROUNDS + 2, 1)).await;
        let snapshot = set.snapshot();
        assert_eq!(snapshot.limit("calls").unwrap().used, ROUNDS + 1);
        assert_eq!(snapshot.limit("concurrency").unwrap().used, 1);
    }
    assert!(!held.is_lost());
    held.release().await.unwrap();
    until("the news", || one.snapshot().active == 0).await;
}

#[tokio::test]
async fn who_joins_right_after_an_image_goes_on_in_real_time() {
    let server = Server::start();
    let one = set(&server.url()).await;
    let field = |name| server.ask(&["HGET", "{paceline:set}:head", name]);
    // What covers all that there is, and not just nothing.
    while field("image_at") == "0" || field("image_at") != field("tail") {
        soon(one.acquire(())).await.release().await.unwrap();
    }
    let before = one.snapshot().granted;
    let late = set(&server.url()).await;
    drop(soon(late.acquire(())).await);
    assert_eq!(late.snapshot().granted, before + 1);
}

#[tokio::test]
async fn a_slow_link_grants_each_once_in_real_time() {
    let server = Server::start();
    let link = Delaying::before(server.address());
    let (near, far) = (set(&server.url()).await, set(&server.url_at(link.address())).await);
    link.delay(Duration::from_millis(20), Duration::from_millis(10));
    let mut tasks = Vec::new();
    for (number, set) in [near.clone(), far.clone(), near.clone(), far.clone(), far.clone()].into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            for round in 0..12 {
                let permit = soon(set.acquire([("tokens", 10)])).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
                // Some are given back with a word, some without, some corrected.
                match (number + round) % 3 {
                    0 => permit.release().await.unwrap(),
                    1 => permit.settle([("tokens", 3)]).unwrap(),
                    _ => {}
                }
            }
        }));
    }
    // Answers get lost on the way.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(90)).await;
        link.cut();
    }
    for task in tasks {
        soon(task).await;
    }
    for set in [&near, &far] {
        until("all to be back", || set.snapshot().active == 0).await;
        assert_eq!(set.snapshot().limit("calls").unwrap().used, 60, "each counts once");
        assert_eq!(set.snapshot().waiting, 0);
    }
}
