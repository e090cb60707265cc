//! Limits by name: a provider's for a node, a habit for a flow.
//!
//! It prints the presets there are, and then runs a flow by two of them against a service that allows what the preset says. The
//! figures are a provider's at a date; what your account allows may differ.
//!
//! `cargo run -p paceline-flow --example presets`

#[path = "support/service.rs"]
mod service;

use std::time::Duration;

use paceline::presets;
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result, presets as flow_presets};
use service::Service;

struct Summarise;

impl Node for Summarise {
    type Shared = Service;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..10).map(|part| format!("part {part} of {}", cx.params)).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, part: &String) -> Result<String> {
        Ok(cx.shared.call(part).await?)
    }
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    let tier = presets::find("OPENAI_TIER1")?;
    println!("One of {} presets of providers", presets::all().len());
    println!("  {}: {} {}, by {} ({})", tier.name, tier.provider, tier.description, tier.source, tier.date);
    println!("All presets of flows");
    for preset in flow_presets::all() {
        println!("  {:22} {:3} at once  {}", preset.name, preset.max_concurrent_flows, preset.description);
    }

    // The tier is an account's: one set that all slots share. `Limits::preset` would give each slot a quota of its own.
    let account = tier.limits().build()?;
    let mut graph = Graph::new();
    let summarise = graph.add(Summarise, Limits::none().shared(&account));
    let flow = BatchFlow::over(graph.start(summarise)?).preset(flow_presets::find("DATA_PIPELINE")?).build()?;
    println!("\nWhat the limits allow\n{}", flow.effective_limits());

    let service = Service::new("openai", tier.into(), Duration::from_millis(400));
    let report = flow.run_over(&service, 0..100).await?;
    println!("What happened\n{report}\n{service}");
    assert!(report.is_complete());
    assert_eq!((service.seen().answered, service.seen().refused), (1_000, 0));
    Ok(())
}
