//! Concurry's features, each as its own documentation shows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use paceline::{Algorithm, Choice, Error, LimitPool, LimitSet, Quota};

use crate::support::{Watchdog, assert_all_came_back, millis, others_run, secs, timed, worst_window};

#[tokio::test(start_paused = true)]
async fn parity_c01_rate_limits_with_named_windows() {
    let day = 86_400;
    for (quota, window) in [
        (Quota::per_second(3), 1),
        (Quota::per_minute(3), 60),
        (Quota::per_hour(3), 3_600),
        (Quota::per_day(3), day),
        (Quota::new(3, secs(7 * day)), 7 * day),
    ] {
        let set = LimitSet::builder("api").rate("requests", quota).build().unwrap();
        drop(set.acquire([("requests", 3)]).await.unwrap());
        let (permit, took) = timed(set.acquire([("requests", 1)])).await;
        drop(permit.unwrap());
        assert_eq!(took, secs(window));
    }
}

/// What each lets through in the first seconds of a backlog, at 10 in 10 seconds.
#[tokio::test(start_paused = true)]
async fn parity_c02_five_algorithms_and_one_more() {
    use Algorithm::{FixedWindow, Gcra, LeakyBucket, SlidingCounter, SlidingWindow, TokenBucket};
    for (algorithm, at_once, after_five, worst_allowed) in [
        (TokenBucket, 10, 15, 20),
        (Gcra, 10, 15, 20),
        (LeakyBucket, 1, 6, 11),
        (SlidingWindow, 10, 10, 10),
        (FixedWindow, 10, 10, 20),
        (SlidingCounter, 10, 10, 19),
    ] {
        let quota = Quota::new(10, secs(10)).algorithm(algorithm);
        let set = LimitSet::builder("api").rate("requests", quota).build().unwrap();
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let start = tokio::time::Instant::now();
        let backlog = tokio::spawn({
            let (set, seen) = (set.clone(), Arc::clone(&seen));
            async move {
                loop {
                    drop(set.acquire([("requests", 1)]).await.unwrap());
                    let at = u64::try_from(start.elapsed().as_nanos()).unwrap();
                    seen.lock().unwrap().push((at, 1));
                }
            }
        });
        tokio::time::sleep(millis(1)).await;
        assert_eq!(seen.lock().unwrap().len(), at_once, "{algorithm:?} at once");
        tokio::time::sleep(secs(5)).await;
        assert_eq!(seen.lock().unwrap().len(), after_five, "{algorithm:?} after five seconds");
        tokio::time::sleep(secs(100)).await;
        backlog.abort();
        assert!(worst_window(&seen.lock().unwrap(), secs(10)) <= worst_allowed, "{algorithm:?}");
    }
}

/// Twenty workers, five connections.
#[test]
fn parity_c03_real_time_a_resource_limit_is_a_semaphore() {
    let _watchdog = Watchdog::new("twenty workers, five connections", secs(30));
    let db = LimitSet::builder("db").resource("db_conn", 5).build().unwrap();
    let (inside, peak) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let _permit = db.acquire_blocking([("db_conn", 1)]).unwrap();
                    peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(millis(1));
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(peak.load(Ordering::SeqCst), 5);
    assert_all_came_back(&db);
}

#[tokio::test(start_paused = true)]
async fn parity_c04_call_limits_count_calls_by_themselves() {
    let set = LimitSet::builder("llm").calls(Quota::per_minute(10)).rate("tokens", Quota::per_minute(1_000));
    let set = set.build().unwrap();
    let used = || set.snapshot().limit("calls").unwrap().used;
    drop(set.acquire(()).await.unwrap());
    assert_eq!(used(), 1, "named by nobody");
    drop(set.acquire([("tokens", 5)]).await.unwrap());
    assert_eq!(used(), 2, "beside another key");
    // A batch of five, of which three were made.
    let batch = set.acquire([("calls", 5)]).await.unwrap();
    assert_eq!(used(), 7);
    batch.settle([("calls", 3)]).unwrap();
    assert_eq!(used(), 5);
    batch.settle([("calls", 0)]).unwrap();
    assert_eq!(used(), 2, "settled from 0 to n");
    batch.settle([("calls", 5)]).unwrap();
    assert_eq!(used(), 7);
}

