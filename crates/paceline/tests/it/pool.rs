//! Several sets of which any will do: who is passed over, waited for, claimed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use paceline::{Choice, Error, LimitPool, LimitSet, Quota};

use crate::support::{Dice, Watchdog, assert_all_came_back, millis, others_run, secs, timed};

fn slots(name: &str, capacity: u64) -> LimitSet {
    LimitSet::builder(name.to_owned()).concurrency(capacity).config("region", name.to_owned()).build().unwrap()
}

fn pool_of(members: &[LimitSet]) -> LimitPool {
    members.iter().fold(LimitPool::builder("pool"), |pool, set| pool.member(set.clone())).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn full_and_paused_members_are_passed_over_while_another_is_free() {
    for choice in [
        Choice::RoundRobin,
        Choice::Random,
        Choice::LeastActive,
        Choice::LeastTotal,
        Choice::TwoChoices,
        Choice::MostHeadroom,
    ] {
        let members = [slots("full", 1), slots("paused", 100), slots("free", 100)];
        let pool = members.iter().fold(LimitPool::builder("pool"), |pool, set| pool.member(set.clone()));
        let pool = pool.choose(choice).build().unwrap();
        let _held = members[0].try_acquire(()).unwrap();
        members[1].pause_for(secs(60)).unwrap();
        for _ in 0..50 {
            let (permit, took) = timed(pool.acquire(())).await;
            assert_eq!((permit.unwrap().config("region"), took), (Some("free"), secs(0)), "{choice:?}");
            assert_eq!(pool.try_acquire(()).unwrap().config("region"), Some("free"), "{choice:?}");
            assert_eq!(pool.acquire_blocking(()).unwrap().config("region"), Some("free"), "{choice:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_are_full_the_first_that_has_room_takes_it() {
    let members = [slots("a", 1), slots("b", 1), slots("c", 1)];
    let pool = pool_of(&members);
    let mut held: Vec<_> = members.iter().map(|set| set.try_acquire(()).unwrap()).collect();
    let Err(Error::NotNow { set, .. }) = pool.try_acquire(()) else { panic!("all are full") };
    assert_eq!(&*set, "pool");
    let mut wait = Box::pin(pool.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    assert!(members.iter().all(|set| set.snapshot().waiting == 1), "it stands in every queue");
    drop(held.remove(1));
    let permit = wait.await.unwrap();
    assert_eq!(permit.config("region"), Some("b"));
    assert!(members.iter().all(|set| set.snapshot().waiting == 0), "and then in none");
    assert_eq!(members.iter().map(|set| set.snapshot().granted).sum::<u64>(), 4);
    drop((permit, held));
    members.iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn not_now_says_when_the_first_member_has_room() {
    let rate = |name: &str, secs| {
        let set = LimitSet::builder(name.to_owned()).calls(Quota::new(1, crate::support::secs(secs))).build().unwrap();
        drop(set.try_acquire(()).unwrap());
        set
    };
    let pool = pool_of(&[rate("a", 30), rate("b", 10), rate("c", 20)]);
    assert_eq!(pool.try_acquire(()).unwrap_err().retry_after(), Some(secs(10)));
    let (permit, took) = timed(pool.acquire(())).await;
    assert_eq!((permit.unwrap().set().name(), took), ("b", secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_pool_waits_its_turn_in_each_member() {
    let members = [slots("a", 1), slots("b", 1)];
    let pool = pool_of(&members);
    let (on_a, on_b) = (members[0].try_acquire(()).unwrap(), members[1].try_acquire(()).unwrap());
    let mut first = Box::pin(members[0].acquire(()));
    assert!(futures::poll!(&mut first).is_pending());
    let mut of_pool = Box::pin(pool.acquire(()));
    assert!(futures::poll!(&mut of_pool).is_pending());
    drop(on_a);
    assert!(futures::poll!(&mut of_pool).is_pending(), "the one of a came first");
    drop(first.await.unwrap());
    let permit = of_pool.await.unwrap();
    assert_eq!(permit.config("region"), Some("a"));
    drop((permit, on_b));
    members.iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn cancelling_a_pool_wait_frees_every_place_and_an_unseen_grant() {
    let members = [slots("a", 1), slots("b", 1)];
    let pool = pool_of(&members);
    let held: Vec<_> = members.iter().map(|set| set.try_acquire(()).unwrap()).collect();
    drop(pool.acquire(()));
    let mut wait = Box::pin(pool.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    drop(wait);
    assert!(members.iter().all(|set| set.snapshot().waiting == 0));
    let mut wait = Box::pin(pool.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    drop(held);
    assert_eq!(members.iter().map(|set| set.snapshot().active).sum::<u64>(), 1, "granted by one, unseen");
    drop(wait);
    members.iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn a_closed_member_grants_nothing_and_the_others_go_on() {
    let members = [slots("closed", 5), slots("open", 1)];
    let pool = pool_of(&members);
    members[0].close().unwrap();
    for _ in 0..4 {
        assert_eq!(pool.try_acquire(()).unwrap().config("region"), Some("open"));
    }
    let held = members[1].try_acquire(()).unwrap();
    assert!(matches!(pool.try_acquire(()), Err(Error::NotNow { .. })), "one of them may have room later");
    let mut wait = Box::pin(pool.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending(), "the closed one has room and does not count");
    drop(held);
    let permit = wait.await.unwrap();
    assert_eq!(permit.config("region"), Some("open"));
    drop(permit);
    assert_eq!(members[0].snapshot().granted, 0);
    members.iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn closing_members_while_a_demand_waits_ends_it_with_the_last() {
    let members = [slots("a", 1), slots("b", 1)];
    let pool = pool_of(&members);
    let held: Vec<_> = members.iter().map(|set| set.try_acquire(()).unwrap()).collect();
    let wait = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(()).await.map(drop) }
    });
    others_run().await;
    members[0].close().unwrap();
    others_run().await;
    assert!(!wait.is_finished(), "the other may still have room");
    members[1].close().unwrap();
    assert!(matches!(wait.await.unwrap(), Err(Error::Closed { .. })));
    assert!(matches!(pool.try_acquire(()), Err(Error::Closed { .. })));
    assert!(matches!(pool.acquire(()).await, Err(Error::Closed { .. })));
    assert!(matches!(pool.acquire_blocking(()), Err(Error::Closed { .. })));
    drop(held);
    members.iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn a_member_too_small_for_a_demand_is_left_out() {
    let members = [slots("small", 2), slots("large", 10)];
    let pool = pool_of(&members);
    for _ in 0..4 {
        assert_eq!(pool.try_acquire([("concurrency", 5)]).unwrap().config("region"), Some("large"));
    }
    let held = members[1].try_acquire([("concurrency", 10)]).unwrap();
    let mut wait = Box::pin(pool.acquire([("concurrency", 5)]));
    assert!(futures::poll!(&mut wait).is_pending());
    drop(held);
    assert_eq!(wait.await.unwrap().config("region"), Some("large"));
    assert!(matches!(pool.try_acquire([("concurrency", 11)]), Err(Error::TooLarge { .. })));
    assert!(matches!(pool.acquire([("concurrency", 11)]).await, Err(Error::TooLarge { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_key_absent_from_one_member_is_ignored_there_and_absent_from_all_is_an_error() {
    let with = LimitSet::builder("with").rate("images", Quota::per_minute(3)).build().unwrap();
    let without = LimitSet::builder("without").rate("tokens", Quota::per_minute(100)).build().unwrap();
    let pool = pool_of(&[with.clone(), without.clone()]);
    let names: Vec<_> = (0..4).map(|_| pool.try_acquire([("images", 2)]).unwrap().set().name().to_owned()).collect();
    assert_eq!(names, ["with", "without", "without", "without"]);
    assert_eq!(with.snapshot().limit("images").unwrap().used, 2);
    for amounts in [vec![("sounds", 1)], vec![("images", 1), ("sounds", 1)]] {
        assert!(matches!(pool.try_acquire(&amounts), Err(Error::UnknownKey { .. })));
        assert!(matches!(pool.acquire(&amounts).await, Err(Error::UnknownKey { .. })));
        assert!(matches!(pool.acquire_blocking(&amounts), Err(Error::UnknownKey { .. })));
    }
}

/// A handle of one member's key would charge the others nothing.
#[tokio::test(start_paused = true)]
async fn a_key_handle_of_one_member_is_refused_unless_all_members_know_it() {
    let set = |name: &str| LimitSet::builder(name.to_owned()).rate("tokens", Quota::per_minute(10)).build().unwrap();
    let (a, b) = (set("a"), set("b"));
    let tokens = a.key("tokens").unwrap();
    assert!(matches!(pool_of(&[a, b]).try_acquire([(tokens, 10)]), Err(Error::ForeignKey { .. })));

    let template = LimitSet::builder("t").rate("tokens", Quota::per_minute(10)).template().unwrap();
    let alike = [template.make("a"), template.make("b")];
    let tokens = alike[0].key("tokens").unwrap();
    let pool = pool_of(&alike);
    drop((pool.try_acquire([(tokens, 10)]).unwrap(), pool.try_acquire([(tokens, 10)]).unwrap()));
    assert!(alike.iter().all(|set| set.snapshot().limit("tokens").unwrap().used == 10));
}

#[test]
fn real_time_a_demand_that_waits_on_several_is_claimed_once() {
    let _watchdog = Watchdog::new("claimed once", secs(60));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    let member = |name: &str, capacity| {
        LimitSet::builder(name.to_owned())
            .concurrency(capacity)
            .calls_as("ever", Quota::per_day(1_000_000))
            .build()
            .unwrap()
    };
    let members = [member("a", 1), member("b", 2), member("c", 1)];
    let pool = pool_of(&members);
    let (granted, cancelled) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    runtime.block_on(async {
        let tasks = (0..32_u64).map(|seed| {
            let (pool, granted, cancelled) = (pool.clone(), Arc::clone(&granted), Arc::clone(&cancelled));
            tokio::spawn(async move {
                let mut dice = Dice(seed);
                for _ in 0..250 {
                    let wait = pool.acquire(());
                    let patience = std::time::Duration::from_micros(50 + dice.below(2_000));
                    match tokio::time::timeout(patience, wait).await {
                        Ok(permit) => {
                            let permit = permit.unwrap();
                            granted.fetch_add(1, Ordering::Relaxed);
                            tokio::task::yield_now().await;
                            drop(permit);
                        }
                        Err(_) => {
                            cancelled.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            })
        });
        for task in futures::future::join_all(tasks).await {
            task.unwrap();
        }
    });
    let total = |of: fn(&LimitSet) -> u64| members.iter().map(of).sum::<u64>();
    let granted = granted.load(Ordering::Relaxed);
    assert_eq!(total(|set| set.snapshot().granted), granted, "charges equal grants");
    assert_eq!(total(|set| set.snapshot().limit("ever").unwrap().used), granted);
    assert_eq!(granted + cancelled.load(Ordering::Relaxed), 32 * 250);
    members.iter().for_each(assert_all_came_back);
}

#[test]
fn real_time_threads_wait_on_several_and_are_claimed_once() {
    let _watchdog = Watchdog::new("blocking pool", secs(60));
    let members = [slots("a", 1), slots("b", 1)];
    let pool = pool_of(&members);
    let start = Arc::new(Barrier::new(6));
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let (pool, start) = (pool.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                for _ in 0..30 {
                    let permit = pool.acquire_blocking(()).unwrap();
                    thread::sleep(std::time::Duration::from_micros(200));
                    drop(permit);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(members.iter().map(|set| set.snapshot().granted).sum::<u64>(), 180);
    members.iter().for_each(assert_all_came_back);
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_used_as_fast_as_all_its_members_together() {
    let member = |name: &str, n| LimitSet::builder(name.to_owned()).calls(Quota::new(n, secs(1))).build().unwrap();
    let members = [member("a", 5), member("b", 10), member("c", 1)];
    let pool = pool_of(&members);
    let (_, took) = timed(async {
        let tasks = (0..40).map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                for _ in 0..40 {
                    drop(pool.acquire(()).await.unwrap());
                }
            })
        });
        for task in futures::future::join_all(tasks).await {
            task.unwrap();
        }
    })
    .await;
    assert_eq!(took, secs(99), "1,600 calls at 16 a second");
    assert!(members.iter().zip([500, 1_000, 100]).all(|(set, n)| set.snapshot().granted == n));
    assert!(took > millis(1));
}

/// Granted by one member and not polled, a demand is in nobody's way at the others.
#[tokio::test(start_paused = true)]
async fn a_pool_wait_that_was_granted_and_nobody_polls_delays_nobody_elsewhere() {
    let members = [slots("a", 10), slots("b", 10)];
    let pool = pool_of(&members);
    let (on_a, _nine_on_b) =
        (members[0].try_acquire([("concurrency", 10)]).unwrap(), members[1].try_acquire([("concurrency", 9)]).unwrap());
    let mut unpolled = Box::pin(pool.acquire([("concurrency", 10)]));
    assert!(futures::poll!(&mut unpolled).is_pending());
    drop(on_a);
    assert_eq!(members[0].snapshot().active, 1, "granted by a");
    let (permit, took) = timed(tokio::time::timeout(secs(5), members[1].acquire(()))).await;
    drop(permit.expect("one of b is free, and nobody before it wants it any more").unwrap());
    assert_eq!(took, secs(0));
    drop(unpolled);
}
