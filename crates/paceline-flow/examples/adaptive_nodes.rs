//! A fixed flow over an adaptive node: ten users at once, and each of the ten slots learns how many calls it may have under way.
//!
//! The service takes forty calls at once, which nobody told the node. It prints what the slots have learnt together, and how few
//! calls were refused. A refused call is made again by the node; the flow never hears of it.
//!
//! `cargo run -p paceline-flow --example adaptive_nodes`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use futures::StreamExt;
use paceline::{Aimd, Retry};
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

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let controller = Aimd::builder().initial_concurrent(5).min_concurrent(1).max_concurrent(20).build()?;
    let retry = Retry::attempts(10).backoff(Duration::from_millis(100), Duration::from_secs(1));
    let mut graph = Graph::new();
    let fetch = graph.add(FetchUser, Limits::adaptive(controller).retry(retry));
    let flow = BatchFlow::over(graph.start(fetch)?).name("users").max_concurrent_flows(10).build()?;
    print!("{}", flow.effective_limits());

    let service = Service::new("api", ServiceLimits::concurrent(40), Duration::from_millis(100));
    let mut users = std::pin::pin!(flow.stream_over(&service, 0..200));
    let mut completed = 0;
    while let Some(user) = users.next().await {
        completed += u64::from(user.is_completed());
        if completed % 25 == 0 {
            let node = &flow.node_stats()[0];
            println!("{completed:4} users done, {:2} calls at once in all slots", node.current_concurrent.unwrap_or(0));
        }
    }

    let node = &flow.node_stats()[0];
    println!("{completed} of 200 completed, {} calls made anew, {} cuts", node.total_retries(), node.cuts);
    println!("{service}");
    let seen = service.seen();
    assert_eq!((completed, seen.answered), (200, 10_000));
    assert!(node.cuts > 0 && seen.peak <= 40);
    assert!(seen.refused * 10 < seen.answered, "less than one in ten is refused");
    Ok(())
}
