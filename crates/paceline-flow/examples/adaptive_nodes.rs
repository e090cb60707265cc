//! A fixed flow over adaptive nodes: ten users at once, whose calls adapt to what the service takes. Twice.
//!
//! The service takes forty calls at once, which nobody told the node. First each of the flow's ten slots learns for itself; each
//! grows until it hears of a refusal, so there are many. Then all slots learn together, from a set that they share, and there are
//! few. It prints both, and that a refused call is made again by the node: the flow never hears of it.
//!
//! `cargo run -p paceline-flow --example adaptive_nodes`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline::{Aimd, LimitSet, Retry};
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct FetchUser;

impl Node for FetchUser {
    type Shared = Service;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..50).map(|page| format!("/users/{}/orders?page={page}", cx.params)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, endpoint: &String) -> Result<String> {
        Ok(cx.shared.call(endpoint).await?)
    }
}

async fn run(name: &str, limits: Limits) -> Result<u64> {
    let retry = Retry::attempts(10).backoff(Duration::from_millis(100), Duration::from_secs(1));
    let mut graph = Graph::new();
    let fetch = graph.add(FetchUser, limits.retry(retry));
    let flow = BatchFlow::over(graph.start(fetch)?).name(name).max_concurrent_flows(10).build()?;
    println!("{}", flow.effective_limits());

    let service = Service::new("api", ServiceLimits::concurrent(40), Duration::from_millis(100));
    let report = flow.run_over(&service, 0..100).await?;
    println!("{} calls made anew, {report}", flow.node_stats()[0].total_retries());
    println!("{service}\n");
    assert!(report.is_complete());
    assert_eq!((service.seen().answered, service.seen().peak), (5_000, 40));
    Ok(service.seen().refused)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let slot = Aimd::builder().initial_concurrent(5).min_concurrent(1).max_concurrent(20).build()?;
    let alone = run("each slot for itself", Limits::adaptive(slot)).await?;

    let whole = Aimd::builder().initial_concurrent(50).min_concurrent(10).max_concurrent(200).build()?;
    let api = LimitSet::builder("api").adaptive(whole).build()?;
    let together = run("all slots together", Limits::none().shared(&api)).await?;

    println!("refused: {alone} where each slot learns for itself, {together} where they learn together");
    assert!(together < alone && alone * 5 < 5_000, "less than one in five is refused");
    Ok(())
}
