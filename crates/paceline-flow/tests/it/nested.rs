//! The nested example of PocketFlow Throttled: ten documents at once, five chunks and two analyses each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use paceline_flow::{Action, BatchFlow, Cx, Graph, Limits, Node, Result};
use tokio::time::Instant;

use crate::support::{Service, scatter};

const CHUNKS: u64 = 10;
const ANALYSES: u64 = 3;

#[derive(Default)]
struct Services {
    storage: Service,
    llm: Service,
}

fn fetch_time(document: u64, chunk: u64) -> Duration {
    Duration::from_millis(50 + scatter(document * 100 + chunk) % 400)
}

fn analyze_time(document: u64, analysis: u64) -> Duration {
    Duration::from_millis(300 + scatter(document * 100 + 50 + analysis) % 1_500)
}

struct Fetch;

impl Node for Fetch {
    type Shared = Services;
    type Params = u64;
    type Item = u64;
    type Output = u64;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
        Ok((0..CHUNKS).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, chunk: &u64) -> Result<u64> {
        cx.shared.storage.call(fetch_time(*cx.params, *chunk)).await;
        Ok(*chunk)
    }

    async fn post(&self, _: Cx<'_, Self>, chunks: Vec<u64>, fetched: Vec<u64>) -> Result<Action> {
        assert_eq!(chunks, fetched, "results are in the order of the items");
        Ok("analyze".into())
    }
}

struct Analyze;

impl Node for Analyze {
    type Shared = Services;
    type Params = u64;
    type Item = u64;
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
        Ok((0..ANALYSES).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, analysis: &u64) -> Result<()> {
        cx.shared.llm.call(analyze_time(*cx.params, *analysis)).await;
        Ok(())
    }
}

fn flow(fetch: Limits, analyze: Limits) -> BatchFlow<'static, Services, u64> {
    let mut graph = Graph::new();
    let (fetch, analyze) = (graph.add(Fetch, fetch), graph.add(Analyze, analyze));
    graph.on(fetch, "analyze", analyze);
    BatchFlow::over(graph.start(fetch).unwrap()).max_concurrent_flows(10).build().unwrap()
}

/// When the last of `jobs` is done if each goes, in turn, to whichever of `servers` is free first.
fn list_schedule(servers: usize, start: Duration, jobs: impl Iterator<Item = Duration>) -> Duration {
    let mut free: BinaryHeap<_> = (0..servers).map(|_| Reverse(start)).collect();
    let mut last = start;
    for job in jobs {
        let Reverse(from) = free.pop().unwrap();
        free.push(Reverse(from + job));
        last = last.max(from + job);
    }
    last
}

/// The same for whole documents, each of which is two list schedules one after the other.
fn oracle(documents: u64) -> Duration {
    let mut free: BinaryHeap<_> = (0..10).map(|_| Reverse(Duration::ZERO)).collect();
    let mut last = Duration::ZERO;
    for document in 0..documents {
        let Reverse(from) = free.pop().unwrap();
        let fetched = list_schedule(5, from, (0..CHUNKS).map(|chunk| fetch_time(document, chunk)));
        let done = list_schedule(2, fetched, (0..ANALYSES).map(|analysis| analyze_time(document, analysis)));
        free.push(Reverse(done));
        last = last.max(done);
    }
    last
}

#[tokio::test(start_paused = true)]
async fn peaks_are_the_products_and_the_time_is_that_of_a_list_schedule() {
    let (flow, services) = (flow(Limits::concurrent(5), Limits::concurrent(2)), Services::default());
    let began = Instant::now();
    let report = flow.run_over(&services, 0..100).await.unwrap();
    let (took, ideal) = (began.elapsed(), oracle(100));
    assert!(report.is_complete(), "{report}");
    assert_eq!((services.storage.peak(), services.llm.peak()), (50, 20));
    assert_eq!((services.storage.calls(), services.llm.calls()), (1_000, 300));
    assert!(took.abs_diff(ideal) <= ideal / 50, "took {took:?}, a list schedule {ideal:?}");
    assert_eq!(flow.stats().peak_running, 10);
    let nodes = flow.node_stats();
    assert_eq!((nodes[0].peak_in_flight, nodes[1].peak_in_flight), (50, 20));
    assert_eq!((nodes[0].slots, nodes[0].completed, nodes[0].current_concurrent), (10, 1_000, Some(50)));
}

