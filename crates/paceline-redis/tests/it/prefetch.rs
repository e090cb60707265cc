//! Permits that are held in advance: they save round trips, and cost what they are said to cost.

use std::time::{Duration, Instant};

use paceline::{Anchor, Error, LimitSet, LimitSetBuilder, Quota};
use paceline_redis::{Options, Redis};
use paceline_testkit::redis::Server;
use tokio::time::{sleep, timeout};

fn options(server: &Server) -> Options {
    Redis::options(&server.url())
}

async fn shared(options: Options, describe: impl FnOnce(LimitSetBuilder) -> LimitSetBuilder) -> (Redis, LimitSet) {
    let redis = options.connect().await.unwrap();
    let set = describe(LimitSet::builder("set")).backend(redis.clone()).build().unwrap();
    (redis, set)
}

/// Tries until it is there.
async fn tried(set: &LimitSet) -> paceline::Permit<'_> {
    let began = Instant::now();
    loop {
        match set.try_acquire(()) {
            Ok(permit) => return permit,
            Err(error @ Error::NotNow { .. }) => assert!(began.elapsed() < Duration::from_secs(5), "{error}"),
            Err(error) => panic!("{error}"),
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_prefetch_out_of_its_range_is_refused() {
    for (wrong, what) in [
        (Redis::options("redis://127.0.0.1").prefetch(1_001), "1,000"),
        (Redis::options("redis://127.0.0.1").prefetch_hold(Duration::ZERO), "1ms"),
        (Redis::options("redis://127.0.0.1").prefetch_hold(Duration::from_secs(11)), "10s"),
    ] {
        let error = wrong.connect().await.unwrap_err();
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[tokio::test]
async fn a_miss_has_a_block_asked_for_and_the_next_are_there_at_once() {
    let server = Server::start();
    let (redis, set) = shared(options(&server).prefetch(8).prefetch_hold(Duration::from_secs(5)), |set| {
        set.calls(Quota::per_hour(1_000))
    })
    .await;
    assert!(matches!(set.try_acquire(()), Err(Error::NotNow { .. })));
    drop(tried(&set).await);
    let before = redis.round_trips();
    for _ in 0..3 {
        drop(set.try_acquire(()).unwrap());
    }
    assert!(redis.round_trips() - before <= 1, "for what was given back");
    // Up to eight, and the four that were used: more are asked for once half are gone.
    let used = set.snapshot().limits[0].view.used;
    assert!((8..=12).contains(&used), "what is held is charged: {used}");
}

#[tokio::test]
async fn what_is_not_used_goes_back() {
    let server = Server::start();
    let (_, set) = shared(options(&server).prefetch(8), |set| set.calls(Quota::per_hour(1_000)).concurrency(20)).await;
    let (_, other) = shared(options(&server), |set| set.calls(Quota::per_hour(1_000)).concurrency(20)).await;
    drop(tried(&set).await);
    drop(timeout(Duration::from_secs(5), other.acquire(())).await.unwrap().unwrap());
    let began = Instant::now();
    while other.snapshot().limits[0].view.used > 2 || other.snapshot().active > 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", other.snapshot());
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn nobody_waits_for_what_others_hold_in_advance() {
    let server = Server::start();
    let describe = |set: LimitSetBuilder| set.concurrency(10);
    let held_for_long = options(&server).prefetch(10).prefetch_hold(Duration::from_secs(10));
    let (_, set) = shared(held_for_long, describe).await;
    let (_, other) = shared(options(&server), describe).await;
    let used = tried(&set).await;
    let mut held = Vec::new();
    for _ in 0..9 {
        held.push(timeout(Duration::from_secs(2), other.acquire(())).await.expect("soon").unwrap());
    }
    drop(used);
    assert!(matches!(set.try_acquire(()), Err(Error::NotNow { .. })));
}

#[tokio::test]
async fn waiting_callers_take_what_is_held_in_advance_too() {
    let server = Server::start();
    let (redis, set) = shared(options(&server).prefetch(100), |set| set.calls(Quota::per_second(1 << 30))).await;
    for _ in 0..10 {
        drop(set.acquire(()).await.unwrap());
    }
    let before = redis.round_trips();
    const PERMITS: u64 = 5_000;
    for _ in 0..PERMITS {
        drop(set.acquire(()).await.unwrap());
    }
    let trips = redis.round_trips() - before;
    assert!(trips * 10 <= PERMITS, "{trips} round trips for {PERMITS} permits");
}

/// Each member asks for more than there is, all of them for some windows; the service keeps the journal.
async fn most_in_a_window(server: &Server, quota: Quota, members: usize, prefetch: usize) -> usize {
    const TIMES: u32 = 3;
    let period = Duration::from_millis(500);
    let began = Instant::now();
    let member = async || {
        let (_, set) = shared(options(server).prefetch(prefetch), |set| set.calls(quota)).await;
        let mut seen = Vec::new();
        while began.elapsed() < TIMES * period {
            match set.try_acquire(()) {
                Ok(permit) => {
                    seen.push(Instant::now());
                    permit.release().await.unwrap();
                }
                Err(Error::NotNow { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            sleep(Duration::from_millis(2)).await;
        }
        seen
    };
    let mut seen = futures_util::future::join_all((0..members).map(|_| member())).await.concat();
    seen.sort_unstable();
    let within = |from: usize| seen[from..].iter().take_while(|at| **at < seen[from] + period).count();
    let most = (0..seen.len()).map(within).max().unwrap();
    println!("{most} in a window");
    most
}

#[tokio::test]
async fn a_window_of_the_service_sees_a_prefetch_more_for_each_member_at_most_in_real_time() {
    let server = Server::start();
    let quota = Quota::new(100, Duration::from_millis(500));
    let most = most_in_a_window(&server, quota, 3, 10).await;
    assert!((90..=100 + 3 * 10).contains(&most), "{most}");
}

#[tokio::test]
async fn a_quota_that_counts_from_completion_is_not_gone_over_in_real_time() {
    let server = Server::start();
    let quota = Quota::new(100, Duration::from_millis(500)).anchor(Anchor::Completion);
    let most = most_in_a_window(&server, quota, 3, 10).await;
    assert!((90..=100).contains(&most), "{most}");
}
