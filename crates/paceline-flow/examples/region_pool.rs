//! One service with a quota in each of several regions: whichever has most room takes the next call.
//!
//! The node's limits are a pool, and the attempt is told which of its members admitted it. It prints that each region's own account
//! was kept, and that together they took what all of them allow.
//!
//! `cargo run -p paceline-flow --example region_pool`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline::{Choice, LimitPool, LimitSet, Quota};
use paceline_flow::{Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

struct Ask;

impl Node for Ask {
    type Shared = [Service; 2];
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..*cx.params).map(|number| format!("question {number}")).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, question: &String) -> Result<String> {
        let [us, eu] = cx.shared;
        let region = cx.served_by().and_then(|set| set.config("region"));
        let endpoint = if region == Some("us-east-1") { us } else { eu };
        Ok(endpoint.call(question).await?)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let region = |name: &str, calls, per_minute| {
        let set = LimitSet::builder(name).concurrency(calls).calls(Quota::per_minute(per_minute));
        set.config("region", name).build()
    };
    let pool = LimitPool::builder("regions")
        .member(region("us-east-1", 6, 100)?)
        .member(region("eu-west-1", 4, 50)?)
        .choose(Choice::MostHeadroom)
        .build()?;

    let mut graph = Graph::new();
    let ask = graph.add(Ask, Limits::none().pool(&pool));
    let flow = graph.start(ask)?;
    println!("{}", flow.effective_limits());

    let endpoints = [
        Service::new("us-east-1", ServiceLimits::concurrent(6).per_minute(100), Duration::from_secs(1)),
        Service::new("eu-west-1", ServiceLimits::concurrent(4).per_minute(50), Duration::from_secs(1)),
    ];
    flow.run(&endpoints, 450).await?;
    println!("{} questions answered", flow.stats()[0].completed);
    for endpoint in &endpoints {
        println!("{endpoint}");
        assert_eq!(endpoint.seen().refused, 0);
    }
    assert_eq!(endpoints.map(|endpoint| endpoint.seen().fullest_minute), [100, 50]);
    Ok(())
}
