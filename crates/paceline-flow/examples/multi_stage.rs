//! Three stages with a limit each: fetching is cheap, processing dear, storing in between. Eight items at once.
//!
//! It prints 8 × 10 fetches, 8 × 2 processings and 8 × 5 writes at once as the bounds, and what each of the three services saw.
//! An item is in one stage at a time, so it takes items in all stages at once to fill one, and the peaks show how near that came.
//!
//! `cargo run -p paceline-flow --example multi_stage`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

/// A stage borrows the service that it calls: nodes need not own what they use.
struct Stage<'s> {
    service: &'s Service,
    calls: u32,
}

impl Node for Stage<'_> {
    type Shared = ();
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..self.calls).map(|part| format!("item {}, part {part}", cx.params)).collect())
    }

    async fn exec(&self, _: Cx<'_, Self>, part: &String) -> Result<String> {
        Ok(self.service.call(part).await?)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let allows = [80, 16, 40].map(ServiceLimits::concurrent);
    let web = Service::new("web", allows[0], Duration::from_millis(100));
    let model = Service::new("model", allows[1], Duration::from_millis(800));
    let database = Service::new("database", allows[2], Duration::from_millis(50));

    let mut graph = Graph::new();
    let fetch = graph.add_as("fetch", Stage { service: &web, calls: 20 }, Limits::concurrent(10));
    let process = graph.add_as("process", Stage { service: &model, calls: 4 }, Limits::concurrent(2));
    let store = graph.add_as("store", Stage { service: &database, calls: 10 }, Limits::concurrent(5));
    graph.then(fetch, process).then(process, store);
    let flow = BatchFlow::over(graph.start(fetch)?).name("pipeline").max_concurrent_flows(8).build()?;

    let limits = flow.effective_limits();
    let limits = limits.against("web", &["fetch"], allows[0]).against("model", &["process"], allows[1]);
    println!("What the limits allow\n{}", limits.against("database", &["store"], allows[2]));

    let report = flow.run_over(&(), 0..100).await?;
    println!("What happened\n{report}");
    for service in [&web, &model, &database] {
        println!("{service}");
    }
    for stage in flow.node_stats() {
        println!("{}: {} calls waited {:.1?} in all for their limits", stage.node, stage.attempts, stage.waited);
    }
    assert!(report.is_complete());
    assert_eq!([&web, &model, &database].map(|service| service.seen().refused), [0, 0, 0]);
    assert_eq!([&web, &model, &database].map(|service| service.seen().peak), [80, 16, 40]);
    Ok(())
}
