//! What is told of waits and calls, under which names, and of whom nothing is told.

#[cfg(feature = "metrics")]
mod metrics;
mod seen;

use std::collections::BTreeSet;

use paceline::telemetry::names::{events, fields, spans};
use paceline::{
    Attempt, Breaker, Error, LimitPool, LimitSet, ManualClock, Pipeline, Quota, RateLimitHit, Retry, RetryBudget,
};
use tracing::Instrument as _;

use crate::support::{millis, others_run, secs};
use seen::Seen;

fn set(name: &str) -> LimitSet {
    LimitSet::builder(name).calls(Quota::per_second(1)).concurrency(8).build().unwrap()
}

/// Two tries without jitter worth the name.
fn twice() -> Retry {
    Retry::attempts(2).backoff(millis(1), millis(1)).seed(1)
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_in_a_span_that_says_for_what_and_for_how_long() {
    let seen = Seen::new();
    let api = set("api");
    drop(api.acquire(()).await.unwrap());
    let waits = || async { drop(api.acquire(()).await.unwrap()) };
    tokio::join!(waits().instrument(tracing::info_span!("mine")), waits());

    let [first, second] = &seen.spans()[1..] else { panic!("{:?}", seen.spans()) };
    // What is expected leaves those ahead aside.
    for (wait, within, ahead, waited) in [(first, Some("mine"), "0", "1.0"), (second, None, "1", "2.0")] {
        assert_eq!((wait.name, wait.within), (spans::WAIT, within));
        let told = [fields::SET, fields::LIMIT, fields::EXPECTED, fields::AHEAD, fields::WAITED];
        let told = told.map(|field| wait.get(field).unwrap());
        assert_eq!(told, ["api", "calls", "1.0", ahead, waited]);
    }
    for event in seen.events() {
        assert_eq!((event.name, event.within), (events::WAITING, Some(spans::WAIT)));
    }
    assert_eq!(seen.events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_comes_to_nothing_says_no_time() {
    let seen = Seen::new();
    let api = LimitSet::builder("api").concurrency(1).build().unwrap();
    let held = api.acquire(()).await.unwrap();
    let late = api.request(()).within(secs(1)).acquire().await;
    assert!(matches!(late, Err(Error::DeadlineExceeded { .. })));
    {
        let mut dropped = Box::pin(api.acquire(()));
        assert!(futures::poll!(&mut dropped).is_pending());
    }
    drop(held);
    let [late, dropped] = &seen.spans()[..] else { panic!("{:?}", seen.spans()) };
    for wait in [late, dropped] {
        assert_eq!((wait.get(fields::LIMIT), wait.get(fields::EXPECTED)), (Some("concurrency"), None));
        assert_eq!(wait.get(fields::WAITED), None);
    }
}

#[tokio::test(start_paused = true)]
async fn pools_and_joint_demands_wait_in_one_span() {
    let seen = Seen::new();
    let (a, b) = (set("a"), set("b"));
    let pool = LimitPool::builder("pool").member(a.clone()).member(b.clone()).build().unwrap();
    for _ in 0..3 {
        drop(pool.acquire(()).await.unwrap());
    }
    let both = LimitSet::all([&a, &b]).unwrap();
    drop(both.acquire(()).await.unwrap());

    let [pooled, joint] = &seen.spans()[..] else { panic!("{:?}", seen.spans()) };
    assert_eq!((pooled.get(fields::SET), pooled.get(fields::WAITED)), (Some("pool"), Some("1.0")));
    // One of the two gave the third permit of the pool just now.
    assert_eq!((joint.name, joint.get(fields::WAITED)), (spans::WAIT, Some("1.0")));
    assert_eq!(seen.events().len(), 2);
}

#[test]
fn a_thread_that_waits_is_in_a_span_too() {
    let clock = ManualClock::default();
    let api = LimitSet::builder("api").calls(Quota::per_second(1)).clock(clock.clone()).build().unwrap();
    drop(api.try_acquire(()).unwrap());
    let thread = std::thread::spawn({
        let api = api.clone();
        move || {
            let seen = Seen::new();
            drop(api.acquire_blocking(()).unwrap());
            seen.spans()
        }
    });
    while api.snapshot().waiting == 0 {
        std::thread::yield_now();
    }
    clock.advance(secs(1));
    let spans = thread.join().unwrap();
    assert_eq!(spans.len(), 1);
    assert_eq!((spans[0].get(fields::EXPECTED), spans[0].get(fields::WAITED)), (Some("1.0"), Some("1.0")));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_over_its_waits_and_its_attempts() {
    let seen = Seen::new();
    let pipeline = Pipeline::over(set("api")).retry(twice().without_budget()).build().unwrap();
    let call = |attempt: Attempt| async move {
        tracing::info!(name: "within the attempt", "");
        tokio::time::sleep(secs(5)).await;
        if attempt.number() == 1 { Err(RateLimitHit::new("429")) } else { Ok(()) }
    };
    assert!(pipeline.run((), call).await.is_success());

    let [call] = &seen.spans_of(spans::CALL)[..] else { panic!("{:?}", seen.spans()) };
    assert_eq!((call.within, call.get(fields::SOURCE)), (None, Some("api")));
    assert_eq!((call.get(fields::ATTEMPTS), call.get(fields::VERDICT)), (Some("2"), Some("success")));
    assert_eq!(call.get(fields::WAITED), Some("0.0"));
    assert!(call.get(fields::BACKED_OFF).is_some());

    let attempts = seen.spans_of(spans::ATTEMPT);
    let told = |field| attempts.iter().map(|attempt| attempt.get(field).unwrap()).collect::<Vec<_>>();
    assert_eq!(told(fields::SET), ["api", "api"]);
    assert_eq!(told(fields::ATTEMPT), ["1", "2"]);
    assert_eq!(told(fields::VERDICT), ["rate_limited", "success"]);
    assert!(attempts.iter().all(|attempt| attempt.within == Some(spans::CALL)));

    let within = |name: &str| {
        let events = seen.events().into_iter().filter(|event| event.name == name);
        events.map(|event| event.within.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(within("within the attempt"), [spans::ATTEMPT; 2]);
    assert_eq!(within(events::RETRYING), [spans::CALL]);
}

#[test]
fn a_blocking_call_is_told_of_alike() {
    let seen = Seen::new();
    let pipeline = Pipeline::over(set("api")).build().unwrap();
    let outcome = pipeline.run_blocking((), |_| {
        tracing::info!("here");
        Err::<(), _>("connection reset")
    });
    assert!(!outcome.is_success());
    let told = seen.spans().into_iter().map(|span| (span.name, span.get(fields::VERDICT).map(str::to_owned)));
    let transient = Some("transient".to_owned());
    assert_eq!(told.collect::<Vec<_>>(), [(spans::CALL, transient.clone()), (spans::ATTEMPT, transient)]);
    assert_eq!(seen.events()[0].within, Some(spans::ATTEMPT));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_dropped_ends_as_cancelled() {
    let seen = Seen::new();
    let pipeline = Pipeline::over(set("api")).build().unwrap();
    let call = pipeline.run((), |_| std::future::pending::<Result<(), String>>());
    assert!(tokio::time::timeout(secs(3), call).await.is_err());
    assert_eq!(seen.spans_of(spans::ATTEMPT)[0].get(fields::VERDICT), Some("cancelled"));
    assert_eq!(seen.spans_of(spans::CALL)[0].get(fields::VERDICT), None);
}

/// All that can be had at once, by every form of acquiring.
async fn acquire_what_is_free() {
    let api = LimitSet::builder("api").calls(Quota::per_second(100)).concurrency(8).build().unwrap();
    let calls = api.key("calls").unwrap();
    let pool = LimitPool::builder("pool").member(api.clone()).build().unwrap();
    drop(api.try_acquire(()).unwrap());
    drop(api.try_acquire([(calls, 2)]).unwrap());
    drop(api.acquire(()).await.unwrap());
    drop(api.request(()).within(secs(1)).acquire().await.unwrap());
    drop(api.acquire_blocking(()).unwrap());
    drop(pool.try_acquire(()).unwrap());
    drop(pool.acquire(()).await.unwrap());
    drop(pool.acquire_blocking(()).unwrap());
    let all = LimitSet::all([&api]).unwrap();
    drop(all.try_acquire(()).unwrap());
    drop(all.acquire(()).await.unwrap());
    let permit = api.acquire([("calls", 3)]).await.unwrap();
    permit.settle([("calls", 1)]).unwrap();
    permit.into_owned().release().await.unwrap();
    assert!(api.try_acquire([("calls", 99)]).is_err(), "what is not free is an error here, and no wait");
}

#[tokio::test(start_paused = true)]
async fn of_what_is_free_nobody_is_told() {
    let seen = Seen::new();
    acquire_what_is_free().await;
    assert!(seen.spans().is_empty() && seen.events().is_empty(), "{:?} {:?}", seen.spans(), seen.events());
}

/// Everything that can be told of, once: waits, retries, a breaker that opens, a hook that panics.
async fn everything() -> LimitSet {
    let api = LimitSet::builder("api").calls(Quota::per_second(1)).adaptive(paceline::Aimd::default());
    let api = api.on_wait(|_| panic!("as hooks may")).build().unwrap();
    let breaker = Breaker::builder().failures(2).build().unwrap();
    let retry = twice().budget(RetryBudget::per_second(1.0));
    let pipeline = Pipeline::over(&api).retry(retry).breaker(breaker).build().unwrap();
    let hit = |_| std::future::ready(Err::<(), _>(RateLimitHit::new("429").retry_after(secs(2))));
    assert_eq!(pipeline.run((), hit).await.attempts, 2);
    let fail = |_| std::future::ready(Err::<(), _>("connection refused"));
    assert_eq!(pipeline.run((), fail).await.attempts, 2);
    api
}

/// The strings of the one file that has the names.
fn names(prefix: &str) -> BTreeSet<&'static str> {
    let file = include_str!("../../src/telemetry/names.rs");
    let constants = file.lines().filter_map(|line| line.trim().strip_prefix("pub const ")?.split('"').nth(1));
    let names: BTreeSet<_> = constants.filter(|name| name.starts_with(prefix)).collect();
    assert!(!names.is_empty());
    names
}

#[tokio::test(start_paused = true)]
async fn the_names_of_spans_events_and_fields_are_those_of_the_file() {
    let seen = Seen::new();
    everything().await;
    let told: Vec<_> = seen.spans().into_iter().chain(seen.events()).collect();
    let used: BTreeSet<_> = told.iter().map(|told| told.name).collect();
    assert_eq!(used, names("paceline."));
    let used: BTreeSet<_> = told.iter().flat_map(seen::Told::fields).collect();
    let listed = names("").into_iter().filter(|name| !name.starts_with("paceline")).collect();
    assert_eq!(used, listed);
    others_run().await;
}
