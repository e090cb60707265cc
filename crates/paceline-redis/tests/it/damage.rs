//! What somebody else has done to the keys of a set.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_redis::Error;
use paceline_testkit::redis::Server;

use crate::support::{LEASE, options, soon, until};

fn key(part: &str) -> String {
    format!("{{paceline:set}}:{part}")
}

fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(1_000).burst(1_000)).concurrency(8)
}

/// A set whose members would be there for long.
async fn long(server: &Server) -> LimitSet {
    let shared = options(server).lease(20 * LEASE).connect().await.unwrap();
    described(LimitSet::builder("set")).backend(shared).build().unwrap()
}

async fn error_of(set: &LimitSet) -> String {
    let told = tokio::time::timeout(Duration::from_secs(5), set.acquire(())).await.expect("it does not hang");
    told.expect_err("nothing is to be had").to_string()
}

fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    assert!(!message.contains("user_script"), "{message}");
}

#[tokio::test]
async fn who_cannot_join_is_no_member_and_keeps_nobody_from_removing() {
    let cases: [(&str, &[&str]); 4] = [
        ("an entry", &["LSET", "{paceline:set}:journal", "-1", "xx"]),
        ("the image", &["HSET", "{paceline:set}:head", "image", "nonsense"]),
        ("no image", &["HDEL", "{paceline:set}:head", "image"]),
        ("a number", &["HSET", "{paceline:set}:head", "expires", "soon"]),
    ];
    for (what, damage) in cases {
        let server = Server::start();
        let one = long(&server).await;
        soon(one.acquire(())).await.release().await.unwrap();
        drop(one);
        until("it to leave", || server.ask(&["ZCARD", &key("members")]) == "0").await;
        server.ask(damage);
        for _ in 0..3 {
            says(&error_of(&long(&server).await).await, &["what Redis keeps of `set` is damaged", "remove it"]);
        }
        let shared = options(&server).connect().await.unwrap();
        shared.remove("set").await.unwrap_or_else(|error| panic!("{what}: {error}"));
        soon(long(&server).await.acquire(())).await.release().await.unwrap();
    }
}

#[tokio::test]
async fn who_finds_damage_in_use_leaves_and_goes_on_once_that_is_removed_in_real_time() {
    let server = Server::start();
    let (one, other) = (long(&server).await, long(&server).await);
    let held = soon(one.acquire(())).await;
    soon(other.acquire(())).await.release().await.unwrap();
    until("the news", || one.snapshot().granted == 2).await;
    server.ask(&["RPUSH", &key("journal"), "garbage"]);
    server.ask(&["HINCRBY", &key("head"), "tail", "1"]);
    for set in [&one, &other] {
        says(&error_of(set).await, &["`set` is damaged"]);
    }
    let shared = options(&server).connect().await.unwrap();
    shared.remove("set").await.unwrap();
    until("it to be as it was", || other.try_snapshot().is_ok_and(|set| set.granted == 2)).await;
    soon(other.acquire(())).await.release().await.unwrap();
    until("what is held", || other.snapshot().limit("concurrency").unwrap().used == 1).await;
    until("its holder", || !held.is_lost()).await;
    assert_eq!(server.ask(&["ZCARD", &key("members")]), "2");
    held.release().await.unwrap();
}

#[tokio::test]
async fn who_lives_is_told_for_how_long_at_most() {
    let server = Server::start();
    let one = long(&server).await;
    let _held = soon(one.acquire(())).await;
    let shared = options(&server).connect().await.unwrap();
    let error = shared.remove("set").await.expect_err("it is in use");
    let Error::InUse { count: 1, left, .. } = error else { panic!("{error}") };
    assert!(left > 15 * LEASE && left <= 20 * LEASE, "{left:?}");
    says(&error.to_string(), &["1 use `set`", "at most"]);
}

#[tokio::test]
async fn a_key_that_holds_something_else_is_named_and_removed() {
    for part in ["head", "journal", "members"] {
        for in_use in [false, true] {
            let server = Server::start();
            let one = long(&server).await;
            soon(one.acquire(())).await.release().await.unwrap();
            let one = in_use.then_some(one);
            server.ask(&["SET", &key(part), "junk"]);
            let late = long(&server).await;
            let plainly =
                [&*format!("the key `{}` holds something else", key(part)), "remove the set", "another prefix"];
            says(&error_of(&late).await, &plainly);
            if let Some(one) = &one {
                assert!(tokio::time::timeout(Duration::from_secs(5), one.acquire(())).await.unwrap().is_err());
                until("joining", || one.try_snapshot().is_err_and(|error| error.to_string().contains(plainly[0])))
                    .await;
            }
            let shared = options(&server).connect().await.unwrap();
            assert_eq!(shared.sets().await.unwrap(), [Arc::from("set")]);
            if part == "head" {
                says(&shared.limits("set").await.expect_err("there are none").to_string(), &plainly);
            }
            shared.remove("set").await.unwrap();
            drop(late);
            soon(long(&server).await.acquire(())).await.release().await.unwrap();
            if let Some(one) = one {
                let began = Instant::now();
                while one.acquire(()).await.is_err() {
                    assert!(began.elapsed() < Duration::from_secs(5), "it goes on");
                }
            }
        }
    }
}
