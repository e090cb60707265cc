//! Limits of nodes within limits of flows.

use std::sync::atomic::Ordering::SeqCst;

use paceline::Aimd;
use paceline_flow::{
    BatchFlow, BatchFlowBuilder, Cx, EffectiveLimits, Finding, Graph, Limits, Measure, Node, Result, ServiceLimits,
};

use super::{Calls, Capped, Shared, at, millis, secs, timed};

/// `class FetchUserDataNode(ThrottledParallelBatchNode)`: four endpoints a user.
fn user_batch(node: Limits) -> BatchFlowBuilder<'static, Shared, u64> {
    let mut graph = Graph::new();
    let fetch = graph.add_as("FetchUserData", Calls::of(|shared| &shared.api, 4, millis(100)), node);
    BatchFlow::over(graph.start(fetch).unwrap())
}

/// Five users at once, three calls each: 5 × 3 = 15.
#[tokio::test(start_paused = true)]
async fn parity_p12_five_users_with_three_calls_each_are_fifteen() {
    let flow = user_batch(Limits::concurrent(3).per_minute(30)).max_concurrent_flows(5).build().unwrap();
    let (effective, shared) = (flow.effective_limits(), Shared::default());
    assert_eq!((effective.at_once("FetchUserData"), effective.per_minute("FetchUserData")), (Some(15), Some(150)));
    let (report, took) = timed(flow.run_over(&shared, 0..100)).await;
    assert!(report.unwrap().is_complete());
    assert_eq!((shared.api.peak(), shared.api.calls()), (15, 400));
    assert_eq!(shared.results.lock().unwrap()[&99], [0, 1, 2, 3]);
    // Thirty a minute are a user's own in the seed, where each brings a new limiter, and those of whoever is in the slot here:
    // so they bound the whole.
    assert_eq!(shared.api.fullest_minute(), 150);
    assert!(took > secs(120), "{took:?}: 400 calls, 150 a minute");
}

/// `fetch - "analyze" >> analyze`: a document of ten chunks, and three analyses.
fn documents(fetch: Limits, analyze: Limits) -> BatchFlowBuilder<'static, Shared, u64> {
    let mut graph = Graph::new();
    let chunks = Calls::of(|shared| &shared.store, 10, millis(50)).saying("analyze");
    let fetch = graph.add_as("fetch", chunks, fetch);
    let analyze = graph.add_as("analyze", Calls::of(|shared| &shared.llm, 3, millis(50)), analyze);
    graph.on(fetch, "analyze", analyze);
    BatchFlow::over(graph.start(fetch).unwrap())
}

/// The seed's three execution models for a hundred documents, with the peaks it gives for each.
#[tokio::test(start_paused = true)]
async fn parity_p12_without_throttling_with_the_flows_and_nested() {
    let nested = || (Limits::concurrent(5), Limits::concurrent(2));
    for (flows, (fetch, analyze), storage, llm) in [
        (100, (Limits::none(), Limits::none()), 1_000, 300),
        (10, (Limits::none(), Limits::none()), 100, 30),
        (10, nested(), 50, 20),
    ] {
        let flow = documents(fetch, analyze).max_concurrent_flows(flows).build().unwrap();
        let shared = Shared::default();
        assert!(flow.run_over(&shared, 0..100).await.unwrap().is_complete());
        assert_eq!((shared.store.peak(), shared.llm.peak()), (storage, llm), "{flows} flows");
        assert_eq!((shared.store.calls(), shared.llm.calls()), (1_000, 300));
    }
}

