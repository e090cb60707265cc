//! A store that takes away single keys of a set, as one does that is short of memory and may.

use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Permit, Quota};
use paceline_redis::Redis;
use paceline_testkit::proxy::Delaying;
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, set, soon, until};

const AMOUNT: u64 = 60;
const KEYS: [&str; 3] = ["head", "journal", "members"];

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(AMOUNT).burst(AMOUNT)).concurrency(4)
}

fn key(part: &str) -> String {
    format!("{{paceline:set}}:{part}")
}

fn used(set: &LimitSet, limit: &str) -> u64 {
    set.snapshot().limit(limit).map_or(0, |limit| limit.used)
}

/// A few permits are charged, of which two are out, and nothing of that is in the image.
async fn used_by_both<'a>(one: &'a LimitSet, other: &'a LimitSet) -> (Permit<'a>, Permit<'a>) {
    for _ in 0..5 {
        soon(one.acquire(())).await.release().await.unwrap();
    }
    let both = (soon(one.acquire(())).await, soon(other.acquire(())).await);
    until("the news", || used(one, "calls") == 7 && used(other, "calls") == 7).await;
    both
}

#[tokio::test]
async fn a_key_that_is_taken_away_in_use_is_put_back_in_real_time() {
    for gone in KEYS {
        let server = Server::start();
        let (one, other) = (set(&server, described).await, set(&server, described).await);
        let (first, second) = used_by_both(&one, &other).await;
        server.ask(&["DEL", &key(gone)]);
        for set in [&one, &other] {
            soon(set.acquire(())).await.release().await.unwrap();
        }
        until("the news", || used(&one, "calls") == 9 && used(&other, "calls") == 9).await;
        assert!(!first.is_lost() && !second.is_lost(), "{gone}");
        let late = set(&server, described).await;
        soon(late.acquire(())).await.release().await.unwrap();
        assert_eq!((used(&late, "calls"), used(&late, "concurrency")), (10, 2), "{gone}");
        for part in KEYS {
            assert_eq!(server.ask(&["EXISTS", &key(part)]), "1", "{part} after {gone}");
        }
    }
}

#[tokio::test]
async fn a_newcomer_calls_those_who_have_seen_all_in_real_time() {
    for gone in KEYS {
        let server = Server::start();
        let (one, other) = (set(&server, described).await, set(&server, described).await);
        let (first, _second) = used_by_both(&one, &other).await;
        server.ask(&["DEL", &key(gone)]);
        let began = Instant::now();
        let late = set(&server, described).await;
        soon(late.acquire(())).await.release().await.unwrap();
        let after = began.elapsed();
        println!("{gone}: {after:?}");
        assert!(after < LEASE / 3, "those who were there do not wait for their next renewal: {after:?}");
        assert_eq!((used(&late, "calls"), used(&late, "concurrency")), (8, 2), "{gone}");
        until("the news", || used(&one, "calls") == 8).await;
        assert!(!first.is_lost(), "{gone}");
    }
}

#[tokio::test]
async fn a_part_that_nobody_can_put_back_is_told_and_nothing_granted_in_real_time() {
    for gone in ["head", "journal"] {
        let server = Server::start();
        let (one, other) = (set(&server, described).await, set(&server, described).await);
        drop(used_by_both(&one, &other).await);
        drop((one, other));
        until("them to leave", || server.ask(&["EXISTS", &key("members")]) == "0").await;
        server.ask(&["DEL", &key(gone)]);
        let late = set(&server, described).await;
        let began = Instant::now();
        let error = soon_err(&late).await;
        assert!(error.is_retryable() && began.elapsed() < Duration::from_secs(2), "{error}");
        for part in ["lost a part of `set`", "remove it", "noeviction"] {
            assert!(error.to_string().contains(part), "{gone}: {error}");
        }
        drop(late);
        let shared = options(&server).connect().await.unwrap();
        assert_eq!(*shared.sets().await.unwrap()[0], *"set", "{gone}");
        shared.remove("set").await.unwrap();
        drop(soon(set(&server, described).await.acquire(())).await);
    }
}

async fn soon_err(set: &LimitSet) -> paceline::Error {
    let told = tokio::time::timeout(Duration::from_secs(5), set.acquire(())).await.expect("it does not hang");
    told.expect_err("it is not to be had")
}

#[tokio::test]
async fn what_a_dead_member_held_is_free_though_the_members_were_taken_away_in_real_time() {
    let server = Server::start();
    let link = Delaying::before(server.address());
    let far = Redis::options(&server.url_at(link.address()))
        .lease(LEASE)
        .response_timeout(LEASE / 3)
        .connect()
        .await
        .unwrap();
    let far = described(LimitSet::builder("set")).backend(far).build().unwrap();
    let near = set(&server, described).await;
    let (near_permit, far_permit) = used_by_both(&near, &far).await;
    link.stall();
    server.ask(&["DEL", &key("members")]);
    drop(near_permit);
    until("the end of its lease", || used(&near, "concurrency") == 0).await;
    assert!(far_permit.is_lost());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_taken_away_all_the_time_let_nothing_over_in_real_time() {
    let server = Server::start();
    let mut callers = Vec::new();
    for _ in 0..3 {
        let set = set(&server, described).await;
        callers.push(tokio::spawn(async move {
            let mut granted = 0_u64;
            while let Ok(permit) = set.request(()).within(Duration::from_secs(3)).acquire().await {
                granted += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(permit);
            }
            granted
        }));
    }
    for round in 0..24 {
        tokio::time::sleep(Duration::from_millis(15)).await;
        server.ask(&["DEL", &key(KEYS[round % 3])]);
    }
    let mut granted = 0;
    for caller in callers {
        granted += soon(caller).await;
    }
    println!("{granted} of {AMOUNT}");
    assert!((AMOUNT / 2..=AMOUNT).contains(&granted), "{granted}: none comes back within a minute");
}
