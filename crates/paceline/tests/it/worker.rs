//! Workers with a state of their own, on threads and as tasks.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt;
use paceline::{Error, LimitSet, Quota, Worker, WorkerCall, WorkerError, WorkerLimits, WorkerOptions};
use tokio::time::{Instant, sleep};

use crate::support::{Watchdog, assert_all_came_back, millis, others_run, quiet_panics, secs, timed};

/// The seed's `AIWorker`: a call, and an estimate that is corrected to what was used.
#[derive(Default)]
struct AiWorker {
    calls: u64,
}

impl AiWorker {
    async fn generate(worker: &mut Worker<Self>, _prompt: u64) -> Result<u64, Error> {
        let permit = worker.limits.acquire([("requests", 1), ("tokens", 100)]).await?;
        sleep(millis(10)).await;
        permit.settle([("tokens", 120)])?;
        worker.state.calls += 1;
        Ok(worker.state.calls)
    }
}

fn llm() -> paceline::LimitSetBuilder {
    LimitSet::builder("llm").rate("requests", Quota::per_minute(500)).rate("tokens", Quota::per_minute(10_000))
}

/// `AIWorker.options(max_workers=10, limits=limits).init()`: calls return futures, states are the workers' own.
#[tokio::test(start_paused = true)]
async fn parity_c15_a_pool_of_workers_with_limits() {
    let limits = llm().build().unwrap();
    let pool = WorkerOptions::new(10).limits(&limits).tasks(|_| AiWorker::default()).unwrap();
    assert_eq!(pool.workers(), 10);
    let calls = (0..300).map(|prompt| pool.submit(move |worker| AiWorker::generate(worker, prompt).boxed()));
    let calls: Vec<_> = calls.collect();
    let (results, took) = timed(futures::future::join_all(calls)).await;
    let results: Vec<u64> = results.into_iter().map(|result| result.unwrap().unwrap()).collect();
    let firsts = results.iter().filter(|calls| **calls == 1).count();
    assert_eq!((results.len(), firsts), (300, 10), "each of ten states counted its own calls");
    assert!(took > secs(60 * 3) && took < secs(60 * 3 + 1), "{took:?}: 83 calls of 120 tokens a minute, together");
    pool.join().await;
    assert_all_came_back(&limits);
}

/// The same on threads, whose states need not be sendable.
#[test]
fn parity_c15_real_time_a_pool_of_threads() {
    let _watchdog = Watchdog::new("a pool of threads", secs(60));
    let limits = LimitSet::builder("db").resource("db_conn", 2).build().unwrap();
    let (inside, peak) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let pool = WorkerOptions::new(6).limits(&limits).threads(|number| Rc::new(Cell::new(number))).unwrap();
    let calls = (0..60).map(|_| {
        let (inside, peak) = (Arc::clone(&inside), Arc::clone(&peak));
        pool.submit(move |worker| {
            let _connection = worker.limits.acquire_blocking([("db_conn", 1)]).unwrap();
            peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(millis(1));
            inside.fetch_sub(1, Ordering::SeqCst);
            worker.state.set(worker.state.get() + 10);
            (worker.number(), worker.state.get())
        })
    });
    let calls = calls.collect::<Vec<_>>();
    let mut made = [0; 6];
    for call in calls {
        let (number, state) = call.wait().unwrap();
        made[number] += 1;
        assert_eq!(state, number + 10 * made[number], "its own state, call after call");
    }
    assert_eq!((made.iter().sum::<usize>(), peak.load(Ordering::SeqCst)), (60, 2));
    pool.join();
    assert_all_came_back(&limits);
}

/// Ten workers at five a second: together five, or each of them.
#[tokio::test(start_paused = true)]
async fn parity_c11_limits_shared_or_private_to_each_worker() {
    let limits = || LimitSet::builder("api").calls(Quota::per_second(5));
    let took = async |limits: WorkerLimits| {
        let pool = WorkerOptions::new(10).limits(limits).tasks(|_| ()).unwrap();
        let calls: Vec<_> = (0..100)
            .map(|_| {
                pool.submit(|worker| {
                    async {
                        drop(worker.limits.acquire(()).await.unwrap());
                        sleep(millis(10)).await;
                        worker.limits.name().to_owned()
                    }
                    .boxed()
                })
            })
            .collect();
        let (names, took) = timed(futures::future::join_all(calls)).await;
        let names: std::collections::BTreeSet<_> = names.into_iter().map(Result::unwrap).collect();
        (names.len(), took)
    };
    let shared = limits().build().unwrap();
    let (names, shared_took) = took((&shared).into()).await;
    assert_eq!((names, shared.snapshot().granted), (1, 100));
    assert!(shared_took >= secs(19) && shared_took < secs(20), "{shared_took:?}: 100 at five a second");
    let (names, took) = took(limits().template().unwrap().into()).await;
    assert_eq!(names, 10);
    assert!(took >= secs(1) && took < secs(2), "{took:?}: fifty a second, as each has five");
}

