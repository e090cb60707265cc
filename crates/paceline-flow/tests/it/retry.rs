//! Attempts, fallbacks and timeouts.

use std::time::Duration;

use paceline::{LimitSet, Quota, Retry, Verdict, by_error};
use paceline_flow::{Cause, Cx, Error, Graph, Limits, Node, Result};
use tokio::time::Instant;

use crate::support::{Act, Job, Which, World, only};

/// Every so often, after a wait of nothing to so much.
fn thrice(longest: Duration) -> Retry {
    Retry::attempts(3).backoff(longest, longest).without_budget().seed(7)
}

fn fails_twice(which: Which) -> Act {
    if which.attempt < 3 { Act::Fail(10, "try again".into()) } else { Act::Take(10) }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_charged_to_the_slot_and_to_what_is_shared() {
    let shared = LimitSet::builder("shared").calls(Quota::per_hour(1_000)).build().unwrap();
    let limits = Limits::concurrent(2).per_minute(600).shared(&shared).retry(thrice(Duration::from_secs(1)));
    let (flow, world) = (only(Job::new(4, fails_twice), limits), World::default());
    flow.run(&world, 0).await.unwrap();
    assert_eq!(world.service.calls(), 12);
    assert_eq!(shared.snapshot().limit("calls").unwrap().used, 12);
    let stats = &flow.stats()[0];
    assert_eq!((stats.items, stats.attempts, stats.total_retries(), stats.completed), (4, 12, 8, 4));
    assert_eq!(stats.window_count, 12);
    assert_eq!(*world.posts.lock().unwrap(), [(0, vec![0, 1, 2, 3])]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_holds_no_place() {
    // The first item waits for an hour or so between attempts; the others pass in the meantime.
    let act = |which: Which| match which {
        Which { item: 0, attempt: 1, .. } => Act::Fail(10, "try again".into()),
        _ => Act::Take(10),
    };
    let retry =
        Retry::attempts(2).backoff(Duration::from_secs(3_600), Duration::from_secs(3_600)).without_budget().seed(1);
    let (world, began) = (World::default(), Instant::now());
    let flow = only(Job::new(50, act), Limits::sequential().retry(retry));
    let run = flow.run(&world, 0);
    tokio::pin!(run);
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut run).await.is_err());
    assert_eq!(world.service.calls(), 50);
    run.await.unwrap();
    assert_eq!((world.service.calls(), world.service.peak()), (51, 1));
    assert!(began.elapsed() > Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_has_the_last_word_on_an_item() {
    let world = World::default();
    let never = |which: Which| if which.item == 1 { Act::Fail(1, "no".into()) } else { Act::Take(1) };
    let flow = only(Job::new(3, never).rescued_by(99), Limits::none().retry(thrice(Duration::from_millis(1))));
    flow.run(&world, 0).await.unwrap();
    assert_eq!(*world.posts.lock().unwrap(), [(0, vec![0, 99, 2])]);
    let stats = &flow.stats()[0];
    assert_eq!((stats.fallbacks, stats.completed, stats.failed, stats.attempts), (1, 3, 0, 5));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_dropped_and_may_be_made_again() {
    let world = World::default();
    let slow_at_first = |which: Which| Act::Take(if which.attempt == 1 { 10_000 } else { 10 });
    let limits = Limits::sequential().timeout(Duration::from_secs(1));
    let flow = only(Job::new(1, slow_at_first), limits.clone().retry(thrice(Duration::from_millis(1))));
    flow.run(&world, 0).await.unwrap();
    assert_eq!((world.service.calls(), world.service.now()), (2, 0));

    let error = only(Job::new(1, slow_at_first), limits).run(&world, 0).await.unwrap_err();
    let Error::Failed(failure) = error else { panic!("{error}") };
    assert!(matches!(failure.cause, Cause::TimedOut(longest) if longest == Duration::from_secs(1)), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_verdict_of_ones_own_can_refuse_a_value() {
    struct Guess;
    impl Node for Guess {
        type Shared = ();
        type Params = ();
        type Item = ();
        type Output = u32;

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }

        async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<u32> {
            Ok(cx.attempt())
        }

        fn verdict(&self, result: &Result<u32>) -> Verdict {
            match result {
                Ok(guess) if *guess < 3 => Verdict::Transient,
                result => by_error(result),
            }
        }
    }
    let run = |retry| async {
        let mut graph = Graph::new();
        let guess = graph.add(Guess, Limits::none().retry(retry));
        graph.start(guess).unwrap().run(&(), ()).await
    };
    run(thrice(Duration::from_millis(1))).await.unwrap();
    let error = run(Retry::attempts(1)).await.unwrap_err();
    assert!(error.to_string().contains("not taken for a success"), "{error}");
}
