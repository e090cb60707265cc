//! Watching a batch: events and figures.

use paceline::{BatchEvent, BatchProgress};

use super::*;

#[tokio::test(start_paused = true)]
async fn events_tell_every_attempt_and_every_end() {
    let batch = Batch::over(slots(1)).concurrency(1).retry(at_once(2));
    let handle = batch.handle();
    let events = handle.events().collect::<Vec<_>>();
    let call = |item: u64, attempt: Attempt| async move {
        match (item, attempt.number()) {
            (1, 1) => Err("once"),
            (2, _) => Err("always"),
            _ => Ok(()),
        }
    };
    let (report, events) = futures::join!(batch.run(0..3, call), events);
    let started = |index, attempt| BatchEvent::Started { index, attempt };
    let expected = [
        started(0, 1),
        BatchEvent::Succeeded { index: 0, attempts: 1 },
        started(1, 1),
        started(1, 2),
        BatchEvent::Succeeded { index: 1, attempts: 2 },
        started(2, 1),
        started(2, 2),
        BatchEvent::Failed { index: 2, attempts: 2 },
    ];
    assert_eq!(events, expected);
    let progress = report.unwrap().progress;
    assert_eq!(progress, handle.progress());
    let BatchProgress { taken, started, attempts, succeeded, failed, stopped, exhausted, .. } = progress;
    assert_eq!((taken, started, attempts, succeeded, failed, stopped, exhausted), (3, 3, 5, 2, 1, 0, true));
}

/// Whoever listens cannot hold up the batch, nor make it hold what it did not tell.
#[tokio::test(start_paused = true)]
async fn a_listener_that_is_behind_is_told_how_much_it_missed() {
    let batch = Batch::over(slots(4));
    let handle = batch.handle();
    let events = handle.events();
    let report = batch.run(0..2_000, |item, _| async move { Ok::<_, String>(item) }).await.unwrap();
    assert!(report.progress.is_complete());
    let mut told = 0;
    let mut missed = 0;
    for event in events.collect::<Vec<_>>().await {
        match event {
            BatchEvent::Missed { events } => missed += events,
            _ => told += 1,
        }
    }
    assert_eq!((told, missed), (1_024, 4_000 - 1_024));
}

#[tokio::test(start_paused = true)]
async fn parity_c17_stats_of_a_set_a_pool_and_a_batch() {
    let set =
        |name: &str| LimitSet::builder(name.to_owned()).calls(Quota::per_minute(100)).concurrency(2).build().unwrap();
    let pool = LimitPool::builder("pool").member(set("a")).member(set("b")).choose(Choice::RoundRobin).build().unwrap();
    let batch = Batch::over(&pool);
    let handle = batch.handle();
    let call = |item: u64, _| async move {
        sleep(secs(1)).await;
        if item % 10 == 9 { Err("400") } else { Ok(item) }
    };
    let bar = async {
        sleep(millis(2_500)).await;
        let bar = handle.progress();
        assert_eq!((bar.succeeded + bar.failed, bar.in_progress(), bar.is_complete()), (8, 16, false));
        for member in pool.snapshot() {
            let [calls, slots] = ["calls", "concurrency"].map(|key| *member.limit(key).unwrap());
            assert_eq!((calls.used, calls.available, calls.capacity), (6, 94, 100));
            assert_eq!((slots.used, slots.available, slots.fill()), (2, 0, 1.0));
            assert_eq!((member.granted, member.active), (6, 2));
        }
    };
    let (report, ()) = futures::join!(batch.run(0..40, call), bar);
    let report = report.unwrap();
    assert_eq!((report.progress.succeeded, report.progress.failed, report.progress.in_progress()), (36, 4, 0));
    let stats = pool.snapshot();
    assert_eq!(stats.iter().map(|member| member.granted).sum::<u64>(), 40);
    assert_eq!(stats.iter().map(|member| member.feedback.verdicts.success).sum::<u64>(), 36);
    assert!(stats.iter().all(|member| member.active == 0 && member.waits > 0 && member.waited > secs(1)));
}
