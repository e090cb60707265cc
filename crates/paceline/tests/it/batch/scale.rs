//! Many items: memory that does not grow with them, and each of them accounted for once.
//!
//! 100,000 items, and a million with `PACELINE_SOAK=1`. Bytes of heap are counted by `tests/heap.rs`.

use std::sync::Arc;

use paceline::RetryBudget;

use super::*;
use crate::support::{Dice, soaks};

/// Counts how many of it there are, and the most there ever were.
#[derive(Default)]
struct Census {
    alive: AtomicU64,
    most: AtomicU64,
}

struct Citizen(Arc<Census>, u64);

impl Citizen {
    fn new(census: &Arc<Census>, number: u64) -> Self {
        let alive = census.alive.fetch_add(1, Ordering::Relaxed) + 1;
        census.most.fetch_max(alive, Ordering::Relaxed);
        Self(Arc::clone(census), number)
    }
}

impl Clone for Citizen {
    fn clone(&self) -> Self {
        Self::new(&self.0, self.1)
    }
}

impl Drop for Citizen {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

fn many() -> u64 {
    if soaks() { 1_000_000 } else { 100_000 }
}

#[tokio::test(start_paused = true)]
async fn what_is_alive_does_not_grow_with_the_items_and_order_is_kept() {
    for (ordered, many, most) in [(true, many(), 2 * 40 + 200 + 1), (false, many() / 5, 2 * 40 + 1)] {
        let (items, values) = (Arc::<Census>::default(), Arc::<Census>::default());
        let set = LimitSet::builder("api").calls(Quota::per_second(1_000)).concurrency(20).build().unwrap();
        let batch = Batch::over(&set);
        let batch = if ordered { batch.ordered_within(200) } else { batch };
        let input = (0..many).map(|number| Citizen::new(&items, number));
        let call = |item: Citizen, _| {
            let values = Arc::clone(&values);
            async move {
                sleep(millis(item.1 * 7_919 % 20)).await;
                Ok::<_, String>(Citizen::new(&values, item.1))
            }
        };
        let mut stream = batch.stream(input, call).unwrap();
        let (mut next, mut sum) = (0, 0);
        while let Some(item) = stream.next().await {
            let value = item.outcome.result.unwrap().1;
            assert!(value == item.index && (!ordered || value == next));
            (next, sum) = (next + 1, sum + value);
        }
        assert_eq!((next, sum), (many, many * (many - 1) / 2));
        let peaks = [&items, &values].map(|census| census.most.load(Ordering::Relaxed));
        println!("{many} items, ordered {ordered}: at most {peaks:?} items and values alive");
        assert!(peaks.iter().all(|peak| *peak <= most), "ordered {ordered}: {peaks:?} of {most}");
        assert_eq!([&items, &values].map(|census| census.alive.load(Ordering::Relaxed)), [0, 0]);
        assert_all_came_back(&set);
    }
}

/// Panics in calls and costs, errors, retries, timeouts of the calls' own, and at last an abort or a drop.
#[tokio::test(start_paused = true)]
async fn every_item_is_accounted_for_once_under_panics_and_cancellation() {
    quiet_panics();
    for seed in 0..if soaks() { 400 } else { 20 } {
        let mut dice = Dice(seed);
        let (items, end_at, how) = (200 + dice.below(800), dice.below(3_000), dice.below(4));
        let census = Arc::<Census>::default();
        let set = LimitSet::builder("api").calls(Quota::per_second(300)).rate("tokens", Quota::per_second(9_000));
        let set = set.concurrency(1 + dice.below(30)).build().unwrap();
        let answers = std::sync::Mutex::new(vec![0_u32; usize::try_from(items).unwrap()]);
        let cost = |item: &Citizen| {
            assert!(item.1 % 97 != 13, "on purpose");
            [("tokens", item.1 % 50)]
        };
        let call = |item: Citizen, attempt: Attempt| {
            let (answers, mut dice) = (&answers, Dice(seed * 100_000 + item.1 * 10 + u64::from(attempt.number())));
            async move {
                let work = sleep(millis(dice.below(80)));
                if tokio::time::timeout(millis(70), work).await.is_err() {
                    return Err("timed out");
                }
                match dice.below(12) {
                    0 => std::panic::panic_any("on purpose"),
                    1 => return Err("reset by peer"),
                    2 => {
                        attempt.report(Verdict::Permanent);
                        return Err("400");
                    }
                    _ => {}
                }
                answers.lock().unwrap()[usize::try_from(item.1).unwrap()] += 1;
                Ok(item.1)
            }
        };
        let batch = Batch::over(&set).cost(cost).retry(Retry::attempts(3).seed(seed));
        let batch = if dice.below(2) == 0 { batch.ordered_within(50) } else { batch };
        let handle = batch.handle();
        let input = (0..items).map(|number| Citizen::new(&census, number));
        let mut stream = batch.stream(input, call).unwrap();
        let mut seen = vec![0; usize::try_from(items).unwrap()];
        let end = Instant::now() + millis(end_at);
        let mut dropped = false;
        loop {
            let next = match how {
                0 => stream.next().await,
                _ => match tokio::time::timeout_at(end, stream.next()).await {
                    Ok(next) => next,
                    Err(_) if how == 3 => {
                        dropped = true;
                        break;
                    }
                    Err(_) => {
                        if how == 1 {
                            handle.abort()
                        } else {
                            handle.drain()
                        }
                        stream.next().await
                    }
                },
            };
            let Some(item) = next else { break };
            let at = usize::try_from(item.index).unwrap();
            seen[at] += 1;
            let answered = answers.lock().unwrap()[at];
            match item.outcome.result {
                Ok(value) => assert_eq!((value, answered), (item.index, 1), "seed {seed}"),
                Err(CallError::Failed(_) | CallError::Panicked(_) | CallError::Stopped) => assert_eq!(answered, 0),
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        drop(stream);
        let progress = handle.progress();
        let taken = usize::try_from(progress.taken).unwrap();
        assert!(seen[taken..].iter().all(|times| *times == 0), "seed {seed}: what was not taken");
        assert!(seen[..taken].iter().all(|times| *times == 1 || dropped && *times == 0), "seed {seed}: {seen:?}");
        assert_eq!(progress.in_progress() == 0, !dropped || taken == seen.iter().sum::<usize>(), "seed {seed}");
        assert!(how != 0 || progress.is_complete(), "seed {seed}");
        assert_eq!(census.alive.load(Ordering::Relaxed), 0, "seed {seed}");
        assert_all_came_back(&set);
    }
}

/// A service that is down for thirty seconds costs a first attempt of each call in progress, and the budget.
#[tokio::test(start_paused = true)]
async fn an_outage_of_thirty_seconds_costs_no_more_than_the_budget() {
    let set = slots(50);
    let (start, during) = (Instant::now(), AtomicU64::new(0));
    let answered: Vec<_> = (0..3_000).map(|_| AtomicU64::new(0)).collect();
    let call = |item: u64, attempt: Attempt| {
        let (during, answered) = (&during, &answered);
        async move {
            sleep(millis(20)).await;
            if start.elapsed() < secs(30) {
                during.fetch_add(1, Ordering::Relaxed);
                attempt.report(Verdict::Overloaded);
                return Err("503");
            }
            if item % 10 == 0 {
                attempt.report(Verdict::Permanent);
                return Err("400");
            }
            answered[usize::try_from(item).unwrap()].fetch_add(1, Ordering::Relaxed);
            Ok(item)
        }
    };
    let budget = RetryBudget::per_second(5.0).saved(60);
    let retry = Retry::attempts(u32::MAX).backoff(millis(100), secs(1)).budget(budget).seed(7);
    let report = Batch::over(&set).retry(retry).run(0..3_000, call).await.unwrap();
    let during = during.into_inner();
    let most = 100 + 60 + 5 * 30;
    assert!((most - 10..=most).contains(&during), "{during}: a first attempt of the 100 in progress, and the budget");
    for (item, answered) in report.items.into_iter().zip(&answered) {
        let answered = answered.load(Ordering::Relaxed);
        match item.outcome.result {
            Ok(value) => assert_eq!((value, answered), (item.index, 1)),
            Err(CallError::Failed(error)) => assert_eq!((error, answered, item.index % 10), ("400", 0, 0)),
            Err(error) => panic!("{}: {error}", item.index),
        }
    }
    assert_eq!((report.progress.succeeded, report.progress.failed), (2_700, 300));
    assert_all_came_back(&set);
}
