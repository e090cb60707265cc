//! A shared limiter within nodes within flows; acquisitions within acquisitions.

use paceline::{Error as LimitError, LimitSet, Quota};
use paceline_flow::{BatchFlow, Cx, Error, Graph, Limits, Node, Result};

use super::{Calls, Shared, millis, secs, timed};

/// `class HybridNode`: five at once and sixty a minute of its own, and within them `LimiterRegistry.get("global_api")`.
fn hybrid(name: &str, global_api: &LimitSet, flows: u64) -> BatchFlow<'static, Shared, u64> {
    let mut graph = Graph::new();
    let limits = Limits::concurrent(5).per_minute(60).shared(global_api);
    let node = graph.add_as(name, Calls::of(|shared| &shared.api, 10, millis(100)), limits);
    BatchFlow::over(graph.start(node).unwrap()).max_concurrent_flows(flows).build().unwrap()
}

/// Flow, node and shared limiter: each of the three holds where it is the tightest.
#[tokio::test(start_paused = true)]
async fn parity_p13_three_layers_of_limits() {
    for (flows, global, peak) in [(1, 100, 5), (4, 100, 20), (4, 8, 8)] {
        let global_api = LimitSet::builder("global_api").concurrency(global).build().unwrap();
        let (flow, shared) = (hybrid("hybrid", &global_api, flows), Shared::default());
        assert_eq!(flow.effective_limits().at_once("hybrid"), Some(peak));
        assert!(flow.run_over(&shared, 0..8).await.unwrap().is_complete());
        assert_eq!(shared.api.peak() as u64, peak);
    }
}

/// The shared limiter is that of all flows and nodes together.
#[tokio::test(start_paused = true)]
async fn parity_p13_the_shared_layer_is_one_for_all() {
    let global_api = LimitSet::builder("global_api").concurrency(8).calls(Quota::per_minute(90)).build().unwrap();
    let (one, two) = (hybrid("one", &global_api, 4), hybrid("two", &global_api, 4));
    let shared = Shared::default();
    let (both, took) = timed(async { tokio::join!(one.run_over(&shared, 0..9), two.run_over(&shared, 9..18)) }).await;
    assert!(both.0.unwrap().is_complete() && both.1.unwrap().is_complete());
    assert_eq!((shared.api.peak(), shared.api.fullest_minute(), shared.api.calls()), (8, 90, 180));
    assert!(took > secs(60) && took < secs(63), "{took:?}");
    assert_eq!((global_api.snapshot().active, global_api.snapshot().waiting), (0, 0));
}

/// In the seed, five items of the node sit on their places while they wait for the shared limiter. Here both are acquired at
/// one instant, so its own window is not charged for a call that is not made yet.
#[tokio::test(start_paused = true)]
async fn parity_p13_who_waits_for_the_shared_layer_holds_nothing_of_the_nodes() {
    let global_api = LimitSet::builder("global_api").concurrency(1).build().unwrap();
    let held = global_api.try_acquire(()).unwrap();
    let (flow, shared) = (hybrid("hybrid", &global_api, 1), Shared::default());
    let look = async {
        tokio::time::sleep(secs(1)).await;
        let node = flow.node_stats().remove(0);
        drop(held);
        (node.window_count, node.in_flight)
    };
    let (report, seen) = tokio::join!(flow.run_over(&shared, 0..1), look);
    assert!(report.unwrap().is_complete());
    assert_eq!(seen, (0, 0));
}

/// What the snippets share: a database of so many connections, and an API.
struct Limited {
    db: LimitSet,
    api: LimitSet,
}

impl Limited {
    fn new(connections: u64) -> Self {
        let db = LimitSet::builder("db").resource("db", connections).build().unwrap();
        Self { db, api: LimitSet::builder("api").rate("api", Quota::per_minute(1)).build().unwrap() }
    }
}

/// "Acquire DB connection … now acquire API rate limit": the node's limits are the connection, and within its call it
/// acquires the other.
struct Nested;

impl Node for Nested {
    type Shared = Limited;
    type Params = u64;
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
        assert!(cx.served_by().is_some_and(|set| set.is(&cx.shared.db)));
        let _permit = cx.shared.api.acquire([("api", 1)]).await?;
        Ok(())
    }
}

/// "This holds the DB connection while waiting for the API limit": it does, and gives both back.
#[tokio::test(start_paused = true)]
async fn parity_c09_a_node_may_acquire_within_its_call() {
    let limited = Limited::new(2);
    let mut graph = Graph::new();
    let nested = graph.add(Nested, Limits::none().shared(&limited.db));
    let flow = BatchFlow::over(graph.start(nested).unwrap()).max_concurrent_flows(3).build().unwrap();
    let look = async {
        tokio::time::sleep(secs(1)).await;
        limited.db.snapshot().limit("db").unwrap().used
    };
    let ((report, took), connections) = tokio::join!(timed(flow.run_over(&limited, 0..3)), look);
    assert!(report.unwrap().is_complete());
    assert_eq!((took, connections), (secs(120), 2), "one call a minute, and two connections that wait for it");
    for set in [&limited.db, &limited.api] {
        assert_eq!((set.snapshot().active, set.snapshot().waiting), (0, 0));
    }
}

/// "Prefer acquiring only what you need, when you need it": both as one, and whoever waits holds neither.
#[tokio::test(start_paused = true)]
async fn parity_c09_both_at_once_hold_nothing_while_they_wait() {
    struct Both;
    impl Node for Both {
        type Shared = Limited;
        type Params = u64;
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }

        async fn exec(&self, _: Cx<'_, Self>, (): &()) -> Result<()> {
            Ok(())
        }

        fn cost(&self, _: Cx<'_, Self>, (): &()) -> Vec<(&'static str, u64)> {
            vec![("api", 1)]
        }
    }
    let limited = Limited::new(2);
    let mut graph = Graph::new();
    let both = graph.add(Both, Limits::none().shared(&limited.db).shared(&limited.api));
    let flow = BatchFlow::over(graph.start(both).unwrap()).max_concurrent_flows(3).build().unwrap();
    let look = async {
        tokio::time::sleep(secs(1)).await;
        limited.db.snapshot().limit("db").unwrap().used
    };
    let ((report, took), connections) = tokio::join!(timed(flow.run_over(&limited, 0..3)), look);
    assert!(report.unwrap().is_complete());
    assert_eq!((took, connections), (secs(120), 0));
}

/// A call that holds the last connection and asks for one more waits for itself, here as in the seed. A deadline ends that.
#[tokio::test(start_paused = true)]
async fn parity_c09_a_call_that_waits_for_what_it_holds_is_ended_by_a_deadline() {
    struct Twice;
    impl Node for Twice {
        type Shared = Limited;
        type Params = ();
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }

        async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
            drop(cx.shared.db.request(()).within(secs(5)).acquire().await?);
            Ok(())
        }
    }
    let limited = Limited::new(1);
    let mut graph = Graph::new();
    let twice = graph.add(Twice, Limits::none().shared(&limited.db));
    let (failed, took) = timed(graph.start(twice).unwrap().run(&limited, ())).await;
    let Err(Error::Failed(failure)) = failed else { panic!("{failed:?}") };
    let source = std::error::Error::source(&failure).unwrap();
    assert!(matches!(source.downcast_ref(), Some(LimitError::DeadlineExceeded { .. })), "{failure}");
    assert_eq!((took, limited.db.snapshot().active), (secs(5), 0));
}
