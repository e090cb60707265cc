//! Correcting a permit to what was really used; debts and deadlines.

use std::time::Duration;

use paceline::{Algorithm, Error, LimitSet, Quota};

use crate::support::{assert_all_came_back, millis, others_run, secs, timed};

fn tokens(quota: Quota) -> LimitSet {
    LimitSet::builder("llm").rate("tokens", quota).build().unwrap()
}

fn used(set: &LimitSet) -> u64 {
    set.snapshot().limit("tokens").unwrap().used
}

#[tokio::test(start_paused = true)]
async fn usage_beyond_the_estimate_is_a_debt_that_later_demands_wait_for() {
    let set = tokens(Quota::per_second(100).burst(100));
    let permit = set.acquire([("tokens", 100)]).await.unwrap();
    permit.settle([("tokens", 350)]).unwrap();
    assert_eq!(set.snapshot().limit("tokens").unwrap().debt, 250);
    let (next, took) = timed(set.acquire([("tokens", 50)])).await;
    drop(next.unwrap());
    assert_eq!(took, secs(3), "350 drain to 50 in three seconds");
}

#[tokio::test(start_paused = true)]
async fn a_debt_in_a_sliding_window_leaves_with_its_window() {
    let set = tokens(Quota::per_minute(100));
    let permit = set.acquire([("tokens", 10)]).await.unwrap();
    tokio::time::sleep(secs(20)).await;
    permit.settle([("tokens", 500)]).unwrap();
    let (next, took) = timed(set.acquire([("tokens", 1)])).await;
    drop(next.unwrap());
    assert_eq!(took, secs(40), "charged at the instant of admission");
    tokio::time::sleep(secs(120)).await;
    permit.settle([("tokens", 600)]).unwrap();
    let (next, took) = timed(set.acquire([("tokens", 1)])).await;
    drop(next.unwrap());
    assert_eq!(took, secs(60), "the admission has left the window, so the rest counts now");
}

