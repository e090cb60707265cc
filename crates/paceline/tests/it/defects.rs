//! What other limiters did wrong, each once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline::{Error, LimitSet, Quota, RateLimitPolicy, RateLimiter, Registry};

use crate::support::{assert_all_came_back, counted, millis, others_run, secs, timed};

/// A limiter swapped for a smaller one while permits are out let ten calls run under a limit of two.
#[tokio::test(start_paused = true)]
async fn a_limit_made_smaller_while_permits_are_out_is_never_replaced() {
    let registry = Registry::new();
    let of = |capacity| LimitSet::builder("api").concurrency(capacity).build().unwrap();
    registry.register("api", of(10)).unwrap();
    let api = registry.get("api").unwrap();
    let inside = Arc::new(AtomicU64::new(0));
    let run = |many: u64| {
        let (api, inside) = (api.clone(), Arc::clone(&inside));
        (0..many)
            .map(|_| {
                let (api, inside) = (api.clone(), Arc::clone(&inside));
                tokio::spawn(async move {
                    let _permit = api.acquire(()).await.unwrap();
                    let now_inside = inside.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::time::sleep(secs(1)).await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    now_inside
                })
            })
            .collect::<Vec<_>>()
    };
    let before = run(10);
    others_run().await;
    assert_eq!(inside.load(Ordering::SeqCst), 10);
    let replaced = registry.replace("api", of(2)).unwrap();
    assert!(replaced.is(&api), "everybody who holds a handle sees the change");
    let after = run(10);
    others_run().await;
    assert_eq!(inside.load(Ordering::SeqCst), 10, "not one more while ten are out");
    for task in before {
        task.await.unwrap();
    }
    for task in after {
        let now_inside = task.await.unwrap();
        assert!(now_inside <= 2, "{now_inside} under a limit of two");
    }
    assert_all_came_back(&api);
}

/// A request larger than the bucket waited for ever.
#[tokio::test(start_paused = true)]
async fn a_request_larger_than_the_bucket_is_refused_at_once() {
    let policy = RateLimitPolicy::per_second(10.0).burst(20);
    let limiter = RateLimiter::new(policy).unwrap();
    let (answer, took) = timed(limiter.acquire(21)).await;
    assert!(matches!(answer, Err(Error::TooLarge { asked: 21, capacity: 20, .. })), "{answer:?}");
    assert_eq!(took, secs(0));
    assert!(matches!(limiter.acquire_blocking(21), Err(Error::TooLarge { .. })));
    assert!(!limiter.try_acquire(21).unwrap_err().is_retryable());
    drop(limiter.acquire(20).await.expect("as large as the bucket"));
}

/// Waiting was polling, every 100 ms.
#[tokio::test(start_paused = true)]
async fn a_wait_is_woken_once_and_to_the_instant() {
    let set = LimitSet::builder("api").calls(Quota::new(1, millis(12_345))).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let polls = Arc::new(AtomicU64::new(0));
    let (permit, took) = timed(counted(&polls, set.acquire(()))).await;
    drop(permit.unwrap());
    assert_eq!((took, polls.load(Ordering::Relaxed)), (millis(12_345), 2));
}

/// A slot was held while the window was waited for.
#[tokio::test(start_paused = true)]
async fn nothing_is_held_while_something_else_is_waited_for() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).concurrency(1).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let mut waiter = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut waiter).is_pending());
    assert_eq!(set.snapshot().limit("concurrency").unwrap().used, 0);
}