/// The same with all the limits of the complete example: 60 documents started a minute, 100 chunks and 60 analyses in each
/// of the ten places.
#[tokio::test(start_paused = true)]
async fn parity_p12_the_complete_example() {
    let flow = documents(Limits::concurrent(5).per_minute(100), Limits::concurrent(2).per_minute(60));
    let flow = flow.max_concurrent_flows(10).max_flows_per_minute(60).build().unwrap();
    let effective = flow.effective_limits();
    for (node, at_once, per_minute) in [("fetch", 50, 1_000), ("analyze", 20, 600)] {
        assert_eq!((effective.at_once(node), effective.per_minute(node)), (Some(at_once), Some(per_minute)));
    }
    let shared = Shared::default();
    let (report, took) = timed(flow.run_over(&shared, 0..100)).await;
    assert!(report.unwrap().is_complete());
    assert_eq!((shared.store.peak(), shared.llm.peak()), (50, 20));
    assert_eq!((shared.store.fullest_minute(), shared.llm.fullest_minute()), (600, 180), "sixty documents' worth");
    assert!(took > secs(60) && took < secs(62), "{took:?}");
}

/// A node's limits belong to the instance that is in its place: nobody takes from another's.
#[tokio::test(start_paused = true)]
async fn parity_p12_a_nodes_limits_belong_to_one_instance() {
    let flow = user_batch(Limits::concurrent(1)).max_concurrent_flows(2).build().unwrap();
    let shared = Shared::default();
    let (_, took) = timed(flow.run_over(&shared, 0..2)).await;
    assert_eq!((took, shared.api.peak()), (millis(400), 2), "each one after the other, both at once");
}

/// The seed's second example of the formula: `max(10×4, 10×2)` one after the other.
#[tokio::test(start_paused = true)]
async fn parity_p12_stages_that_run_one_after_another_are_the_larger() {
    let mut graph = Graph::new();
    let api = |calls| Calls::of(|shared| &shared.api, calls, millis(50));
    let (a, b) = (graph.add_as("a", api(8), Limits::concurrent(4)), graph.add_as("b", api(8), Limits::concurrent(2)));
    graph.then(a, b);
    let flow = BatchFlow::over(graph.start(a).unwrap()).max_concurrent_flows(10).build().unwrap();
    assert_eq!(flow.effective_limits().at_once_of(&["a", "b"]), Some(40));
    let shared = Shared::default();
    assert!(flow.run_over(&shared, 0..50).await.unwrap().is_complete());
    assert_eq!(shared.api.peak(), 40);
    // And where they overlap, as in two flows at once: 10×4 + 10×2.
    let alone = |name: &str, at_once| {
        let mut graph = Graph::new();
        let node = graph.add_as(name, api(8), Limits::concurrent(at_once));
        BatchFlow::over(graph.start(node).unwrap()).max_concurrent_flows(10).build().unwrap()
    };
    let (a, b, shared) = (alone("a", 4), alone("b", 2), Shared::default());
    let both = EffectiveLimits::together([a.effective_limits(), b.effective_limits()]);
    assert_eq!(both.at_once_of(&["a", "b"]), Some(60));
    let (a, b) = tokio::join!(a.run_over(&shared, 0..10), b.run_over(&shared, 0..10));
    assert!(a.unwrap().is_complete() && b.unwrap().is_complete());
    assert_eq!(shared.api.peak(), 60);
}

/// The seed's common mistakes: 2 × 1 where much more is allowed, 100 × 50, and 20 × 10 that nobody multiplied.
#[test]
fn parity_p12_over_and_under_constraining_are_told() {
    let findings = |flows, node, allows| {
        let flow = user_batch(Limits::concurrent(node)).max_concurrent_flows(flows).build().unwrap();
        let allows = ServiceLimits::concurrent(allows);
        let mut findings = flow.effective_limits().against("api", &["FetchUserData"], allows).findings();
        assert!(findings.len() <= 1, "{findings:?}");
        findings.pop()
    };
    assert!(matches!(
        findings(2, 1, 50),
        Some(Finding::OverConstrained { what: Measure::AtOnce, allows: 50, reach: 2, .. })
    ));
    for (flows, node, reach) in [(100, 50, 5_000), (20, 10, 200)] {
        let told = findings(flows, node, 50);
        assert!(matches!(told, Some(Finding::UnderConstrained { reach: Some(told), .. }) if told == reach), "{told:?}");
    }
    assert_eq!(findings(10, 5, 50), None);
}