#[tokio::test(start_paused = true)]
async fn a_refund_wakes_those_who_wait() {
    let set = tokens(Quota::per_hour(1_000));
    let permit = set.acquire([("tokens", 1_000)]).await.unwrap();
    let waiter = tokio::spawn({
        let set = set.clone();
        async move { timed(async { drop(set.acquire([("tokens", 600)]).await.unwrap()) }).await.1 }
    });
    tokio::time::sleep(secs(2)).await;
    permit.settle([("tokens", 500)]).unwrap();
    tokio::time::sleep(secs(2)).await;
    assert!(!waiter.is_finished(), "500 are free, 600 are asked for");
    permit.settle([("tokens", 400)]).unwrap();
    assert_eq!(waiter.await.unwrap(), secs(4));
    assert_eq!(permit.charged("tokens").unwrap(), 400, "the last call wins");
    assert_eq!(used(&set), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_late_refund_gives_back_no_more_than_is_still_counted() {
    // Sliding window: the charge has left.
    let set = tokens(Quota::per_minute(100));
    let permit = set.acquire([("tokens", 100)]).await.unwrap();
    tokio::time::sleep(secs(60)).await;
    drop(set.acquire([("tokens", 100)]).await.unwrap());
    permit.settle([("tokens", 0)]).unwrap();
    assert_eq!((used(&set), permit.charged("tokens").unwrap()), (100, 100));

    // Token bucket: half has drained.
    let set = tokens(Quota::per_second(100).burst(100));
    let permit = set.acquire([("tokens", 100)]).await.unwrap();
    tokio::time::sleep(millis(500)).await;
    permit.settle([("tokens", 0)]).unwrap();
    assert_eq!((used(&set), permit.charged("tokens").unwrap()), (0, 50), "half of it was used up by time");

    // Fixed window: the window is over.
    let set = tokens(Quota::per_minute(100).algorithm(Algorithm::FixedWindow));
    let permit = set.acquire([("tokens", 100)]).await.unwrap();
    tokio::time::sleep(secs(60)).await;
    drop(set.acquire([("tokens", 70)]).await.unwrap());
    permit.settle([("tokens", 0)]).unwrap();
    assert_eq!(used(&set), 70);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_not_demanded_is_charged_in_full() {
    let set = LimitSet::builder("llm").calls(Quota::per_minute(10)).rate("tokens", Quota::per_minute(1_000));
    let set = set.build().unwrap();
    let permit = set.acquire(()).await.unwrap();
    assert_eq!(permit.charged("tokens").unwrap(), 0);
    permit.settle([("tokens", 300)]).unwrap();
    assert_eq!((used(&set), permit.charged("tokens").unwrap()), (300, 300));
    permit.settle([("tokens", 200)]).unwrap();
    assert_eq!(used(&set), 200);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_corrects_nothing() {
    let set = tokens(Quota::per_minute(1_000));
    let permit = set.acquire([("tokens", 100)]).await.unwrap();
    let error = permit.settle([("tokens", 50), ("tokns", 1)]).unwrap_err();
    assert!(matches!(error, Error::UnknownKey { .. }), "{error}");
    assert_eq!(used(&set), 100);
}

#[tokio::test(start_paused = true)]
async fn settling_a_resource_gives_back_or_takes_what_differs() {
    let set = LimitSet::builder("gpu").resource("memory", 100).build().unwrap();
    let permit = set.acquire([("memory", 80)]).await.unwrap();
    let mut waiter = Box::pin(set.acquire([("memory", 50)]));
    assert!(futures::poll!(&mut waiter).is_pending());
    permit.settle([("memory", 50)]).unwrap();
    let second = waiter.await.unwrap();
    permit.settle([("memory", 120)]).unwrap();
    assert_eq!(set.snapshot().limit("memory").unwrap().debt, 70);
    drop((permit, second));
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_settled_stands_as_estimated() {
    let set = tokens(Quota::per_minute(1_000));
    drop(set.acquire([("tokens", 640)]).await.unwrap());
    assert_eq!(used(&set), 640);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_out_of_reach_fails_at_once() {
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let (answer, took) = timed(set.request(()).within(secs(59)).acquire()).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { deadline, .. }) if deadline == secs(59)), "{answer:?}");
    assert_eq!(took, secs(0));
    assert_eq!(set.snapshot().waiting, 0);
    set.reset().unwrap();
    set.pause_for(secs(10)).unwrap();
    let (answer, took) = timed(set.request(()).within(secs(9)).acquire()).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
    assert_eq!(took, secs(0), "the gate opens later than that");
    let blocking = set.request(()).within(secs(9)).acquire_blocking();
    assert!(matches!(blocking, Err(Error::DeadlineExceeded { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_a_refund_could_still_meet_is_waited_for() {
    let set = tokens(Quota::per_minute(100));
    let out = set.acquire([("tokens", 100)]).await.unwrap();
    let waiter = tokio::spawn({
        let set = set.clone();
        async move { timed(async { set.request([("tokens", 10)]).within(secs(5)).acquire().await.map(drop) }).await }
    });
    tokio::time::sleep(secs(3)).await;
    out.settle([("tokens", 20)]).unwrap();
    let (answer, took) = waiter.await.unwrap();
    assert!(answer.is_ok());
    assert_eq!(took, secs(3));
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_met_to_the_instant_and_missed_just_after() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let (answer, took) = timed(set.request(()).within(secs(1)).acquire()).await;
    assert!(answer.is_ok(), "in time to the nanosecond: {answer:?}");
    assert_eq!(took, secs(1));
    drop(answer);

    // Behind one other: two seconds are needed, which the limits alone would not show.
    let first = set.acquire(());
    let second = set.request(()).within(millis(1_500)).acquire();
    let ((first, second), took) = timed(futures::future::join(first, second)).await;
    assert!(first.is_ok());
    assert!(matches!(second, Err(Error::DeadlineExceeded { .. })));
    assert_eq!(took, millis(1_500));
    assert_eq!(set.snapshot().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_on_a_resource_is_waited_out() {
    let set = LimitSet::builder("db").concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let (answer, took) = timed(set.request(()).within(secs(3)).acquire()).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
    assert_eq!(took, secs(3));
    let (answer, took) = timed(set.request(()).within(Duration::ZERO).acquire()).await;
    assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
    assert_eq!(took, secs(0));
    drop(held);
    drop(set.request(()).within(Duration::ZERO).acquire().await.expect("free"));
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn many_deadlines_at_once_all_end_on_time() {
    let set = LimitSet::builder("db").concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let waits: Vec<_> = (1..=100)
        .map(|n| {
            let set = set.clone();
            tokio::spawn(async move {
                let (answer, took) = timed(set.request(()).within(millis(n * 10)).acquire()).await;
                assert!(matches!(answer, Err(Error::DeadlineExceeded { .. })));
                assert_eq!(took, millis(n * 10));
            })
        })
        .collect();
    others_run().await;
    for wait in waits {
        wait.await.unwrap();
    }
    drop(held);
    assert_all_came_back(&set);
}