/// 500 requests and 10,000 tokens a minute, for ten workers together.
#[tokio::test(start_paused = true)]
async fn parity_c05_a_limit_set_acquires_several_at_once() {
    let set = LimitSet::builder("openai tier 1")
        .rate("requests", Quota::per_minute(500))
        .rate("tokens", Quota::per_minute(10_000))
        .config("tier", "1")
        .build()
        .unwrap();
    assert_eq!(set.config("tier"), Some("1"));
    let (_, took) = timed(async {
        let workers = (0..10).map(|_| {
            let set = set.clone();
            tokio::spawn(async move {
                for _ in 0..30 {
                    let permit = set.acquire([("requests", 1), ("tokens", 100)]).await.unwrap();
                    permit.settle([("tokens", 120)]).unwrap();
                }
            })
        });
        for worker in futures::future::join_all(workers).await {
            worker.unwrap();
        }
    })
    .await;
    // 83 calls of 120 tokens fill a minute (9,960), and the estimate of one more does not fit beside them.
    assert_eq!(took, secs(60 * 3), "300 calls, 83 a minute");
    assert!(set.snapshot().limit("requests").unwrap().used <= 83);
    // All or nothing: where one is full, none is charged.
    let before = set.snapshot().limit("requests").unwrap().used;
    set.try_acquire([("requests", 1), ("tokens", 10_000)]).unwrap_err();
    assert_eq!(set.snapshot().limit("requests").unwrap().used, before);
}

#[tokio::test(start_paused = true)]
async fn parity_c06_acquire_try_async_and_timeout() {
    let set = LimitSet::builder("db").resource("db_conn", 1).build().unwrap();
    let held = set.acquire_blocking([("db_conn", 1)]).unwrap();
    assert!(matches!(set.try_acquire([("db_conn", 1)]), Err(Error::NotNow { .. })));
    let (answer, took) = timed(set.request([("db_conn", 1)]).within(secs(2)).acquire()).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
    assert_eq!(took, secs(2));
    drop(held);
    drop(set.acquire([("db_conn", 1)]).await.unwrap());
    assert_all_came_back(&set);
}

