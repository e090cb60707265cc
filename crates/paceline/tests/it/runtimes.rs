//! Who keeps the time when futures are not polled and runtimes come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use paceline::{Error, LimitSet, ManualClock, Quota};
use tokio::runtime::{Builder, Runtime};

use crate::support::{Watchdog, assert_all_came_back, millis, poll_once, secs, timed};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// One call each 150 ms, so that real time can be told from none.
fn slow() -> LimitSet {
    let set = LimitSet::builder("slow").calls(Quota::new(1, millis(150))).build().unwrap();
    drop(set.try_acquire(()).unwrap());
    set
}

#[tokio::test(start_paused = true)]
async fn a_head_that_nobody_polls_delays_nobody() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let mut unpolled = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut unpolled).is_pending());
    let (permit, took) = timed(set.acquire(())).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(2), "the head takes the first second, polled or not; this the second");
    let (permit, took) = timed(unpolled).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(0), "granted long ago");
}

#[tokio::test(start_paused = true)]
async fn a_head_in_a_select_that_is_busy_elsewhere_delays_nobody() {
    let set = LimitSet::builder("api").calls(Quota::per_second(1)).build().unwrap();
    drop(set.acquire(()).await.unwrap());
    let busy = tokio::spawn({
        let set = set.clone();
        async move {
            let mut wait = std::pin::pin!(set.acquire(()));
            tokio::select! {
                biased;
                _ = &mut wait => unreachable!("a second away"),
                () = tokio::time::sleep(millis(10)) => {}
            }
            // Away for a minute with a wait that is queued, and dropped in the end.
            tokio::time::sleep(secs(60)).await;
        }
    });
    tokio::time::sleep(millis(20)).await;
    let (permit, took) = timed(set.acquire(())).await;
    drop(permit.unwrap());
    assert_eq!(took, millis(1_980));
    busy.await.unwrap();
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_nobody_polls_times_out_on_time_and_frees_its_place() {
    let set = LimitSet::builder("api").resource("units", 10).build().unwrap();
    let held = set.acquire([("units", 5)]).await.unwrap();
    let mut head = Box::pin(set.request([("units", 10)]).within(secs(3)).acquire());
    assert!(futures::poll!(&mut head).is_pending());
    let (permit, took) = timed(set.acquire([("units", 5)])).await;
    assert_eq!(took, secs(3), "the head's deadline passed, and nobody had to poll it for that");
    drop((held, permit.unwrap()));
    assert!(matches!(head.await, Err(Error::DeadlineExceeded { .. })));
}

#[test]
fn real_time_a_waiter_goes_on_when_the_drivers_runtime_shuts_down() {
    let _watchdog = Watchdog::new("a runtime that shuts down", secs(20));
    let set = slow();
    let (first, second) = (runtime(), runtime());
    let (to_main, from_waiter) = mpsc::channel();
    let waiter = thread::spawn({
        let set = set.clone();
        move || {
            second.block_on(async {
                let mut wait = Box::pin(set.acquire(()));
                assert!(futures::poll!(&mut wait).is_pending());
                to_main.send(()).unwrap();
                drop(wait.await.unwrap());
            });
        }
    });
    from_waiter.recv().unwrap();
    // Takes the driver over, and dies with it.
    let mut other = Box::pin(set.acquire(()));
    {
        let _in_first = first.enter();
        assert!(poll_once(other.as_mut()).is_pending());
    }
    first.shutdown_background();
    waiter.join().unwrap();
    drop(other);
    assert_all_came_back(&set);
}

#[test]
fn real_time_a_waiter_goes_on_while_the_drivers_runtime_is_alive_but_not_driven() {
    let _watchdog = Watchdog::new("a runtime that nobody drives", secs(20));
    let set = slow();
    let undriven = runtime();
    let mut first = Box::pin(set.acquire(()));
    undriven.block_on(async { assert!(futures::poll!(&mut first).is_pending()) });
    // The driver sits in a runtime that nobody drives. A waiter on another polls later.
    let start = Instant::now();
    runtime().block_on(async { drop(set.acquire(()).await.unwrap()) });
    assert!(start.elapsed() < secs(5), "{:?}", start.elapsed());
    drop(first);
}

#[test]
fn real_time_a_waiter_goes_on_when_a_later_poll_elsewhere_is_on_a_runtime_that_stops() {
    let _watchdog = Watchdog::new("a runtime that stops after a later poll", secs(20));
    let set = slow();
    let undriven = runtime();
    let (to_main, from_waiter) = mpsc::channel();
    let waiter = thread::spawn({
        let set = set.clone();
        move || {
            runtime().block_on(async {
                let mut wait = Box::pin(set.acquire(()));
                assert!(futures::poll!(&mut wait).is_pending());
                to_main.send(()).unwrap();
                drop(wait.await.unwrap());
            });
        }
    });
    from_waiter.recv().unwrap();
    // Polled after the waiter, on a runtime that is alive and then not driven any more.
    let mut later = Box::pin(set.acquire(()));
    undriven.block_on(async { assert!(futures::poll!(&mut later).is_pending()) });
    waiter.join().unwrap();
    drop(later);
}

#[test]
fn real_time_a_blocking_waiter_goes_on_without_any_runtime_driven() {
    let _watchdog = Watchdog::new("a blocking waiter beside an undriven runtime", secs(20));
    let set = slow();
    let undriven = runtime();
    let mut head = Box::pin(set.acquire(()));
    undriven.block_on(async { assert!(futures::poll!(&mut head).is_pending()) });
    drop(set.acquire_blocking(()).unwrap());
    undriven.shutdown_background();
    drop(set.acquire_blocking(()).unwrap());
    drop(head);
    assert_all_came_back(&set);
}

#[test]
fn real_time_an_async_waiter_goes_on_beside_blocking_ones() {
    let _watchdog = Watchdog::new("async beside blocking", secs(20));
    let set = slow();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let set = set.clone();
            thread::spawn(move || drop(set.acquire_blocking(()).unwrap()))
        })
        .collect();
    let start = Instant::now();
    runtime().block_on(async { drop(set.acquire(()).await.unwrap()) });
    assert!(start.elapsed() < secs(5));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_all_came_back(&set);
}