#[tokio::test(start_paused = true)]
async fn without_limits_nothing_is_waited_for() {
    let pool = WorkerOptions::new(2).tasks(|_| ()).unwrap();
    let call = pool.submit(|worker| async { worker.limits.try_acquire(()).is_ok() }.boxed());
    assert_eq!(timed(call).await, (Ok(true), secs(0)));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_costs_its_workers_state_and_nothing_else() {
    quiet_panics();
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    let state = move |_| {
        let made = count.fetch_add(1, Ordering::Relaxed);
        assert!(made != 1, "on purpose");
        made
    };
    let set = LimitSet::builder("api").calls(Quota::per_hour(10)).template().unwrap();
    let pool = WorkerOptions::new(1).limits(set).tasks(state).unwrap();
    let call = || pool.submit(|worker| async { (worker.state, worker.limits.try_acquire(()).is_ok()) }.boxed());
    assert_eq!(call().await, Ok((0, true)));
    let panic: WorkerCall<()> = pool.submit(|_| async { std::panic::panic_any("on purpose") }.boxed());
    let panicked = || WorkerError::Panicked("on purpose".into());
    assert_eq!(panic.await, Err(panicked()));
    assert_eq!(call().await, Err(panicked()), "so does making a state");
    assert_eq!(call().await, Ok((2, true)), "and the next call makes another");

    let threads = WorkerOptions::new(1).threads(|number| number).unwrap();
    let panic: WorkerCall<()> = threads.submit(|_| std::panic::panic_any("on purpose"));
    let next = threads.submit(|worker| worker.state);
    assert_eq!((panic.await, next.await), (Err(panicked()), Ok(0)));
    assert_eq!(panicked().to_string(), "the call panicked: on purpose");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_cancels_the_call() {
    let set = LimitSet::builder("api").concurrency(1).build().unwrap();
    let pool = WorkerOptions::new(1).limits(&set).tasks(|_| 0).unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let submit = || {
        let done = Arc::clone(&done);
        pool.submit(move |worker| {
            async move {
                let _permit = worker.limits.acquire(()).await.unwrap();
                worker.state += 1;
                sleep(secs(10)).await;
                done.fetch_add(1, Ordering::Relaxed);
                worker.state
            }
            .boxed()
        })
    };
    let (running, queued, last) = (submit(), submit(), submit());
    others_run().await;
    assert_eq!(set.snapshot().active, 1);
    let start = Instant::now();
    drop((running, queued));
    assert_eq!((last.await, start.elapsed()), (Ok(2), secs(10)), "the state is the worker's, cancelled or not");
    assert_eq!(done.load(Ordering::Relaxed), 1);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn dropped_workers_finish_what_was_submitted() {
    let pool = WorkerOptions::new(2).tasks(|_| ()).unwrap();
    let calls: Vec<_> = (0..10)
        .map(|call| {
            pool.submit(move |_| {
                async move {
                    sleep(secs(1)).await;
                    call
                }
                .boxed()
            })
        })
        .collect();
    drop(pool);
    let (results, took) = timed(futures::future::join_all(calls)).await;
    assert_eq!((results, took), ((0..10).map(Ok).collect(), secs(5)));

    let threads = WorkerOptions::new(2).threads(|_| ()).unwrap();
    let calls: Vec<_> = (0..10).map(|call| threads.submit(move |_| call)).collect();
    drop(threads);
    assert_eq!(futures::future::join_all(calls).await, (0..10).map(Ok).collect::<Vec<_>>());
}

#[test]
fn workers_whose_runtime_is_gone_say_so() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let pool = runtime.block_on(async { WorkerOptions::new(2).tasks(|_| ()) }).unwrap();
    let before = pool.submit(|_| futures::future::pending::<()>().boxed());
    drop(runtime);
    let after = pool.submit(|_| async {}.boxed());
    assert_eq!((before.wait(), after.wait()), (Err(WorkerError::Gone), Err(WorkerError::Gone)));
}

#[test]
fn no_worker_and_no_runtime_are_refused() {
    let error = WorkerOptions::new(0).threads(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "`max_workers` is 0; it must be at least 1");
    assert!(matches!(WorkerOptions::new(1).tasks(|_| ()).unwrap_err(), Error::NoRuntime { .. }));
}
