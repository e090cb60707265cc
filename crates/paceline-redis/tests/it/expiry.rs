//! Sets that nobody uses any more, and how long the store keeps them.

use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_redis::Options;
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, soon, until};

const KEYS: [&str; 3] = ["{paceline:set}:head", "{paceline:set}:journal", "{paceline:set}:members"];

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.rate("units", Quota::new(100, Duration::from_millis(500))).concurrency(2)
}

async fn set(options: Options) -> LimitSet {
    described(LimitSet::builder("set")).backend(options.connect().await.unwrap()).build().unwrap()
}

fn exist(server: &Server) -> usize {
    server.ask(&["EXISTS", KEYS[0], KEYS[1], KEYS[2]]).parse().unwrap()
}

/// For how many milliseconds more each key that is there is kept.
fn kept(server: &Server, keys: &[&str]) -> Vec<u64> {
    let left = keys.iter().map(|key| server.ask(&["PTTL", key]).parse::<i64>().unwrap());
    left.filter(|left| *left != -2).map(|left| left.try_into().expect("it expires")).collect()
}

fn expire_together(server: &Server) -> bool {
    let kept = kept(server, &KEYS);
    // Asked for one after another.
    kept.len() == 3 && kept.iter().all(|left| left.abs_diff(kept[0]) < 50)
}

fn days(count: u64) -> u64 {
    count * 24 * 60 * 60 * 1_000
}

#[tokio::test]
async fn what_nobody_uses_is_forgotten_as_one_in_real_time() {
    let server = Server::start();
    let one = set(options(&server).forget_after(LEASE)).await;
    soon(one.acquire([("units", 1)])).await.release().await.unwrap();
    drop(one);
    let began = Instant::now();
    until("it to leave", || exist(&server) == 2).await;
    until("the end", || match exist(&server) {
        0 => true,
        2 => false,
        some => panic!("{some} are left without the others"),
    })
    .await;
    let after = began.elapsed();
    assert!(after > LEASE - Duration::from_millis(100) && after < 2 * LEASE, "{after:?}");
    let shared = options(&server).connect().await.unwrap();
    assert!(shared.sets().await.unwrap().is_empty());
    let next = set(options(&server)).await;
    soon(next.acquire([("units", 100)])).await.release().await.unwrap();
}

#[tokio::test]
async fn a_set_in_use_is_kept_busy_or_not_in_real_time() {
    for busy in [false, true] {
        let server = Server::start();
        let set = set(options(&server).forget_after(LEASE)).await;
        let held = soon(set.acquire([("units", 1)])).await;
        let began = Instant::now();
        while began.elapsed() < 3 * LEASE {
            if busy {
                soon(set.acquire([("units", 0)])).await.release().await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(exist(&server), 3, "busy: {busy}");
        }
        assert!(!held.is_lost());
    }
}

#[tokio::test]
async fn all_keys_expire_at_one_instant_however_they_came_to_be() {
    let server = Server::start();
    let one = set(options(&server)).await;
    // No entry has been written yet.
    until("the set", || exist(&server) > 0).await;
    soon(one.acquire([("units", 1)])).await.release().await.unwrap();
    assert!(expire_together(&server));
    for gone in KEYS {
        server.ask(&["DEL", gone]);
        soon(one.acquire([("units", 1)])).await.release().await.unwrap();
        assert!(expire_together(&server), "{gone}");
    }
    drop(one);
    until("it to leave", || exist(&server) == 2).await;
    let other = set(options(&server)).await;
    soon(other.acquire([("units", 1)])).await.release().await.unwrap();
    assert!(expire_together(&server));
}

#[tokio::test]
async fn a_set_is_kept_for_forty_days_or_two_of_its_periods() {
    let server = Server::start();
    let one = set(options(&server)).await;
    drop(soon(one.acquire([("units", 1)])).await);
    let left = kept(&server, &KEYS)[0];
    assert!((days(40)..=days(50)).contains(&left), "{left}");
    let yearly = |set: LimitSetBuilder| set.rate("units", Quota::new(5, Duration::from_secs(366 * 24 * 60 * 60)));
    let shared = options(&server).forget_after(Duration::from_secs(60)).prefix("other").connect().await.unwrap();
    let yearly = yearly(LimitSet::builder("set")).backend(shared).build().unwrap();
    drop(soon(yearly.acquire([("units", 1)])).await);
    let left = kept(&server, &["{other:set}:head"])[0];
    assert!((days(732)..=days(915)).contains(&left), "{left}");
}

#[tokio::test]
async fn who_would_forget_sooner_shortens_nothing() {
    let server = Server::start();
    let (long, short) = (options(&server), options(&server).forget_after(LEASE));
    let first = set(long).await;
    soon(first.acquire([("units", 1)])).await.release().await.unwrap();
    let second = set(short).await;
    soon(second.acquire([("units", 1)])).await.release().await.unwrap();
    assert!(kept(&server, &KEYS).iter().all(|left| *left > days(39)));
}

#[tokio::test]
async fn a_store_that_was_away_until_it_forgot_is_told_again_in_real_time() {
    let mut server = Server::options().persistent().start();
    let one = set(options(&server).forget_after(LEASE)).await;
    let held = soon(one.acquire([("units", 1)])).await;
    server.kill();
    tokio::time::sleep(2 * LEASE).await;
    server.restart();
    assert_eq!(exist(&server), 0);
    soon(one.acquire([("units", 1)])).await.release().await.unwrap();
    assert_eq!(one.snapshot().limit("concurrency").unwrap().used, 1);
    assert_eq!(exist(&server), 3);
    held.release().await.unwrap();
}
