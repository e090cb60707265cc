//! Several sets acquired together by many threads, in real time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use paceline::{LimitSet, Quota};

use crate::support::{Dice, Watchdog, assert_all_came_back, millis, secs};

fn slots(name: &str, capacity: u64) -> LimitSet {
    LimitSet::builder(name.to_owned()).concurrency(capacity).build().unwrap()
}

#[test]
fn real_time_opposite_orders_on_many_threads_do_not_deadlock() {
    let _watchdog = Watchdog::new("opposite orders", secs(60));
    let sets = [slots("a", 1), slots("b", 1), slots("c", 2)];
    let inside = Arc::new(AtomicI64::new(0));
    let start = Arc::new(Barrier::new(6));
    let threads: Vec<_> = (0..6_usize)
        .map(|n| {
            let (sets, inside, start) = (sets.clone(), Arc::clone(&inside), Arc::clone(&start));
            thread::spawn(move || {
                let pick = [[0, 1, 2], [2, 1, 0], [1, 0, 2]][n % 3];
                let joint = LimitSet::all(pick.map(|at| &sets[at])).unwrap();
                start.wait();
                for round in 0..40 {
                    let permit = if round % 4 == 0 {
                        let Ok(permit) = joint.try_acquire(()) else { continue };
                        permit
                    } else {
                        joint.acquire_blocking(()).unwrap()
                    };
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    sets.iter().for_each(assert_all_came_back);
}

#[test]
fn real_time_joint_futures_on_many_threads_hold_each_set_to_its_capacity() {
    let _watchdog = Watchdog::new("joint futures on many threads", secs(60));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let sets = [slots("a", 2), slots("b", 3), slots("c", 1)];
    let inside: Arc<[AtomicI64; 3]> = Arc::new([0, 0, 0].map(AtomicI64::new));
    runtime.block_on(async {
        let tasks = (0..24_u64).map(|seed| {
            let (sets, inside) = (sets.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                let mut dice = Dice(seed);
                for _ in 0..300 {
                    let first = usize::try_from(dice.below(3)).unwrap();
                    let second = (first + 1) % 3;
                    let joint = LimitSet::all([&sets[first], &sets[second]]).unwrap();
                    let wait = joint.acquire(());
                    let permit = if dice.below(4) == 0 {
                        let patience = std::time::Duration::from_micros(dice.below(300));
                        let Ok(permit) = tokio::time::timeout(patience, wait).await else { continue };
                        permit
                    } else {
                        wait.await
                    };
                    let permit = permit.unwrap();
                    for (at, most) in [(first, [2, 3, 1][first]), (second, [2, 3, 1][second])] {
                        assert!(inside[at].fetch_add(1, Ordering::SeqCst) < most);
                    }
                    assert!(permit.permits().iter().all(|of| of.charged("concurrency").unwrap() == 1));
                    tokio::task::yield_now().await;
                    for at in [first, second] {
                        inside[at].fetch_sub(1, Ordering::SeqCst);
                    }
                    drop(permit);
                }
            })
        });
        for task in futures::future::join_all(tasks).await {
            task.unwrap();
        }
    });
    sets.iter().for_each(assert_all_came_back);
}

/// A permit of two sets is looked for while another thread grants it: it is seen on both or on none.
#[test]
fn real_time_a_joint_grant_is_seen_whole_whenever_it_is_looked_for() {
    let _watchdog = Watchdog::new("joint grants seen whole", secs(60));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let _context = runtime.enter();
    let (a, b) = (slots("a", 1), slots("b", 1));
    let both = LimitSet::all([&a, &b]).unwrap();
    for _ in 0..3_000 {
        let held = b.try_acquire(()).unwrap().into_owned();
        let mut wait = Box::pin(both.acquire(()));
        assert!(crate::support::poll_once(wait.as_mut()).is_pending());
        let go = Arc::new(Barrier::new(2));
        let other = runtime.spawn_blocking({
            let go = Arc::clone(&go);
            move || {
                go.wait();
                drop(held);
            }
        });
        go.wait();
        let permit = loop {
            if let std::task::Poll::Ready(permit) = crate::support::poll_once(wait.as_mut()) {
                break permit.unwrap();
            }
        };
        assert_eq!(permit.permits().len(), 2);
        for (of, set) in permit.permits().iter().zip([&a, &b]) {
            assert!(of.set().is(set));
        }
        drop(permit);
        runtime.block_on(other).unwrap();
        [&a, &b].into_iter().for_each(assert_all_came_back);
    }
}

#[test]
fn real_time_blocking_joint_waits_go_by_rates_too() {
    let _watchdog = Watchdog::new("blocking joint waits", secs(30));
    let (a, b) = (slots("a", 4), LimitSet::builder("b").calls(Quota::new(5, millis(50))).build().unwrap());
    let both = LimitSet::all([&a, &b]).unwrap();
    let start = std::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    drop(both.acquire_blocking(()).unwrap());
                }
            });
        }
    });
    assert!(start.elapsed() >= millis(150), "20 calls at 5 each 50 ms: {:?}", start.elapsed());
    assert!(start.elapsed() < secs(5), "{:?}", start.elapsed());
    [a, b].iter().for_each(assert_all_came_back);
}
