//! An adaptive flow over a node with a fixed limit: how many users are handled at once is learnt, how many calls a user may have
//! under way is not.
//!
//! The service takes forty calls at once, which nobody told the flow. The node hands a refusal on, and the flow has fewer users
//! under way for it. It prints the level at every hundredth user, and how few calls were refused.
//!
//! `cargo run -p paceline-flow --example adaptive_flow`

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
        Ok((0..10).map(|page| format!("/users/{}/orders?page={page}", cx.params)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, endpoint: &String) -> Result<String> {
        Ok(cx.shared.call(endpoint).await?)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let controller = Aimd::builder().initial_concurrent(10).min_concurrent(2).max_concurrent(50).build()?;
    let mut graph = Graph::new();
    let fetch = graph.add(FetchUser, Limits::concurrent(5).propagate_rate_limit());
    let flow = BatchFlow::over(graph.start(fetch)?)
        .name("users")
        .adaptive(controller)
        .retry(Retry::attempts(10).backoff(Duration::from_millis(100), Duration::from_secs(1)))
        .build()?;
    println!("{}", flow.effective_limits());

    let service = Service::new("api", ServiceLimits::concurrent(40), Duration::from_millis(100));
    let mut users = std::pin::pin!(flow.stream_over(&service, 0..1_000));
    let mut completed = 0;
    while let Some(user) = users.next().await {
        completed += u64::from(user.is_completed());
        if completed % 100 == 0 {
            println!("{completed:5} users done, {:2} at once", flow.stats().current_concurrent);
        }
    }

    let stats = flow.stats();
    println!("{completed} of 1000 completed, {} begun anew, {} cuts", stats.attempts - 1_000, stats.cuts);
    println!("{service}");
    let seen = service.seen();
    assert_eq!(completed, 1_000);
    assert!(stats.cuts > 0 && seen.peak <= 40);
    assert!(seen.refused * 20 < seen.answered, "less than one in twenty is refused");
    Ok(())
}