#[test]
fn real_time_the_leading_thread_leaves_and_another_takes_over() {
    let _watchdog = Watchdog::new("the leading thread", secs(20));
    let set = LimitSet::builder("slow").calls(Quota::new(1, millis(300))).build().unwrap();
    drop(set.try_acquire(()).unwrap());
    // The leader gives up before anything is granted; the other thread has to keep the time from then on.
    let impatient = thread::spawn({
        let set = set.clone();
        // Out of reach, but a permit that is out could come back and be refunded, so it waits.
        let held = set.try_acquire([("calls", 0)]).unwrap().into_owned();
        move || {
            let error = set.request(()).within(millis(50)).acquire_blocking().unwrap_err();
            assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error}");
            drop(held);
        }
    });
    thread::sleep(millis(20));
    let start = Instant::now();
    drop(set.acquire_blocking(()).unwrap());
    assert!(start.elapsed() < secs(2), "{:?}", start.elapsed());
    impatient.join().unwrap();
}

/// Whoever was woken to lead can be granted before it could; somebody else has to lead then.
#[test]
fn real_time_waiting_threads_never_all_sleep() {
    let _watchdog = Watchdog::new("waiting threads that all sleep", secs(60));
    for round in 0..40 {
        let quota = Quota::new(1, Duration::from_micros(500)).burst(1 + round % 3);
        let set = LimitSet::builder("fast").calls(quota).build().unwrap();
        thread::scope(|scope| {
            for _ in 0..12 {
                scope.spawn(|| (0..5).for_each(|_| drop(set.acquire_blocking(()).unwrap())));
            }
        });
        assert_all_came_back(&set);
    }
}

#[test]
fn waiting_without_a_runtime_is_an_error_that_says_so_and_leaves_nothing() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let held = set.try_acquire(()).unwrap();
    let mut wait = Box::pin(set.acquire(()));
    let std::task::Poll::Ready(Err(error)) = poll_once(wait.as_mut()) else { panic!("there is no runtime") };
    assert!(matches!(error, Error::NoRuntime { .. }), "{error}");
    drop(wait);
    drop(held);
    assert_all_came_back(&set);
}

#[test]
fn acquiring_without_waiting_needs_no_runtime() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let mut wait = Box::pin(set.acquire(()));
    assert!(matches!(poll_once(wait.as_mut()), std::task::Poll::Ready(Ok(_))));
}