#[test]
fn parity_c06_real_time_a_blocking_timeout() {
    let set = LimitSet::builder("db").resource("db_conn", 1).build().unwrap();
    let held = set.try_acquire(()).unwrap();
    let start = std::time::Instant::now();
    let answer = set.request(()).within(millis(60)).acquire_blocking();
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
    assert!(start.elapsed() >= millis(60) && start.elapsed() < secs(3));
    drop(held);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn parity_c07_estimate_now_actual_later() {
    let set = LimitSet::builder("llm").rate("tokens", Quota::per_minute(1_000)).build().unwrap();
    let used = || set.snapshot().limit("tokens").unwrap().used;
    let acq = set.acquire([("tokens", 100)]).await.unwrap();
    acq.settle([("tokens", 120)]).unwrap();
    assert_eq!(used(), 120);
    acq.settle([("tokens", 80)]).unwrap();
    assert_eq!(used(), 80);
    acq.settle([("tokens", 1_500)]).unwrap();
    drop(acq);
    let (next, took) = timed(set.acquire([("tokens", 1)])).await;
    drop(next.unwrap());
    assert_eq!(took, secs(60), "an overrun is a debt");
}

#[tokio::test(start_paused = true)]
async fn parity_c08_partial_acquisition_and_defaults() {
    let set = LimitSet::builder("llm")
        .calls(Quota::per_minute(100))
        .resource("connections", 10)
        .rate("input", Quota::per_minute(1_000))
        .rate("output", Quota::per_minute(1_000))
        .build()
        .unwrap();
    let charged = |amounts: Vec<(&str, u64)>| {
        let permit = set.try_acquire(amounts).unwrap();
        ["calls", "connections", "input", "output"].map(|key| permit.charged(key).unwrap())
    };
    assert_eq!(charged(vec![]), [1, 1, 0, 0], "calls and resources default to one, rates to none");
    assert_eq!(charged(vec![("input", 70)]), [1, 1, 70, 0]);
    assert_eq!(charged(vec![("connections", 3), ("output", 5)]), [1, 3, 0, 5]);
    assert_eq!(charged(vec![("calls", 0), ("connections", 0)]), [0, 0, 0, 0]);
    assert!(matches!(set.try_acquire([("input", 1_001)]), Err(Error::TooLarge { .. })));
    assert!(matches!(set.try_acquire([("inputs", 1)]), Err(Error::UnknownKey { .. })));
    assert_eq!(set.snapshot().limit("calls").unwrap().used, 3);
}

#[tokio::test(start_paused = true)]
async fn parity_c09_nested_acquisitions() {
    let set = LimitSet::builder("both").resource("db", 2).rate("api", Quota::per_minute(5)).build().unwrap();
    {
        let _db = set.acquire([("db", 1)]).await.unwrap();
        {
            let _api = set.acquire([("db", 0), ("api", 1)]).await.unwrap();
            let snapshot = set.snapshot();
            assert_eq!((snapshot.limit("db").unwrap().used, snapshot.limit("api").unwrap().used), (1, 1));
        }
        assert_eq!(set.snapshot().active, 1);
    }
    assert_all_came_back(&set);
}

/// Two regions, round robin; the permit says which.
#[tokio::test(start_paused = true)]
async fn parity_c10_limit_pool_over_regions() {
    let region = |name: &str| {
        let set = LimitSet::builder(name.to_owned()).rate("tpm", Quota::per_minute(1_000));
        set.config("region", name.to_owned()).build().unwrap()
    };
    let regions = [region("us-east-1"), region("eu-west-1")];
    let pool = |choice| {
        let pool = regions.iter().fold(LimitPool::builder("global"), |pool, set| pool.member(set.clone()));
        pool.choose(choice).build().unwrap()
    };
    let round_robin = pool(Choice::RoundRobin);
    let mut seen = HashMap::new();
    for _ in 0..200 {
        let acq = round_robin.acquire([("tpm", 10)]).await.unwrap();
        *seen.entry(acq.config("region").unwrap().to_owned()).or_insert(0) += 1;
    }
    assert_eq!(seen, HashMap::from([("us-east-1".into(), 100), ("eu-west-1".into(), 100)]));
    let (acq, took) = timed(round_robin.acquire([("tpm", 10)])).await;
    assert!(acq.is_ok());
    assert_eq!(took, secs(60), "both quotas were used whole");
    for choice in [Choice::Random, Choice::LeastActive, Choice::LeastTotal] {
        regions.iter().for_each(|set| set.reset().unwrap());
        let pool = pool(choice);
        for _ in 0..200 {
            drop(pool.try_acquire([("tpm", 10)]).unwrap_or_else(|error| panic!("{choice:?}: {error}")));
        }
        assert!(pool.try_acquire([("tpm", 10)]).is_err());
    }
}

#[test]
fn parity_c12_real_time_one_set_for_futures_and_threads() {
    let _watchdog = Watchdog::new("futures and threads on one set", secs(30));
    let set = LimitSet::builder("api").calls(Quota::new(10, millis(50))).concurrency(2).build().unwrap();
    // Without any thread or runtime.
    drop(set.try_acquire(()).unwrap());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..10).for_each(|_| drop(set.acquire_blocking(()).unwrap())));
        }
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                for _ in 0..10 {
                    drop(set.acquire(()).await.unwrap());
                }
            });
        });
    });
    assert_eq!(set.snapshot().granted, 31);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn parity_c18_an_empty_set_never_waits() {
    let set = LimitSet::builder("nothing").build().unwrap();
    let (permits, took) = timed(futures::future::join_all((0..10_000).map(|_| set.acquire(())))).await;
    assert!(permits.iter().all(Result::is_ok));
    assert_eq!(took, secs(0));
    assert_eq!(set.snapshot().active, 10_000);
    drop(permits);
    others_run().await;
    drop((set.try_acquire(()).unwrap(), set.acquire_blocking(()).unwrap()));
    assert_all_came_back(&set);
}
