//! Limits by environment: two calls at once where one develops, twenty in production, and the nodes know nothing of it.
//!
//! It reads `ENVIRONMENT` (production, unless it says `development` or `staging`), registers the limits that belong to it, and
//! prints what the service saw of a flow under them. Try it with each.
//!
//! `ENVIRONMENT=staging cargo run -p paceline-flow --example environment`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline::{LimitSet, Quota, Registry};
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct Call;

impl Node for Call {
    type Shared = Service;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..5).map(|part| format!("item {}, part {part}", cx.params)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, part: &String) -> Result<String> {
        Ok(cx.shared.call(part).await?)
    }
}

/// How many calls at once, and how many a minute.
fn allowed_in(environment: &str) -> Result<(u64, u64)> {
    match environment {
        "development" => Ok((2, 10)),
        "staging" => Ok((5, 50)),
        "production" => Ok((20, 200)),
        other => Err(format!("ENVIRONMENT is `{other}`; it can be development, staging or production").into()),
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let environment = std::env::var("ENVIRONMENT").unwrap_or_else(|_| "production".into());
    let (calls, per_minute) = allowed_in(&environment)?;
    let api = LimitSet::builder("api").concurrency(calls).calls(Quota::per_minute(per_minute)).build()?;
    Registry::global().register("api", api)?;

    // From here on nobody knows where it runs.
    let mut graph = Graph::new();
    let call = graph.add(Call, Limits::none().named(Registry::global(), "api")?);
    let flow = BatchFlow::over(graph.start(call)?).name(environment).max_concurrent_flows(10).build()?;
    println!("{}", flow.effective_limits());

    let allows = ServiceLimits::concurrent(calls).per_minute(per_minute);
    let service = Service::new("api", allows, Duration::from_secs(2));
    let report = flow.run_over(&service, 0..100).await?;
    println!("{report}\n{service}");
    assert!(report.is_complete());
    assert_eq!((service.seen().refused, service.seen().fullest_minute), (0, per_minute));
    Ok(())
}