#[test]
fn a_runtime_without_timers_is_an_error_not_a_hang() {
    let _watchdog = Watchdog::new("a runtime without timers", secs(20));
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).build().unwrap();
    drop(set.try_acquire(()).unwrap());
    let error = Builder::new_current_thread().build().unwrap().block_on(set.acquire(())).unwrap_err();
    assert!(matches!(error, Error::NoRuntime { .. }), "{error}");
    assert_all_came_back(&set);
}

#[test]
fn a_manual_clock_decides_blocking_waits_in_the_call_that_moves_it() {
    let _watchdog = Watchdog::new("a manual clock and a thread", secs(20));
    let clock = ManualClock::default();
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).clock(clock.clone()).build().unwrap();
    drop(set.try_acquire(()).unwrap());
    let waiter = thread::spawn({
        let set = set.clone();
        move || set.acquire_blocking(()).unwrap().waited()
    });
    while set.snapshot().waiting == 0 {
        thread::yield_now();
    }
    clock.advance(secs(59));
    assert_eq!(set.snapshot().waiting, 1);
    clock.advance(secs(1));
    assert_eq!(waiter.join().unwrap(), secs(60));
}

#[tokio::test]
async fn a_manual_clock_decides_futures_too() {
    let clock = ManualClock::default();
    let set = LimitSet::builder("api").calls(Quota::per_minute(1)).clock(clock.clone()).build().unwrap();
    drop(set.try_acquire(()).unwrap());
    let mut wait = Box::pin(set.acquire(()));
    assert!(futures::poll!(&mut wait).is_pending());
    clock.advance(secs(59));
    assert!(futures::poll!(&mut wait).is_pending());
    clock.advance(secs(1));
    assert!(futures::poll!(&mut wait).is_ready());
}

#[test]
fn a_set_that_nobody_holds_is_let_go_while_its_driver_sleeps() {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let set = LimitSet::builder("api").calls(Quota::per_day(1)).build().unwrap();
        drop(set.acquire(()).await.unwrap());
        let mut wait = Box::pin(set.acquire(()));
        assert!(futures::poll!(&mut wait).is_pending());
        crate::support::others_run().await;
        drop(wait);
        drop(set);
        crate::support::others_run().await;
        assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "the driver has gone");
    });
}

/// How often a paused runtime has to wake up for one wait of an hour.
fn wakeups(set: impl FnOnce() -> LimitSet, waits: impl AsyncFnOnce(LimitSet)) -> u64 {
    let parks = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&parks);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .on_thread_park(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .build()
        .unwrap();
    runtime.block_on(async { waits(set()).await });
    parks.load(Ordering::Relaxed)
}

#[test]
fn a_wait_of_an_hour_costs_a_handful_of_wakeups() {
    let set = || LimitSet::builder("api").calls(Quota::per_hour(1)).build().unwrap();
    let woken = wakeups(set, async |set| {
        drop(set.acquire(()).await.unwrap());
        let (permit, took) = timed(set.acquire(())).await;
        drop(permit.unwrap());
        assert_eq!(took, Duration::from_secs(3_600));
    });
    // The timer wheel of tokio cascades a few times on the way.
    assert!(woken <= 12, "{woken}");
}

#[test]
fn waiting_behind_somebody_who_waits_for_a_permit_costs_no_wakeups() {
    let set = || {
        let set = LimitSet::builder("api").resource("slots", 1).rate("tokens", Quota::per_second(10).burst(10));
        set.build().unwrap()
    };
    let woken = wakeups(set, async |set| {
        let held = set.acquire([("slots", 1)]).await.unwrap();
        let mut head = Box::pin(set.acquire([("slots", 1), ("tokens", 5)]));
        assert!(futures::poll!(&mut head).is_pending());
        // Six more tokens than the bucket could ever hold beside the five that are set aside.
        let mut behind = Box::pin(set.acquire([("slots", 0), ("tokens", 6)]));
        assert!(futures::poll!(&mut behind).is_pending());
        tokio::time::sleep(secs(3_600)).await;
        drop(held);
        drop(head.await.unwrap());
        drop(behind.await.unwrap());
    });
    assert!(woken <= 20, "{woken}");
}
