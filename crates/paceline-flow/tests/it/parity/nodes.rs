//! Throttled nodes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use paceline::Retry;
use paceline_flow::{Action, BatchFlow, BoxError, Cause, Cx, Error, Graph, Limits, Node, Result};
use tokio::time::sleep;

use super::{Calls, Shared, millis, secs, timed};
use crate::support::{Service, scatter};

/// `shared = {"items": list(range(100))}`.
#[derive(Default)]
struct Items {
    items: Vec<u64>,
    results: Mutex<Vec<u64>>,
    /// How often each is to fail before it succeeds.
    failures: u32,
    api: Service,
}

/// `class ProcessItemsNode(ThrottledParallelBatchNode)`.
struct ProcessItems;

impl ProcessItems {
    /// The class's own `max_concurrent = 5` and `max_per_minute = 60`; whoever adds the node may say otherwise.
    fn limits() -> Limits {
        Limits::concurrent(5).per_minute(60)
    }
}

impl Node for ProcessItems {
    type Shared = Items;
    type Params = ();
    type Item = u64;
    type Output = u64;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u64>> {
        Ok(cx.shared.items.clone())
    }

    async fn exec(&self, cx: Cx<'_, Self>, item: &u64) -> Result<u64> {
        // Later items are often done sooner.
        cx.shared.api.call(millis(1 + scatter(*item) % 99)).await;
        if cx.attempt() <= cx.shared.failures { Err("connection reset".into()) } else { Ok(item * 10) }
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<u64>, results: Vec<u64>) -> Result<Action> {
        *cx.shared.results.lock().unwrap() = results;
        Ok("default".into())
    }
}

/// `AsyncFlow(start=ProcessItemsNode())`, run with these items.
async fn process(limits: Limits, shared: &Items) -> Result<Action, Error> {
    let mut graph = Graph::new();
    let process = graph.add(ProcessItems, limits);
    graph.start(process)?.run(shared, ()).await
}

#[tokio::test(start_paused = true)]
async fn parity_p02_a_hundred_items_five_at_once_and_sixty_a_minute() {
    let shared = Items { items: (0..100).collect(), ..Items::default() };
    let (action, took) = timed(process(ProcessItems::limits(), &shared)).await;
    assert_eq!(action.unwrap(), "default");
    let results = shared.results.into_inner().unwrap();
    assert_eq!(results, (0..100).map(|item| item * 10).collect::<Vec<_>>(), "in the order of the input");
    assert_eq!((shared.api.peak(), shared.api.fullest_minute()), (5, 60));
    assert!(took > secs(60) && took < secs(62), "{took:?}");
}

/// `max_concurrent: 5`, `max_per_minute: None`, `max_retries: 1`, `wait: 0`.
#[tokio::test(start_paused = true)]
async fn parity_p02_without_a_rate_only_concurrency_limits() {
    let shared = Items { items: (0..1_000).collect(), ..Items::default() };
    let (action, took) = timed(process(Limits::concurrent(5), &shared)).await;
    assert_eq!((action.unwrap(), shared.api.peak()), ("default".into(), 5));
    assert!(took < secs(12), "{took:?}: 200 rounds of 50 ms");
}

#[tokio::test(start_paused = true)]
async fn parity_p02_no_items_are_no_calls_and_post_is_asked() {
    let shared = Items { results: Mutex::new(vec![1]), ..Items::default() };
    let (action, took) = timed(process(ProcessItems::limits(), &shared)).await;
    assert_eq!((action.unwrap(), took, shared.api.calls()), ("default".into(), secs(0), 0));
    assert!(shared.results.into_inner().unwrap().is_empty());
}

/// One attempt unless more are asked for, and then each is charged: thirty items that take two each fill a minute.
#[tokio::test(start_paused = true)]
async fn parity_p02_each_attempt_is_charged() {
    let flaky = || Items { items: (0..60).collect(), failures: 1, ..Items::default() };
    let shared = flaky();
    let failed = process(ProcessItems::limits(), &shared).await.unwrap_err();
    let Error::Failed(failure) = failed else { panic!("{failed}") };
    assert_eq!((&*failure.node, failure.cause.to_string()), ("ProcessItems", "connection reset".into()));
    assert!(failure.item.is_some());

    let shared = flaky();
    let retry = Retry::attempts(2).backoff(secs(0), secs(0)).without_budget();
    let (done, took) = timed(process(ProcessItems::limits().retry(retry), &shared)).await;
    done.unwrap();
    assert_eq!((shared.api.calls(), shared.api.fullest_minute(), shared.api.peak()), (120, 60, 5));
    assert!(took > secs(60) && took < secs(65), "{took:?}: 120 calls, 60 a minute");
}

/// Of two items in one place the first fails, and is tried again after ten seconds. The second has the place meanwhile.
#[tokio::test(start_paused = true)]
async fn parity_p02_who_waits_to_be_tried_again_holds_no_slot() {
    struct Wait;
    impl Node for Wait {
        type Shared = Mutex<Vec<(u64, u32)>>;
        type Params = ();
        type Item = u64;
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
            Ok(vec![0, 1])
        }

        async fn exec(&self, cx: Cx<'_, Self>, item: &u64) -> Result<()> {
            cx.shared.lock().unwrap().push((*item, cx.attempt()));
            sleep(secs(1)).await;
            if (*item, cx.attempt()) == (0, 1) {
                cx.retry_after(secs(10)); // the seed's `wait`, which is not drawn from
                return Err("connection reset".into());
            }
            Ok(())
        }
    }
    let (mut graph, shared) = (Graph::new(), Mutex::default());
    let retry = Retry::attempts(2).backoff(secs(0), secs(0));
    let wait = graph.add(Wait, Limits::concurrent(1).retry(retry));
    let (done, took) = timed(graph.start(wait).unwrap().run(&shared, ())).await;
    done.unwrap();
    assert_eq!(shared.into_inner().unwrap(), [(0, 1), (1, 1), (0, 2)]);
    assert_eq!(took, secs(12));
}

