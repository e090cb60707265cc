//! What cannot be shared is an error that says what to do, and never a set without limits.

use std::time::{Duration, Instant};

use paceline::{LimitSet, Quota};
use paceline_redis::{Error, Redis};
use paceline_testkit::redis::Server;

use crate::support::{options, set, soon};

pub(crate) fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

pub(crate) async fn refusal(url: &str) -> String {
    Redis::options(url).response_timeout(Duration::from_millis(300)).connect().await.expect_err("no use").to_string()
}

/// A port that nobody listens to.
fn nobody() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_url_that_is_none_is_told_without_its_password() {
    for url in ["", "limits", "http://user:secret@host", "redis://:secret@", "redis://:secret@host:port", "redis://h/x"]
    {
        let error = Redis::options(url).connect().await.expect_err(url);
        assert!(matches!(error, Error::Url { .. }), "{url}: {error}");
        says(&error.to_string(), &["redis://HOST:PORT"]);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn options_out_of_range_name_the_range() {
    let options = || Redis::options("redis://127.0.0.1");
    let cases = [
        (options().prefix("a{b}"), "prefix `a{b}`"),
        (options().prefix(""), "1 to 100"),
        (options().lease(Duration::from_millis(10)), "10ms is not from 1s"),
        (options().response_timeout(Duration::from_secs(30)), "30s is not from 10ms to 10s"),
        (
            options().lease(Duration::from_secs(1)).response_timeout(Duration::from_secs(1)),
            "1s is not from 10ms to 500ms",
        ),
        (options().prefetch(5_000), "5000"),
        (options().forget_after(Duration::from_secs(19)), "19s is not after 20s"),
    ];
    for (options, part) in cases {
        says(&options.connect().await.expect_err(part).to_string(), &[part]);
    }
}

#[tokio::test]
async fn the_shortest_lease_needs_nothing_else() {
    let server = Server::start();
    let shortest = Redis::options(&server.url()).lease(Duration::from_secs(1));
    assert!(format!("{shortest:?}").contains("response_timeout: 500ms"));
    shortest.connect().await.unwrap();
    assert!(format!("{:?}", Redis::options("redis://h")).contains("response_timeout: 1s"));
}

#[tokio::test]
async fn nobody_there_is_told_in_real_time() {
    let error = refusal(&format!("redis://:secret@127.0.0.1:{}", nobody())).await;
    says(&error, &["cannot reach Redis at 127.0.0.1", "refused", "see that it runs"]);
    assert!(!error.contains("secret"));
}

#[tokio::test]
async fn a_database_that_there_is_not_is_told_in_real_time() {
    let server = Server::start();
    let error = refusal(&format!("{}/99", server.url())).await;
    says(&error, &["refused to switch database", "out of range"]);
}

#[tokio::test]
async fn silence_is_told_in_real_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let began = Instant::now();
    let error = refusal(&format!("redis://{}", silent.local_addr().unwrap())).await;
    says(&error, &["no answer within 300ms", "Options::response_timeout"]);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let server = Server::options().password("secret").start();
    let without = format!("redis://{}", server.address());
    says(&refusal(&without).await, &["wants to know who asks", "in the URL"]);
    let wrong = format!("redis://:wrong@{}", server.address());
    let error = refusal(&wrong).await;
    says(&error, &["wants to know who asks"]);
    assert!(!error.contains("wrong@"));
    let right = Redis::options(&server.url()).connect().await.unwrap();
    assert!(!format!("{right:?}").contains("secret"));
    assert!(!format!("{:?}", Redis::options(&server.url())).contains("secret"));
}

#[tokio::test]
async fn a_user_who_may_not_is_told_what_to_allow() {
    let server = Server::start();
    server.ask(&["ACL", "SETUSER", "guest", "on", ">secret", "+info", "+hello", "+client"]);
    let shared = options(&server);
    drop(shared);
    let url = format!("redis://guest:secret@{}", server.address());
    let shared = Redis::options(&url).connect().await.unwrap();
    let set = LimitSet::builder("set").concurrency(1).backend(shared).build().unwrap();
    let error = soon_err(&set).await;
    says(&error, &["does not allow this user", "allow scripts, channels and keys"]);
}

pub(crate) async fn soon_err(set: &LimitSet) -> String {
    let told = tokio::time::timeout(Duration::from_secs(5), set.acquire(())).await.expect("it does not hang");
    told.expect_err("it is not to be had").to_string()
}

#[tokio::test]
async fn a_replica_is_told_apart() {
    let (primary, replica) = (Server::start(), Server::start());
    replica.ask(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]);
    says(&refusal(&replica.url()).await, &["is a replica", "name its primary"]);
}

