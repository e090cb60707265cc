//! Amorsize's rate limiting, each feature as its own documentation shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::{Error, OnFull, Quota, RateLimitPolicy, RateLimiter};

use crate::support::{Watchdog, millis, secs, timed};

#[tokio::test(start_paused = true)]
async fn parity_a01_policy_defaults_and_burst() {
    // Ten a second; the burst defaults to the rate.
    let limiter = RateLimiter::new(RateLimitPolicy::per_second(10.0)).unwrap();
    assert_eq!(limiter.available(), 10);
    let (_, took) = timed(async {
        for _ in 0..100 {
            drop(limiter.acquire(1).await.unwrap());
        }
    })
    .await;
    assert_eq!(took, secs(9), "ten at once, ninety at ten a second");

    let bursty = RateLimiter::new(RateLimitPolicy::per_second(10.0).burst(20)).unwrap();
    assert_eq!(bursty.available(), 20);
    // Less than one a second still holds one.
    assert_eq!(RateLimiter::new(RateLimitPolicy::per_second(0.5)).unwrap().available(), 1);
}

#[test]
fn parity_a01_policy_is_validated() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(RateLimiter::new(RateLimitPolicy::per_second(rate)), Err(Error::Rate { .. })), "{rate}");
    }
    assert!(matches!(RateLimiter::new(RateLimitPolicy::per_second(10.0).burst(0)), Err(Error::Limit { .. })));
}

/// A burst where there is no rate would be an option without meaning.
#[test]
fn parity_a01_a_burst_without_a_rate_is_refused() {
    assert!(matches!(RateLimiter::new(RateLimitPolicy::concurrent(5).burst(10)), Err(Error::BurstWithoutRate)));
}

#[tokio::test(start_paused = true)]
async fn parity_a02_acquire_try_acquire_reset_and_available() {
    let limiter = RateLimiter::new(RateLimitPolicy::per_second(10.0)).unwrap();
    drop(limiter.acquire(4).await.unwrap());
    assert_eq!(limiter.available(), 6);
    assert!(limiter.try_acquire(6).is_ok());
    assert!(limiter.try_acquire(1).is_err());
    tokio::time::sleep(millis(250)).await;
    assert_eq!(limiter.available(), 2, "whole units");
    limiter.reset();
    assert_eq!(limiter.available(), 10);
    let (permit, took) = timed(limiter.acquire(10)).await;
    assert_eq!(took, secs(0));
    // As a guard; a token that was taken needs no giving back.
    drop(permit.unwrap());
    assert_eq!(limiter.available(), 0);
    let (permit, took) = timed(limiter.acquire(5)).await;
    drop(permit.unwrap());
    assert_eq!(took, millis(500));
}

#[tokio::test(start_paused = true)]
async fn parity_a02_fractions_of_a_unit_by_scaling() {
    // A tenth of a call is one of a hundred a second.
    let limiter = RateLimiter::per_second(100).burst(10);
    drop(limiter.acquire(5).await.unwrap());
    drop(limiter.acquire(5).await.unwrap());
    let (permit, took) = timed(limiter.acquire(1)).await;
    drop(permit.unwrap());
    assert_eq!(took, millis(10));
}

#[tokio::test(start_paused = true)]
async fn parity_a03_exceeded_is_an_error_when_not_waiting() {
    let policy = RateLimitPolicy::per_second(10.0).on_full(OnFull::Fail);
    let limiter = RateLimiter::new(policy).unwrap();
    for _ in 0..10 {
        drop(limiter.acquire(1).await.unwrap());
    }
    let Err(Error::NotNow { retry_after, .. }) = limiter.acquire(1).await else { panic!("it does not wait") };
    assert_eq!(retry_after, Some(millis(100)), "when to come back");
    assert!(matches!(limiter.acquire_blocking(1), Err(Error::NotNow { .. })));
    assert!(matches!(limiter.run(|| async {}).await, Err(Error::NotNow { .. })));
    assert!(matches!(limiter.run_blocking(|| ()), Err(Error::NotNow { .. })));
    tokio::time::sleep(millis(100)).await;
    assert_eq!(limiter.run(|| async { 42 }).await, Ok(42));
}