/// An item that has failed for good goes to `exec_fallback`, of which PocketFlow keeps the result.
#[tokio::test(start_paused = true)]
async fn parity_p02_a_fallback_yields_the_result_instead() {
    struct Fragile(AtomicU64);
    impl Node for Fragile {
        type Shared = Mutex<Vec<u64>>;
        type Params = ();
        type Item = u64;
        type Output = u64;

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
            Ok((0..4).collect())
        }

        async fn exec(&self, _: Cx<'_, Self>, item: &u64) -> Result<u64> {
            self.0.fetch_add(1, SeqCst);
            if *item == 2 { Err("never".into()) } else { Ok(*item) }
        }

        async fn fallback(&self, _: Cx<'_, Self>, item: &u64, error: BoxError) -> Result<u64> {
            assert_eq!(error.to_string(), "never");
            Ok(item + 100)
        }

        async fn post(&self, cx: Cx<'_, Self>, _: Vec<u64>, results: Vec<u64>) -> Result<Action> {
            *cx.shared.lock().unwrap() = results;
            Ok(Action::DEFAULT)
        }
    }
    let (mut graph, shared) = (Graph::new(), Mutex::default());
    let retry = Retry::attempts(3).backoff(secs(0), secs(0));
    let fragile = graph.add(Fragile(AtomicU64::new(0)), Limits::concurrent(5).retry(retry));
    let flow = graph.start(fragile).unwrap();
    flow.run(&shared, ()).await.unwrap();
    assert_eq!(shared.into_inner().unwrap(), [0, 1, 102, 3]);
    let [stats] = &flow.stats()[..] else { panic!("one node") };
    assert_eq!((stats.attempts, stats.total_retries(), stats.fallbacks, stats.failed), (6, 2, 1, 0));
}

/// The class says one thing and whoever makes a node another, without touching the class.
#[tokio::test(start_paused = true)]
async fn parity_p03_defaults_of_the_class_and_another_by_whoever_adds_it() {
    for (limits, peak, fullest) in [
        (ProcessItems::limits(), 5, 60),
        (ProcessItems::limits().per_minute(30), 5, 30),
        (Limits::concurrent(10).per_minute(100), 10, 100),
        (Limits::preset("OPENAI_TIER1").unwrap(), 5, 60),
    ] {
        let shared = Items { items: (0..200).collect(), ..Items::default() };
        process(limits, &shared).await.unwrap();
        assert_eq!((shared.api.peak(), shared.api.fullest_minute()), (peak, fullest));
    }
    for wrong in [Limits::concurrent(0), Limits::concurrent(5).per_minute(0)] {
        let refused = process(wrong, &Items::default()).await.unwrap_err();
        assert!(matches!(&refused, Error::Limits { node, .. } if &**node == "ProcessItems"), "{refused}");
    }
}

/// A limiter is made when it is first used, is kept from run to run, and `reset_limiter` makes it forget.
#[tokio::test(start_paused = true)]
async fn parity_p03_limiters_are_made_on_first_use_and_can_be_reset() {
    let mut graph = Graph::new();
    let calls = graph.add(Calls::of(|shared| &shared.api, 60, millis(10)), Limits::concurrent(5).per_minute(60));
    let flow = BatchFlow::over(graph.start(calls).unwrap()).build().unwrap();
    let (shared, node) = (Shared::default(), || flow.node_stats().remove(0));
    assert_eq!((flow.stats().slots, node().slots, node().window_count), (0, 0, 0));

    let (_, took) = timed(flow.run_over(&shared, [1])).await;
    assert_eq!((took, node().slots, node().window_count), (millis(120), 1, 60));
    let (_, took) = timed(flow.run_over(&shared, [2])).await;
    assert_eq!(took, secs(60), "the window is still full: the first of it leaves a minute after it came");

    flow.reset();
    assert_eq!((node().window_count, node().attempts, flow.stats().completed), (0, 0, 0));
    let (report, took) = timed(flow.run_over(&shared, [3])).await;
    assert_eq!((report.unwrap().completed, took), (1, millis(120)));
}

/// The first error is the node's, and what else is under way then is given up.
#[tokio::test(start_paused = true)]
async fn parity_p02_an_item_that_fails_for_good_fails_the_node() {
    struct OneOfThree;
    impl Node for OneOfThree {
        type Shared = ();
        type Params = ();
        type Item = u64;
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
            Ok(vec![5, 1, 10])
        }

        async fn exec(&self, _: Cx<'_, Self>, item: &u64) -> Result<()> {
            sleep(secs(*item)).await;
            if *item == 1 { Err("invalid key".into()) } else { Ok(()) }
        }
    }
    let mut graph = Graph::new();
    let node = graph.add(OneOfThree, Limits::concurrent(5));
    let (failed, took) = timed(graph.start(node).unwrap().run(&(), ())).await;
    let Err(Error::Failed(failure)) = failed else { panic!("{failed:?}") };
    assert_eq!((failure.item, took), (Some(1), secs(1)));
    assert!(matches!(failure.cause, Cause::Error(error) if error.to_string() == "invalid key"));
}
