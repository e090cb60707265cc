//! A function over many items, on threads that are chosen.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use paceline::{Error, Execute, RateLimiter, execute};

use crate::support::{Watchdog, millis, quiet_panics, secs};

/// `execute(fetch_data, item_ids, prefer_threads_for_io=True, verbose=True)` around a function with a limit.
#[test]
fn parity_a08_real_time_execute_chooses_threads_and_keeps_the_limit_within() {
    let _watchdog = Watchdog::new("execute", secs(60));
    let limiter = RateLimiter::per_second(500).burst(10);
    let threads = Mutex::new(HashSet::new());
    let fetch_data = limiter.wrap_blocking(|id: u64| {
        threads.lock().unwrap().insert(thread::current().id());
        id * 2
    });
    let start = Instant::now();
    let done = Execute::default().prefer_threads_for_io().run(&fetch_data, 0..100).unwrap();
    assert!(start.elapsed() >= millis(180), "90 beyond the burst at 500 a second: {:?}", start.elapsed());
    assert_eq!(done.values, (0..100).map(|id| Ok::<_, Error>(id * 2)).collect::<Vec<_>>());
    assert_eq!(done.plan.to_string(), "32 threads, chunks of 1; nothing was measured");
    assert!(threads.lock().unwrap().len() > 1);
}

#[test]
fn parity_a08_real_time_results_are_in_order_and_nothing_runs_twice() {
    let _watchdog = Watchdog::new("execute", secs(60));
    for items in [0_u64, 1, 2, 7, 1_000, 20_000] {
        let calls = AtomicU64::new(0);
        let call = |item: u64| {
            calls.fetch_add(1, Ordering::Relaxed);
            item * item
        };
        assert_eq!(execute(call, 0..items), (0..items).map(|item| item * item).collect::<Vec<_>>());
        for (workers, chunk) in [(1, 1), (3, 7), (8, 1_000), (5, 1)] {
            let done = Execute::default().workers(workers).chunk(chunk).run(call, 0..items).unwrap();
            assert!(done.values.iter().zip(0..).all(|(value, item)| *value == item * item));
            assert_eq!((done.values.len() as u64, done.plan.chunk), (items, chunk));
        }
        assert_eq!(calls.into_inner(), 5 * items);
    }
}

/// What waits is measured to wait, and gets more threads than there are cores.
#[test]
fn parity_a08_real_time_what_waits_gets_more_threads() {
    let _watchdog = Watchdog::new("execute", secs(60));
    let done = Execute::default().run(|_: u32| thread::sleep(millis(6)), 0..40).unwrap();
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!((done.plan.sampled, done.plan.chunk), (1, 1));
    if cfg!(target_os = "linux") {
        assert!(done.plan.workers > 2 * cores, "{} for {cores} cores", done.plan);
    }
}

#[test]
fn a_panic_ends_it_and_goes_on_where_it_was_called() {
    quiet_panics();
    let _watchdog = Watchdog::new("a panic in execute", secs(60));
    let calls = AtomicU64::new(0);
    let call = |item: u64| {
        calls.fetch_add(1, Ordering::Relaxed);
        if item == 50 {
            std::panic::panic_any("on purpose");
        }
        thread::yield_now();
    };
    let stated = Execute::default().workers(4).chunk(1);
    let panic = catch_unwind(AssertUnwindSafe(|| stated.run(call, 0..1_000_000))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
    assert!(calls.into_inner() < 1_000_000, "what was not begun was not called");
}

#[test]
fn no_thread_and_no_item_at_a_time_are_refused() {
    for (options, message) in [
        (Execute::default().workers(0), "`workers` is 0; it must be at least 1"),
        (Execute::default().chunk(0), "`chunk` is 0; it must be at least 1"),
    ] {
        assert_eq!(options.run(|item: u64| item, 0..9).unwrap_err().to_string(), message);
    }
}