#[tokio::test(start_paused = true)]
async fn five_minutes_keep_to_what_the_effective_limits_say_of_each_service() {
    let (mut graph, services) = (Graph::new(), Services::default());
    let fetch = graph.add(Fetch, Limits::concurrent(5).per_minute(100));
    let analyze = graph.add(Analyze, Limits::concurrent(2).per_minute(60));
    graph.on(fetch, "analyze", analyze);
    let flow = BatchFlow::over(graph.start(fetch).unwrap())
        .max_concurrent_flows(10)
        .deadline(Duration::from_secs(300))
        .build()
        .unwrap();
    let limits = flow.effective_limits();
    let bounds = |node| (limits.at_once(node).unwrap() as usize, limits.per_minute(node).unwrap() as usize);
    assert_eq!((bounds("Fetch"), bounds("Analyze")), ((50, 1_000), (20, 600)));
    let report = flow.run_over(&services, 0..).await.unwrap();
    assert_eq!(report.failed, 0, "{report}");
    for (service, node) in [(&services.storage, "Fetch"), (&services.llm, "Analyze")] {
        let (at_once, per_minute) = bounds(node);
        assert_eq!(service.peak(), at_once, "{node}");
        assert!(service.fullest_minute() <= per_minute, "{node}: {} in a minute", service.fullest_minute());
    }
    // Of the two quotas, that of the chunks binds: ten each, a hundred a minute.
    assert!(services.storage.fullest_minute() > 990);
}

#[tokio::test(start_paused = true)]
async fn a_run_can_be_spawned_and_its_futures_are_send() {
    fn is_send(_: &impl Send) {}
    let (flow, services) = (flow(Limits::none(), Limits::none()), Services::default());
    is_send(&flow.run_over(&services, 0..1));
    is_send(&flow.stream_over(&services, vec![1, 2]));
    is_send(&flow.run(&services));
    let run = async move { flow.run_over(&services, 0..3).await.map(|report| report.completed) };
    assert_eq!(tokio::spawn(run).await.unwrap().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn five_minutes_never_exceed_what_is_said_of_each_service() {
    let (fetch, analyze) = (Limits::concurrent(5).per_minute(100), Limits::concurrent(2).per_minute(60));
    let mut graph = Graph::new();
    let (fetch, analyze) = (graph.add(Fetch, fetch), graph.add(Analyze, analyze));
    graph.on(fetch, "analyze", analyze);
    let flow = BatchFlow::over(graph.start(fetch).unwrap()).max_concurrent_flows(10);
    let flow = flow.deadline(Duration::from_secs(300)).build().unwrap();
    let limits = flow.effective_limits();
    let said = |node: &str| (limits.at_once(node).unwrap(), limits.per_minute(node).unwrap());
    assert_eq!((said("Fetch"), said("Analyze")), ((50, 1_000), (20, 600)));
    let text = limits.to_string();
    for line in [
        "Fetch: 5 at once, 100 a minute; in 10 slots 50 at once, 1000 a minute\n",
        "in 10 slots 20 at once, 600 a minute\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let services = Services::default();
    let report = flow.run_over(&services, 0..).await.unwrap();
    let (storage, llm) = (&services.storage, &services.llm);
    assert!(report.completed > 400, "{report}");
    assert!(storage.fullest_minute() <= 1_000 && llm.fullest_minute() <= 600);
    assert!(storage.fullest_minute() > 900, "the quota of the first is what binds: {}", storage.fullest_minute());
    assert!(storage.peak() <= 50 && llm.peak() <= 20);
}
