//! When to try again, and when to give up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::{CallError, Error, LimitSet, Outcome, Pipeline, RateLimitHit, Retry, RetryBudget, Verdict};
use tokio::time::Instant;

use crate::support::{assert_all_came_back, millis, secs, timed};

fn over(retry: Retry) -> Pipeline {
    Pipeline::over(LimitSet::builder("api").concurrency(1_000).build().unwrap()).retry(retry).build().unwrap()
}

/// The instants, since the start, at which a call that always fails with `error` makes its attempts.
async fn instants(pipeline: &Pipeline, error: impl Fn() -> RateLimitHit) -> Vec<Duration> {
    let (start, at) = (Instant::now(), Mutex::new(Vec::new()));
    let attempt = |_| {
        at.lock().unwrap().push(start.elapsed());
        std::future::ready(Err::<(), _>(error()))
    };
    assert!(!pipeline.run((), attempt).await.is_success());
    at.into_inner().unwrap()
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_with_the_value_and_the_range() {
    let budget = |budget| Retry::default().budget(budget);
    let wrong = [
        (Retry::attempts(0), "attempts", "0"),
        (Retry::default().elapsed(secs(0)), "elapsed", "0s"),
        (Retry::default().backoff(secs(2), secs(1)), "backoff", "2s to 1s"),
        (Retry::default().factor(0.9), "factor", "0.9"),
        (Retry::default().factor(f32::NAN), "factor", "NaN"),
        (Retry::default().factor(f32::INFINITY), "factor", "inf"),
        (budget(RetryBudget::per_second(0.0)), "per_second", "0"),
        (budget(RetryBudget::per_second(f64::NAN)), "per_second", "NaN"),
        (budget(RetryBudget::default().per_success(1.5)), "per_success", "1.5"),
        (budget(RetryBudget::default().per_success(-0.1)), "per_success", "-0.1"),
        (budget(RetryBudget::default().saved(0)), "saved", "0"),
    ];
    for (retry, name, given) in wrong {
        let set = LimitSet::builder("api").concurrency(1).build().unwrap();
        let error = Pipeline::over(set).retry(retry).build().map(drop).unwrap_err();
        let Error::Parameter { parameter, ref value, ref range } = error else { panic!("{error}") };
        assert_eq!((parameter, &**value), (name, given));
        assert_eq!(error.to_string(), format!("`{name}` is {given}; it must be {range}"));
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_never_undercut_and_jitter_comes_on_top() {
    let mut waits = Vec::new();
    for seed in 0..40 {
        let pipeline = over(Retry::attempts(2).backoff(secs(1), secs(1)).seed(seed));
        let at = instants(&pipeline, || RateLimitHit::new("429").retry_after(secs(7))).await;
        assert_eq!(at.len(), 2);
        assert!((secs(7)..=secs(8) + millis(1)).contains(&at[1]), "seed {seed}: {at:?}");
        waits.push(at[1]);
    }
    waits.sort();
    assert!(waits[0] < secs(7) + millis(200) && waits[39] > secs(7) + millis(800), "spread over the jitter: {waits:?}");
}

/// A 503 with Retry-After holds up its own call and nobody else.
#[tokio::test(start_paused = true)]
async fn a_wait_that_an_attempt_is_told_is_a_floor_too() {
    let pipeline = over(Retry::attempts(2).seed(1));
    let attempt = |attempt: paceline::Attempt| async move {
        attempt.retry_after(secs(20));
        attempt.report(Verdict::Overloaded);
        Err::<(), _>("503")
    };
    let (outcome, took) = timed(pipeline.run((), attempt)).await;
    assert_eq!((outcome.attempts, outcome.verdict), (2, Some(Verdict::Overloaded)));
    assert!(took >= secs(20) && outcome.backed_off == took, "{took:?}");
    let paceline::Source::Set(set) = pipeline.source() else { panic!("a set") };
    assert_eq!(set.snapshot().paused, None);
}

#[tokio::test(start_paused = true)]
async fn the_backoff_doubles_up_to_its_longest_and_a_seed_repeats_it() {
    let policy = || Retry::attempts(7).backoff(secs(1), secs(10)).without_budget();
    let hit = || RateLimitHit::new("slow down");
    let mut most = [Duration::ZERO; 6];
    for seed in 0..60 {
        let at = instants(&over(policy().seed(seed)), hit).await;
        let waits: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for ((wait, bound), most) in waits.iter().zip([1, 2, 4, 8, 10, 10]).zip(&mut most) {
            assert!(*wait <= secs(bound) + millis(1), "{waits:?}");
            *most = (*most).max(*wait);
        }
        if seed == 5 {
            assert_eq!(instants(&over(policy().seed(5)), hit).await, at, "the same seed, the same waits");
        }
    }
    for (most, bound) in most.iter().zip([1, 2, 4, 8, 10, 10]) {
        assert!(*most > secs(bound).mul_f64(0.85), "drawn from all of 0 to {bound} s: {most:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_retryable_is_the_verdicts_and_the_hooks_to_say() {
    let run = async |retry: Retry, verdict: Verdict| {
        let pipeline = over(retry);
        let attempt = |attempt: paceline::Attempt| {
            attempt.report(verdict);
            std::future::ready(Err::<(), _>("no"))
        };
        pipeline.run((), attempt).await.attempts
    };
    let limited = Verdict::RateLimited { retry_after: None };
    for (verdict, attempts) in [
        (limited, 3),
        (Verdict::Overloaded, 3),
        (Verdict::Transient, 3),
        (Verdict::Permanent, 1),
        (Verdict::Cancelled, 1),
    ] {
        assert_eq!(run(Retry::attempts(3), verdict).await, attempts, "{verdict:?}");
    }
    let careful = || Retry::attempts(3).retry_if(|verdict| matches!(verdict, Verdict::RateLimited { .. }));
    assert_eq!((run(careful(), limited).await, run(careful(), Verdict::Transient).await), (3, 1));

    // A single call can be more careful than its pipeline.
    let pipeline = over(Retry::attempts(3));
    let failing = |_| std::future::ready(Err::<(), _>("reset by peer"));
    let once = pipeline.call(()).retry_if(|verdict| verdict != Verdict::Transient);
    assert_eq!(once.run(failing, paceline::by_error).await.attempts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_reaches_beyond_the_elapsed_time_or_the_deadline_is_not_begun() {
    let hit = || RateLimitHit::new("429").retry_after(secs(60));
    let failing = |_| std::future::ready(Err::<(), _>(hit()));
    let bounded = over(Retry::attempts(9).elapsed(secs(59)));
    let (outcome, took) = timed(bounded.run((), failing)).await;
    assert_eq!((outcome.attempts, took), (1, secs(0)));

    let pipeline = over(Retry::attempts(9));
    let (outcome, took) = timed(pipeline.call(()).within(secs(59)).run(failing, paceline::by_error)).await;
    assert_eq!((outcome.attempts, took), (1, secs(0)));
    assert!(matches!(outcome.result, Err(CallError::Failed(_))));

    // The set is paused for its whole minute: the deadline holds for that wait as well.
    let (outcome, took) = timed(pipeline.call(()).within(secs(5)).run(failing, paceline::by_error)).await;
    let Err(CallError::NotAdmitted(Error::DeadlineExceeded { deadline, .. })) = outcome.result else { panic!() };
    assert_eq!((deadline, outcome.attempts, took), (secs(5), 0, secs(0)), "out of reach, so refused at once");
}

/// Attempts at a service that is down for 30 seconds, and what becomes of 300 calls to it.
async fn outage(retry: Retry) -> (u64, Vec<(Outcome<u64, &'static str>, u64)>) {
    let set = LimitSet::builder("api").concurrency(50).build().unwrap();
    let pipeline = Pipeline::over(&set).retry(retry.seed(7)).build().unwrap();
    let (start, during) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let calls = (0..300_u64).map(|item| {
        let (pipeline, during) = (pipeline.clone(), Arc::clone(&during));
        tokio::spawn(async move {
            let answered = AtomicU64::new(0);
            let outcome = pipeline
                .run((), |attempt| {
                    let (answered, during) = (&answered, &during);
                    async move {
                        tokio::time::sleep(millis(20)).await;
                        if start.elapsed() < secs(30) {
                            during.fetch_add(1, Ordering::Relaxed);
                            attempt.report(Verdict::Overloaded);
                            return Err("503");
                        }
                        if item % 10 == 0 {
                            attempt.report(Verdict::Permanent);
                            return Err("400");
                        }
                        answered.fetch_add(1, Ordering::Relaxed);
                        Ok(item)
                    }
                })
                .await;
            (outcome, answered.into_inner())
        })
    });
    let outcomes = futures::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_all_came_back(&set);
    assert_eq!(pipeline.retrying(), 0);
    (during.load(Ordering::Relaxed), outcomes)
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_no_more_than_the_budget_and_every_call_ends_once() {
    let budget = RetryBudget::per_second(5.0).saved(60);
    let (during, outcomes) = outage(Retry::attempts(u32::MAX).backoff(millis(100), secs(1)).budget(budget)).await;
    assert!(during <= 300 + 60 + 5 * 30, "{during}: a first attempt of each, and the budget");
    assert!(during >= 300 + 60 + 5 * 30 - 10, "{during}: and the budget was used");
    for (item, (outcome, answered)) in outcomes.into_iter().enumerate() {
        match outcome.result {
            Ok(value) => assert_eq!((value, answered), (item as u64, 1)),
            Err(CallError::Failed(error)) => assert_eq!((error, answered, item % 10), ("400", 0, 0)),
            Err(error) => panic!("{item}: {error}"),
        }
    }
    let (unbounded, _) = outage(Retry::attempts(u32::MAX).backoff(millis(100), secs(1)).without_budget()).await;
    assert!(unbounded > 10 * during, "{unbounded}: which is what the budget is for");
}

#[tokio::test(start_paused = true)]
async fn successes_feed_the_budget() {
    let budget = RetryBudget::per_second(0.001).per_success(0.5).saved(2);
    let pipeline = over(Retry::attempts(2).backoff(secs(0), secs(0)).budget(budget));
    let failing = || pipeline.call(()).within(secs(10)).run(|_| async { Err::<(), _>("no") }, paceline::by_error);
    assert_eq!((failing().await.attempts, failing().await.attempts), (2, 2), "what was saved");
    let outcome = failing().await;
    assert_eq!(outcome.attempts, 1);
    let Err(CallError::NotAdmitted(error)) = outcome.result else { panic!("there is none left") };
    assert!(error.to_string().contains("retry budget"), "{error}");
    for _ in 0..2 {
        assert!(pipeline.run((), |_| async { Ok::<_, String>(()) }).await.is_success());
    }
    assert_eq!((failing().await.attempts, failing().await.attempts), (2, 1), "two successes, one retry");

    // Whoever waits for it is let go by a success.
    let waiter = tokio::spawn({
        let pipeline = pipeline.clone();
        async move { timed(pipeline.run((), |_| async { Err::<(), _>("no") })).await.1 }
    });
    tokio::time::sleep(secs(1)).await;
    assert_eq!(pipeline.retrying(), 1);
    for _ in 0..2 {
        drop(pipeline.run((), |_| async { Ok::<_, String>(()) }).await);
    }
    assert_eq!(waiter.await.unwrap(), secs(1));
}
