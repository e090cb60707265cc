//! Permits as guards, hooks, and one set for futures and threads at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use paceline::{Error, LimitSet, Permit, Quota, Waiting};

use crate::support::{Watchdog, assert_all_came_back, millis, secs, timed};

#[tokio::test(start_paused = true)]
async fn a_panicking_task_gives_its_permit_back() {
    let set = LimitSet::builder("db").concurrency(1).build().unwrap();
    let doomed = tokio::spawn({
        let set = set.clone();
        async move {
            let _permit = set.acquire(()).await.unwrap();
            tokio::time::sleep(secs(1)).await;
            panic!("on purpose");
        }
    });
    tokio::time::sleep(millis(1)).await;
    let (permit, took) = timed(set.acquire(())).await;
    assert_eq!(took, millis(999));
    drop(permit.unwrap());
    assert!(doomed.await.unwrap_err().is_panic());
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn an_owned_permit_moves_to_another_task_and_outlives_every_handle() {
    let set = LimitSet::builder("db").concurrency(1).config("region", "eu").build().unwrap();
    let permit: Permit<'static> = set.acquire(()).await.unwrap().into_owned();
    assert_eq!(permit.config("region"), Some("eu"));
    let again = set.clone();
    drop(set);
    let elsewhere = tokio::spawn(async move {
        tokio::time::sleep(secs(5)).await;
        drop(permit);
    });
    let (permit, took) = timed(again.acquire(())).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(5));
    elsewhere.await.unwrap();
    assert_all_came_back(&again);
}

#[tokio::test(start_paused = true)]
async fn release_gives_back_and_reports() {
    let set = LimitSet::builder("db").concurrency(1).build().unwrap();
    set.acquire(()).await.unwrap().release().await.unwrap();
    assert_all_came_back(&set);
    // Dropping the future of a release releases as well.
    drop(set.acquire(()).await.unwrap().release());
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn a_permit_tells_when_it_was_asked_for_and_granted() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    let first = set.acquire(()).await.unwrap();
    assert_eq!(first.waited(), secs(0));
    let second = set.acquire(()).await.unwrap();
    assert_eq!(second.waited(), secs(1));
    assert_eq!(second.admitted_at().since(first.admitted_at()), secs(1));
    assert_eq!(second.arrival().at, first.admitted_at());
    let snapshot = set.snapshot();
    assert_eq!((snapshot.granted, snapshot.waits, snapshot.waited), (2, 1, secs(1)));
    assert!(second.set().is(&set));
}

#[tokio::test(start_paused = true)]
async fn hooks_say_who_waits_for_what_and_how_long() {
    let seen = Arc::new(Mutex::new(Vec::<Waiting>::new()));
    let log = Arc::clone(&seen);
    let set = LimitSet::builder("api")
        .calls(Quota::per_minute(1))
        .concurrency(2)
        .on_wait(move |waiting| log.lock().unwrap().push(waiting.clone()))
        .build()
        .unwrap();
    let held = set.acquire(()).await.unwrap();
    drop(set.acquire(()).await.unwrap());
    set.set_quota("calls", Quota::per_minute(100)).unwrap();
    let second = set.acquire(()).await.unwrap();
    let mut third = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut third).is_pending());
    let mut fourth = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut fourth).is_pending());
    let seen = seen.lock().unwrap().clone();
    let told: Vec<_> = seen.iter().map(|w| (w.limit.as_deref(), w.expected, w.ahead)).collect();
    assert_eq!(
        told,
        [(Some("calls"), Some(secs(60)), 0), (Some("concurrency"), None, 0), (Some("concurrency"), None, 1)]
    );
    assert!(seen.iter().all(|waiting| &*waiting.set == "api"));
    drop((held, second));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_harms_nobody() {
    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let set = LimitSet::builder("api")
        .calls(Quota::per_second(1))
        .on_wait(|_| panic!("on purpose"))
        .on_wait(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    for _ in 0..3 {
        drop(set.acquire(()).await.unwrap());
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2, "the second hook is called all the same");
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_use_the_set_it_hangs_on() {
    let cell = Arc::new(std::sync::OnceLock::<LimitSet>::new());
    let inner = Arc::clone(&cell);
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).on_wait(move |_| {
        let set = inner.get().unwrap();
        assert!(set.try_acquire(()).is_err());
        assert_eq!(set.snapshot().waiting, 1);
        set.set_quota("calls", Quota::per_second(2)).unwrap();
    });
    let set = set.build().unwrap();
    cell.set(set.clone()).unwrap();
    drop(set.acquire(()).await.unwrap());
    let (permit, took) = timed(set.acquire(())).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(0), "its own hook made room");
}

#[test]
fn real_time_futures_and_threads_share_one_set() {
    let _watchdog = Watchdog::new("futures and threads", secs(30));
    let set = LimitSet::builder("api").calls(Quota::new(20, millis(100))).concurrency(3).build().unwrap();
    let peak = Arc::new(AtomicU64::new(0));
    let inside = Arc::new(AtomicU64::new(0));
    let enter = {
        let (peak, inside) = (Arc::clone(&peak), Arc::clone(&inside));
        move || {
            peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        }
    };
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (set, enter, inside) = (set.clone(), enter.clone(), Arc::clone(&inside));
            thread::spawn(move || {
                for _ in 0..15 {
                    let permit = set.acquire_blocking(()).unwrap();
                    enter();
                    thread::sleep(millis(1));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            })
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let tasks = (0..4).map(|_| {
            let (set, enter, inside) = (set.clone(), enter.clone(), Arc::clone(&inside));
            tokio::spawn(async move {
                for _ in 0..15 {
                    let permit = set.acquire(()).await.unwrap();
                    enter();
                    tokio::time::sleep(millis(1)).await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            })
        });
        for task in futures::future::join_all(tasks).await {
            task.unwrap();
        }
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(set.snapshot().granted, 120);
    assert!(peak.load(Ordering::SeqCst) <= 3);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn key_handles_belong_to_their_set_and_to_all_made_from_its_template() {
    let template = LimitSet::builder("tenant").rate("tokens", Quota::per_minute(10)).template().unwrap();
    let (a, b) = (template.make("a"), template.make("b"));
    let tokens = a.key("tokens").unwrap();
    drop(b.try_acquire([(tokens, 10)]).unwrap());
    assert_eq!(a.snapshot().limit("tokens").unwrap().used, 0, "they share the description, not the state");
    let other = LimitSet::builder("other").rate("tokens", Quota::per_minute(10)).build().unwrap();
    assert!(matches!(other.try_acquire([(tokens, 1)]), Err(Error::ForeignKey { .. })));
    assert!(matches!(other.set_quota(tokens, Quota::per_minute(1)), Err(Error::ForeignKey { .. })));
}

#[tokio::test(start_paused = true)]
async fn amounts_of_one_key_add_up_and_zero_charges_nothing() {
    let set = LimitSet::builder("api").rate("tokens", Quota::per_minute(10)).calls(Quota::per_minute(5));
    let set = set.build().unwrap();
    let permit = set.acquire([("tokens", 3), ("tokens", 4), ("calls", 0)]).await.unwrap();
    assert_eq!((permit.charged("tokens").unwrap(), permit.charged("calls").unwrap()), (7, 0));
    let overflow = set.try_acquire(vec![("tokens", u64::MAX), ("tokens", u64::MAX)]);
    assert!(matches!(overflow, Err(Error::TooLarge { asked: u64::MAX, .. })));
    let by_string = set.try_acquire(&[(String::from("tokens"), 3)]);
    assert!(by_string.is_ok());
}
