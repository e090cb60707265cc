//! What other limiters did wrong, each once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use paceline::{
    Aimd, CallError, Error, LimitSet, Pipeline, Quota, RateLimitPolicy, RateLimiter, Registry, Retry, Verdict,
};

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

/// Retries were not charged: a permit was taken once, around all attempts.
#[tokio::test(start_paused = true)]
async fn a_retry_is_charged_like_a_first_try() {
    // A service that fails every request twice, and counts what it gets.
    let seen = Mutex::new(Vec::new());
    let service = |number: u32| {
        seen.lock().unwrap().push(tokio::time::Instant::now());
        std::future::ready(if number < 3 { Err("connection reset") } else { Ok(()) })
    };
    let worst = || {
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let within = |at: &tokio::time::Instant| seen.iter().filter(|it| *it >= at && **it - *at < secs(1)).count();
        seen.iter().map(within).max()
    };
    let api = || LimitSet::builder("api").calls(Quota::per_second(10)).build().unwrap();

    let limits = api();
    let wrapped = (0..10).map(|_| async {
        let _permit = limits.acquire(()).await.unwrap();
        for number in 1..=3 {
            if service(number).await.is_ok() {
                return;
            }
        }
    });
    futures::future::join_all(wrapped).await;
    assert_eq!(worst(), Some(30), "three times the limit");

    let retry = Retry::attempts(3).backoff(secs(0), secs(0));
    let pipeline = Pipeline::over(api()).retry(retry).build().unwrap();
    let calls = (0..10).map(|_| pipeline.run((), |attempt| service(attempt.number())));
    let outcomes = futures::future::join_all(calls).await;
    assert!(outcomes.iter().all(|outcome| outcome.is_success() && outcome.attempts == 3));
    assert_eq!(worst(), Some(10));
}

/// A 429 that the client returned as an answer was counted as a success, and the level grew on it.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_came_as_a_value_is_not_a_success() {
    let eager = Aimd::builder().recovery_threshold(1).build().unwrap();
    let api = LimitSet::builder("api").adaptive(eager).build().unwrap();
    let pipeline = Pipeline::over(&api).build().unwrap();
    let swallow = |_| std::future::ready(Ok::<u16, String>(429));
    // The seed's rule: what does not raise has succeeded.
    let raised = |result: &Result<u16, String>| result.as_ref().map_or(Verdict::Permanent, |_| Verdict::Success);
    let by_status = |result: &Result<u16, String>| match result {
        Ok(429) => Verdict::RateLimited { retry_after: None },
        other => raised(other),
    };
    drop(pipeline.call(()).run(swallow, raised).await);
    assert_eq!((api.snapshot().feedback.verdicts.success, api.snapshot().feedback.cuts), (1, 0));
    let outcome = pipeline.call(()).run(swallow, by_status).await;
    assert!(matches!(outcome.result, Err(CallError::Rejected(429))));
    let feedback = api.snapshot().feedback;
    assert_eq!((feedback.verdicts.success, feedback.verdicts.rate_limited, feedback.cuts), (1, 1, 1));
}
