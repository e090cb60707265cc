//! Two flows of one program share an account: ten calls at once and sixty a minute, by a name in the registry.
//!
//! Each flow would like fifteen at once. It prints that the service never saw more than ten, and that both had their share.
//!
//! `cargo run -p paceline-flow --example shared_limiter`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline::{LimitSet, Quota, Registry};
use paceline_flow::{BatchFlow, Cx, EffectiveLimits, Graph, Limits, Node, Result, ServiceLimits};
use service::Service;

/// A node that is used twice: what it asks the model is its own.
struct Ask(&'static str);

impl Node for Ask {
    type Shared = Service;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok(vec![format!("{} text {}", self.0, cx.params)])
    }

    async fn exec(&self, cx: Cx<'_, Self>, prompt: &String) -> Result<String> {
        Ok(cx.shared.call(prompt).await?)
    }
}

/// Somewhere in the program: it knows the name of the limits, and nothing else of them.
fn flow(name: &'static str, prompt: &'static str) -> Result<BatchFlow<'static, Service, u32>> {
    let mut graph = Graph::new();
    let ask = graph.add_as(prompt, Ask(prompt), Limits::none().named(Registry::global(), "openai")?);
    Ok(BatchFlow::over(graph.start(ask)?).name(name).max_concurrent_flows(15).build()?)
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    // Once, where the program starts.
    let openai = LimitSet::builder("openai").concurrency(10).calls(Quota::per_minute(60)).build()?;
    Registry::global().register("openai", openai)?;

    let translations = flow("translations", "translate")?;
    let summaries = flow("summaries", "summarise")?;
    println!("{}", EffectiveLimits::together([translations.effective_limits(), summaries.effective_limits()]));

    let service = Service::new("openai", ServiceLimits::concurrent(10).per_minute(60), Duration::from_secs(3));
    let (first, second) = tokio::join!(translations.run_over(&service, 0..90), summaries.run_over(&service, 0..90));
    let (first, second) = (first?, second?);
    println!("translations: {} at once, {first}", translations.node_stats()[0].peak_in_flight);
    println!("summaries: {} at once, {second}", summaries.node_stats()[0].peak_in_flight);
    println!("{service}");

    let used = Registry::global().stats("openai")?;
    println!("the limits themselves: {} calls admitted, {} of them after a wait", used.granted, used.waits);
    assert!(first.is_complete() && second.is_complete());
    let seen = service.seen();
    assert_eq!((seen.peak, seen.fullest_minute, seen.refused), (10, 60, 0));
    Ok(())
}
