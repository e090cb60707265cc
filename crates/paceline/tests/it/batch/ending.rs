//! Ending before the end: drain, abort, too many failures, and being dropped.

use super::*;

/// Which items were begun, and which of those were finished.
#[derive(Default)]
struct Seen {
    begun: AtomicU64,
    finished: AtomicU64,
}

impl Seen {
    async fn call(&self, item: u64) -> Result<u64, String> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        sleep(secs(10)).await;
        self.finished.fetch_add(1, Ordering::Relaxed);
        Ok(item)
    }

    fn counts(&self) -> (u64, u64) {
        (self.begun.load(Ordering::Relaxed), self.finished.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn drain_finishes_what_was_begun_and_gives_up_the_rest() {
    let (set, seen) = (slots(10), Seen::default());
    let batch = Batch::over(&set);
    let handle = batch.handle();
    let drain = async {
        sleep(secs(15)).await;
        handle.drain();
    };
    let (report, _) = futures::join!(timed(batch.run(0..1_000, |item, _| seen.call(item))), drain);
    let (report, took) = (report.0.unwrap(), report.1);
    assert_eq!((seen.counts(), took), ((20, 20), secs(20)));
    let progress = report.progress;
    assert_eq!((progress.taken, progress.succeeded, progress.stopped, progress.failed), (30, 20, 10, 0));
    assert!(!progress.exhausted && !progress.is_complete());
    for item in &report.items {
        match &item.outcome.result {
            Ok(value) => assert!(*value == item.index && item.index < 20),
            Err(CallError::Stopped) => assert!(item.outcome.attempts == 0 && item.index >= 20),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(matches!(report.into_values(), Err(CallError::Stopped)), "not all of the input was called");
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn drain_lets_begun_items_try_again() {
    let start = Instant::now();
    let batch = Batch::over(slots(4)).concurrency(8).retry(at_once(9));
    let handle = batch.handle();
    let call = |_: u64, _| async move {
        sleep(secs(1)).await;
        if start.elapsed() < secs(10) { Err(RateLimitHit::new("429").retry_after(secs(10))) } else { Ok(()) }
    };
    let (report, ()) = futures::join!(batch.run(0.., call), async {
        sleep(secs(2)).await;
        handle.drain();
    });
    let progress = report.unwrap().progress;
    assert_eq!((progress.succeeded, progress.stopped, progress.retries()), (4, 4, 4));
}

#[tokio::test(start_paused = true)]
async fn abort_ends_at_once_and_keeps_what_had_ended() {
    let (set, seen) = (slots(10), Seen::default());
    let batch = Batch::over(&set).ordered();
    let handle = batch.handle();
    let stream = batch.stream(0..1_000, |item, _| seen.call(item)).unwrap();
    let abort = async {
        sleep(secs(15)).await;
        handle.abort();
        handle.drain();
    };
    let ((items, took), ()) = futures::join!(timed(stream.collect::<Vec<_>>()), abort);
    assert_eq!((seen.counts(), took), ((20, 10), secs(15)));
    assert_eq!(items.iter().map(|item| item.index).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
    for item in items {
        match item.outcome.result {
            Ok(_) => assert!(item.index < 10),
            Err(CallError::Stopped) => assert_eq!(item.outcome.attempts, u32::from(item.index < 20)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(set.snapshot().feedback.verdicts.cancelled, 10);
    assert_all_came_back(&set);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_says_nothing_holds_up_no_drain() {
    let batch = Batch::over(slots(1));
    let handle = batch.handle();
    let items = futures::stream::pending::<u64>();
    let stream = batch.stream_from(items, |item, _| async move { Ok::<_, String>(item) }).unwrap();
    let collected = tokio::spawn(async move { timed(stream.collect::<Vec<_>>()).await });
    sleep(secs(5)).await;
    handle.drain();
    let (items, took) = collected.await.unwrap();
    assert!(items.is_empty() && took == secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_batch_drained_before_it_runs_calls_nothing() {
    let batch = Batch::over(slots(1));
    batch.handle().drain();
    let report = batch.run(0..5, |_: u64, _| async { panic!("called") as Result<(), String> }).await.unwrap();
    assert_eq!((report.items.len(), report.progress.taken), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_drain_it() {
    let run = async |percent, bad: fn(u64) -> bool| {
        let call = |item: u64, _| async move {
            sleep(secs(1)).await;
            if bad(item) { Err("400") } else { Ok(()) }
        };
        let batch = Batch::over(slots(1)).concurrency(1).fail_fast(percent);
        batch.run(0..1_000, call).await.unwrap().progress
    };
    let progress = run(10, |_| true).await;
    assert_eq!((progress.failed, progress.taken), (11, 11), "judged over a hundred");
    let progress = run(10, |item| item >= 300).await;
    assert_eq!((progress.succeeded, progress.failed), (300, 34), "34 of 334 are more than a tenth");
    let progress = run(10, |item| item % 10 == 9).await;
    assert_eq!((progress.succeeded, progress.failed), (900, 100), "a tenth is not more than a tenth");
    assert_eq!(run(0, |item| item == 7).await.taken, 8, "the first");
    assert_eq!(run(100, |_| true).await.failed, 1_000);
}

/// No handle, no task, no permit, no place in a queue is left.
#[tokio::test(start_paused = true)]
async fn dropping_it_cancels_what_runs_and_leaves_nothing() {
    let (set, seen) = (slots(10), Seen::default());
    let pipeline = Pipeline::over(&set).retry(Retry::default()).build().unwrap();
    let batch = Batch::over(&pipeline);
    let handle = batch.handle();
    let mut events = handle.events();
    let running = batch.run(0..1_000, |item, _| seen.call(item));
    assert!(tokio::time::timeout(secs(15), running).await.is_err());
    assert_eq!(seen.counts(), (20, 10));
    assert_all_came_back(&set);
    assert_eq!(pipeline.retrying(), 0);
    sleep(secs(60)).await;
    assert_eq!(seen.counts(), (20, 10), "nothing of it runs on");
    let told = std::iter::from_fn(|| events.next().now_or_never()).take_while(Option::is_some).count();
    assert_eq!(told, 30, "and who listens is told that it is over");
    assert!(handle.events().next().now_or_never() == Some(None));
}