#[tokio::test(start_paused = true)]
async fn parity_a04_with_rate_limit_around_functions() {
    // Two functions that share one limiter, and a call of any other.
    let github = RateLimiter::per_second(1).burst(2);
    let get_repo = github.wrap(|name: &'static str| async move { format!("repos/{name}") });
    let get_user = github.wrap(|name: &'static str| async move { format!("users/{name}") });
    let (results, took) = timed(async {
        let repo = get_repo("paceline").await.unwrap();
        let user = get_user("octocat").await.unwrap();
        let other = github.run(|| async { "meta" }).await.unwrap();
        (repo, user, other)
    })
    .await;
    assert_eq!(results, ("repos/paceline".into(), "users/octocat".into(), "meta"));
    assert_eq!(took, secs(1), "two at once, the third a second later");

    let blocking = RateLimiter::per_second(100);
    let square = blocking.wrap_blocking(|n: u64| n * n);
    assert_eq!((square(3), square(4)), (Ok(9), Ok(16)));
    assert_eq!(blocking.run_blocking(|| 5), Ok(5));
    assert_eq!(blocking.available(), 97);
}

/// Nothing of a wrapped call happens before it has its permit, also where the function is not lazy.
#[tokio::test(start_paused = true)]
async fn parity_a04_a_wrapped_function_is_called_only_when_there_is_room() {
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let limiter = RateLimiter::per_minute(1);
    let eager = limiter.wrap(move |()| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::future::ready(())
    });
    eager(()).await.unwrap();
    let mut second = eager(());
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(calls.load(Ordering::SeqCst), 1, "the second call has no room yet");
    second.await.unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn parity_a05_fractional_rates() {
    // One every two seconds.
    let slow = RateLimiter::new(RateLimitPolicy::per_second(0.5)).unwrap();
    let (_, took) = timed(async {
        for _ in 0..11 {
            drop(slow.acquire(1).await.unwrap());
        }
    })
    .await;
    assert_eq!(took, secs(20));
    // 1.39 a second, exactly: 139 in a hundred seconds.
    let github = RateLimiter::new(RateLimitPolicy::per_second(1.39)).unwrap();
    let (_, took) = timed(async {
        for _ in 0..140 {
            drop(github.acquire(1).await.unwrap());
        }
    })
    .await;
    assert!(took >= secs(100) && took < secs(100) + millis(139), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn parity_a05_multi_tier_and_dynamic_adjustment() {
    let (fast, slow) = (RateLimiter::per_second(100), RateLimiter::per_second(10));
    let (_, took) = timed(futures::future::join(
        async {
            for _ in 0..300 {
                drop(fast.acquire(1).await.unwrap());
            }
        },
        async {
            for _ in 0..30 {
                drop(slow.acquire(1).await.unwrap());
            }
        },
    ))
    .await;
    assert_eq!(took, secs(2), "each at its own pace");

    // Slower at peak, while it is in use.
    let limiter = RateLimiter::per_second(20).burst(1);
    drop(limiter.acquire(1).await.unwrap());
    limiter.set().unwrap().set_quota("rate", Quota::per_second(5).burst(1)).unwrap();
    let (_, took) = timed(async {
        for _ in 0..10 {
            drop(limiter.acquire(1).await.unwrap());
        }
    })
    .await;
    assert_eq!(took, secs(2));
}

#[test]
fn parity_a06_real_time_a_limiter_shared_by_threads_holds_its_rate() {
    let _watchdog = Watchdog::new("a limiter shared by threads", secs(30));
    let limiter = RateLimiter::new(RateLimitPolicy::per_second(200.0).burst(10)).unwrap();
    let granted = Mutex::new(Vec::new());
    let start = std::time::Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let permit = limiter.acquire_blocking(1).unwrap();
                    granted.lock().unwrap().push((permit.admitted_at().as_nanos(), 1));
                }
            });
        }
    });
    let took = start.elapsed();
    assert!(took >= millis(445), "90 beyond the burst at 200 a second: {took:?}");
    let mut granted = granted.into_inner().unwrap();
    granted.sort_unstable();
    assert_eq!(granted.len(), 100);
    assert!(crate::support::worst_window(&granted, millis(100)) <= 30, "20 in a tenth of a second, and the burst");
}

#[tokio::test(start_paused = true)]
async fn parity_a09_on_wait_is_told_and_its_failure_does_not_matter() {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&waits);
    let policy = RateLimitPolicy::per_second(10.0).burst(1).on_wait(move |wait| {
        log.lock().unwrap().push(wait);
        panic!("the callback fails");
    });
    let limiter = RateLimiter::new(policy).unwrap();
    for _ in 0..4 {
        drop(limiter.acquire(1).await.unwrap());
    }
    let told = waits.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    assert_eq!(told, [millis(100); 3], "rate limited three times, a tenth of a second each");

    // Where nobody can tell how long: a slot that somebody holds.
    let waits = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&waits);
    let policy = RateLimitPolicy::concurrent(1).on_wait(move |wait| log.lock().unwrap().push(wait));
    let limiter = RateLimiter::new(policy).unwrap();
    let held = limiter.acquire(1).await.unwrap();
    let mut waiting = Box::pin(limiter.acquire(1));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(*waits.lock().unwrap(), [Duration::MAX]);
    drop(held);
}
