//! What waiting costs: about two polls an admission, however many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline::{LimitPool, LimitSet, Quota};

use crate::support::{assert_all_came_back, counted, millis, others_run, secs};

const WAITERS: u64 = 1_000;

async fn polls_an_admission(set: LimitSet, rounds: u64) -> f64 {
    let polls = Arc::new(AtomicU64::new(0));
    let tasks = (0..WAITERS).map(|_| {
        let (set, polls) = (set.clone(), Arc::clone(&polls));
        tokio::spawn(async move {
            for _ in 0..rounds {
                let permit = counted(&polls, set.acquire(())).await.unwrap();
                tokio::time::sleep(millis(3)).await;
                drop(permit);
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(set.snapshot().granted, WAITERS * rounds);
    assert_all_came_back(&set);
    polls.load(Ordering::Relaxed) as f64 / (WAITERS * rounds) as f64
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_a_rate_cost_two_polls_an_admission() {
    let rate = LimitSet::builder("rate").calls(Quota::new(10, millis(10))).build().unwrap();
    let polls = polls_an_admission(rate, 5).await;
    assert!(polls <= 2.0, "{polls}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_a_resource_cost_two_polls_an_admission() {
    let slots = LimitSet::builder("slots").concurrency(7).build().unwrap();
    let polls = polls_an_admission(slots, 5).await;
    assert!(polls <= 2.0, "{polls}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_three_rates_and_a_resource_cost_two_polls_an_admission() {
    let set = LimitSet::builder("composite")
        .calls(Quota::new(50, millis(50)))
        .calls_as("bucket", Quota::per_second(900).burst(30))
        .calls_as("hour", Quota::per_hour(1_000_000))
        .concurrency(20)
        .build()
        .unwrap();
    let polls = polls_an_admission(set, 5).await;
    assert!(polls <= 2.0, "{polls}");
}

#[tokio::test(start_paused = true)]
async fn one_permit_that_comes_back_wakes_one_waiter() {
    let set = LimitSet::builder("slots").concurrency(1).build().unwrap();
    let held = set.acquire(()).await.unwrap();
    let polls = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (set, polls) = (set.clone(), Arc::clone(&polls));
            tokio::spawn(async move {
                std::mem::forget(counted(&polls, set.acquire(())).await.unwrap());
            })
        })
        .collect();
    others_run().await;
    assert_eq!(polls.load(Ordering::Relaxed), WAITERS, "each once, to ask");
    tokio::time::sleep(secs(3_600)).await;
    assert_eq!(polls.load(Ordering::Relaxed), WAITERS, "none while it waits");
    drop(held);
    others_run().await;
    assert_eq!(polls.load(Ordering::Relaxed), WAITERS + 1, "one, when it is granted");
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test(start_paused = true)]
async fn opening_a_gate_wakes_no_more_than_it_lets_through() {
    let set = LimitSet::builder("rate").calls(Quota::per_hour(10)).build().unwrap();
    set.pause_for(secs(60)).unwrap();
    let polls = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..WAITERS)
        .map(|_| {
            let (set, polls) = (set.clone(), Arc::clone(&polls));
            tokio::spawn(async move { drop(counted(&polls, set.acquire(())).await) })
        })
        .collect();
    tokio::time::sleep(secs(61)).await;
    assert_eq!(polls.load(Ordering::Relaxed), WAITERS + 10);
    tasks.iter().for_each(|task| task.abort());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_on_a_pool_and_on_a_joint_are_woken_few_times() {
    let set = |name: &str| LimitSet::builder(name.to_owned()).concurrency(3).build().unwrap();
    let members = [set("a"), set("b"), set("c")];
    let pool = members.iter().fold(LimitPool::builder("pool"), |pool, set| pool.member(set.clone())).build().unwrap();
    let polls = Arc::new(AtomicU64::new(0));
    let tasks = (0..WAITERS).map(|_| {
        let (pool, polls) = (pool.clone(), Arc::clone(&polls));
        tokio::spawn(async move {
            let permit = counted(&polls, pool.acquire(())).await.unwrap();
            tokio::time::sleep(millis(3)).await;
            drop(permit);
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    let polls_each = polls.load(Ordering::Relaxed) as f64 / WAITERS as f64;
    assert!(polls_each <= 2.2, "a pool of three: {polls_each}");

    let joint = LimitSet::all(&members).unwrap();
    let polls = Arc::new(AtomicU64::new(0));
    let tasks = (0..WAITERS).map(|_| {
        let (joint, polls) = (joint.clone(), Arc::clone(&polls));
        tokio::spawn(async move {
            let permit = counted(&polls, joint.acquire(())).await.unwrap();
            tokio::time::sleep(millis(3)).await;
            drop(permit);
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    let polls_each = polls.load(Ordering::Relaxed) as f64 / WAITERS as f64;
    assert!(polls_each <= 2.2, "three together: {polls_each}");
    members.iter().for_each(assert_all_came_back);
}