#[tokio::test]
async fn a_store_without_memory_is_told_in_real_time() {
    let server = Server::start();
    let set = set(&server, |set| set.concurrency(2)).await;
    let held = soon(set.acquire(())).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let new =
        LimitSet::builder("new").concurrency(1).backend(options(&server).connect().await.unwrap()).build().unwrap();
    let told = tokio::time::timeout(Duration::from_secs(5), new.acquire(())).await.expect("it does not hang");
    let error = told.expect_err("there is no memory");
    assert!(error.is_retryable(), "{error}");
    says(&error.to_string(), &["no memory left", "maxmemory"]);
    let late = set.request(()).within(Duration::from_millis(200)).acquire().await;
    assert!(late.is_err(), "where there was a set, it is waited for: {late:?}");
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    drop(soon(set.acquire(())).await);
    drop(held);
}

#[tokio::test]
async fn other_limits_are_told_by_what_differs() {
    let server = Server::start();
    let one = set(&server, |set| set.calls(Quota::per_minute(5))).await;
    drop(soon(one.acquire(())).await);
    let two = set(&server, |set| set.calls(Quota::per_minute(6))).await;
    says(&soon_err(&two).await, &["`set` is shared with other limits", "5 per 60s", "6 per 60s"]);
    let three = set(&server, |set| set.calls(Quota::per_minute(5)).concurrency(1)).await;
    says(&soon_err(&three).await, &["there they are `calls`, here `calls`, `concurrency`"]);
    let error = three.pause_for(Duration::from_secs(1)).expect_err("nothing is there to pause");
    says(&error.to_string(), &["other limits"]);
}

#[tokio::test]
async fn another_layout_is_named() {
    let server = Server::start();
    server.ask(&["HSET", "{paceline:set}:head", "version", "99"]);
    let set = set(&server, |set| set.concurrency(1)).await;
    says(&soon_err(&set).await, &["`set` has the layout 99", "this program knows", "another prefix"]);
}

#[tokio::test]
async fn damage_is_told_and_nothing_is_granted() {
    let server = Server::start();
    let one = set(&server, |set| set.concurrency(1)).await;
    drop(soon(one.acquire(())).await);
    server.ask(&["HSET", "{paceline:set}:head", "image", "nonsense"]);
    let two = set(&server, |set| set.concurrency(1)).await;
    says(&soon_err(&two).await, &["`set` is damaged", "remove it"]);
}

#[tokio::test]
async fn more_limits_than_there_is_room_for_are_refused() {
    let server = Server::start();
    let shared = options(&server).connect().await.unwrap();
    let set = (0..65).fold(LimitSet::builder("set"), |set, at| set.resource(format!("{at}"), 1));
    let error = set.backend(shared).build().and_then(|set| set.close()).expect_err("65 limits");
    says(&error.to_string(), &["65 limits", "64"]);
}

#[tokio::test]
async fn what_is_not_held_in_advance_cannot_be_had_at_once() {
    let server = Server::start();
    let set = set(&server, |set| set.concurrency(1)).await;
    let error = set.try_acquire(()).expect_err("nothing is held");
    assert!(!error.is_retryable());
    says(&error.to_string(), &["a round trip away", "Options::prefetch"]);
    let waited = tokio::task::spawn_blocking(move || set.acquire_blocking(()).map(drop));
    soon(waited).await.unwrap();
}

#[tokio::test]
async fn what_nobody_uses_can_be_removed() {
    let server = Server::start();
    let shared = options(&server).connect().await.unwrap();
    let described = |units| LimitSet::builder("set").calls(Quota::per_minute(units)).backend(shared.clone());
    let set = described(5).build().unwrap();
    drop(soon(set.acquire(())).await);
    assert_eq!(shared.sets().await.unwrap(), [std::sync::Arc::from("set")]);
    let limits = shared.limits("set").await.unwrap().expect("it is there");
    assert_eq!(&*limits[0].0, "calls");
    assert!(shared.limits("other").await.unwrap().is_none());
    let error = shared.remove("set").await.expect_err("it is in use");
    assert!(matches!(error, Error::InUse { count: 1, .. }), "{error}");
    drop(set);
    let began = Instant::now();
    while let Err(error) = shared.remove("set").await {
        assert!(began.elapsed() < Duration::from_millis(500), "it says that it leaves: {error}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(shared.sets().await.unwrap().is_empty());
    drop(soon(described(6).build().unwrap().acquire(())).await);
}