/// Eight items at once: 80 fetches, 16 processes, 40 stores.
#[tokio::test(start_paused = true)]
async fn parity_p14_stages_with_limits_of_their_own() {
    let mut graph = Graph::new();
    let fetch = graph.add_as("fetch", Calls::of(|shared| &shared.api, 12, millis(40)), Limits::concurrent(10));
    let process = graph.add_as("process", Calls::of(|shared| &shared.llm, 6, millis(40)), Limits::concurrent(2));
    let store = graph.add_as("store", Calls::of(|shared| &shared.store, 12, millis(40)), Limits::concurrent(5));
    graph.then(fetch, process).then(process, store);
    let flow = BatchFlow::over(graph.start(fetch).unwrap()).max_concurrent_flows(8).build().unwrap();
    let effective = flow.effective_limits();
    let at_once = ["fetch", "process", "store"].map(|stage| effective.at_once(stage).unwrap());
    assert_eq!(at_once, [80, 16, 40]);
    let shared = Shared::default();
    assert!(flow.run_over(&shared, 0..64).await.unwrap().is_complete());
    assert_eq!([&shared.api, &shared.llm, &shared.store].map(|service| service.peak()), [80, 16, 40]);
}

/// A node whose calls go to a service that refuses, and say so to the flow.
struct Refusable;

impl Node for Refusable {
    type Shared = Capped;
    type Params = u64;
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![(); 10])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
        cx.shared.call().await
    }
}

fn refusable(node: Limits) -> BatchFlowBuilder<'static, Capped, u64> {
    let mut graph = Graph::new();
    let node = graph.add(Refusable, node);
    BatchFlow::over(graph.start(node).unwrap())
}

/// 2 to 50 items as the flow learns, each of which keeps its five calls.
#[tokio::test(start_paused = true)]
async fn parity_p14_an_adaptive_flow_with_fixed_nodes() {
    let controller = Aimd::builder().initial_concurrent(10).min_concurrent(2).max_concurrent(50).build().unwrap();
    let node = Limits::concurrent(5).per_minute(60).propagate_rate_limit();
    let retry = paceline::Retry::attempts(20).without_budget().seed(3);
    let flow = refusable(node).adaptive(controller).retry(retry).build().unwrap();
    let service = Capped::at(1_000);
    let ten = at(millis(2_500), flow.run_over(&service, 0..1_000), || flow.stats().current_concurrent).await;
    assert_eq!((ten, service.take_peak()), (12, 60), "10 × 5, and then a fifth more");
    flow.reset();
    service.cap.store(25, SeqCst);
    let report = flow.run_over(&service, 0..60).await.unwrap();
    assert!(report.is_complete(), "{report}");
    let (stats, node) = (flow.stats(), flow.node_stats().remove(0));
    assert!(stats.cuts > 0 && stats.current_concurrent < 10, "{stats:?}");
    assert_eq!((node.max_concurrent, node.max_per_minute), (Some(5), Some(60)), "the nodes' limits stay");
}

/// Ten items at all times, each of which learns for itself how many calls it may make.
#[tokio::test(start_paused = true)]
async fn parity_p14_a_fixed_flow_with_adaptive_nodes() {
    let controller = Aimd::builder().initial_concurrent(5).min_concurrent(1).max_concurrent(20).build().unwrap();
    let retry = paceline::Retry::attempts(50).backoff(millis(50), secs(2)).without_budget().seed(3);
    let flow = refusable(Limits::adaptive(controller).retry(retry)).max_concurrent_flows(10).build().unwrap();
    let service = Capped::at(20);
    let report = flow.run_over(&service, 0..100).await.unwrap();
    assert!(report.is_complete(), "{report}");
    let (stats, node) = (flow.stats(), flow.node_stats().remove(0));
    assert_eq!((stats.max_concurrent_flows, stats.current_concurrent, stats.peak_running), (10, 10, 10));
    assert_eq!((node.slots, node.completed), (10, 1_000));
    assert!(node.cuts >= 10 && node.current_concurrent.unwrap() < 50, "{node:?}");
}
