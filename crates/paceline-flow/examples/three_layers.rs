//! Three layers: the flow's limit, the node's in each slot, and one that the whole program shares, below both.
//!
//! Ten users at once with five calls each would be fifty; the account takes thirty at once and 600 a minute. It prints where the
//! three layers meet, and that the service saw the account's limits filled and never exceeded.
//!
//! `cargo run -p paceline-flow --example three_layers`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline::{LimitSet, Quota};
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct FetchUser;

impl Node for FetchUser {
    type Shared = Service;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..10).map(|page| format!("/users/{}/orders?page={page}", cx.params)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, endpoint: &String) -> Result<String> {
        Ok(cx.shared.call(endpoint).await?)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let account = LimitSet::builder("account").concurrency(30).calls(Quota::per_minute(600)).build()?;
    let mut graph = Graph::new();
    // The node's own and the shared one are acquired as one: a call that waits for the account holds no place of the node's.
    let fetch = graph.add(FetchUser, Limits::concurrent(5).per_minute(100).shared(&account));
    let flow = BatchFlow::over(graph.start(fetch)?).name("users").max_concurrent_flows(10).build()?;
    println!("{}", flow.effective_limits());

    let service = Service::new("api", ServiceLimits::concurrent(30).per_minute(600), Duration::from_secs(1));
    let report = flow.run_over(&service, 0..200).await?;
    println!("{report}\n{service}");
    let seen = service.seen();
    assert!(report.is_complete());
    assert_eq!((seen.peak, seen.fullest_minute, seen.refused), (30, 600, 0));
    Ok(())
}
