//! A fast service and a slow one in one flow: a hundred calls a second for the lookups, ten for the answers.
//!
//! Each tier has a limit set that all its callers share. Both services are behind real HTTP and refuse what is above. It prints
//! what they saw; the slow tier is what it takes its three seconds for.
//!
//! `cargo run -p paceline-flow --example multi_tier`

#[path = "support/provider.rs"]
mod provider;

use std::time::Duration;

use paceline::{Anchor, LimitSet, Quota};
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result};
use paceline_mock::{Latency, LimitKey, MockConfig, MockLimit};
use provider::Provider;

/// Calls a tier, so many times an instance.
struct Tier<'p> {
    provider: &'p Provider,
    calls: u32,
}

impl Node for Tier<'_> {
    type Shared = ();
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..self.calls).map(|call| format!("call {call} for {}", cx.params)).collect())
    }

    async fn exec(&self, _: Cx<'_, Self>, prompt: &String) -> Result<String> {
        self.provider.chat(prompt).await
    }
}

/// A provider that takes so many calls in any second, and a set that keeps to that. A call stands in the set's window until a
/// second after its answer, since only then is it sure to have left the provider's.
async fn tier(name: &'static str, per_second: u64) -> Result<(Provider, LimitSet)> {
    let config = MockConfig {
        limits: vec![MockLimit::new(LimitKey::Requests, per_second, Duration::from_secs(1))],
        latency: Latency::Fixed(Duration::from_millis(20)),
        ..MockConfig::default()
    };
    let limits = LimitSet::builder(name).calls(Quota::per_second(per_second).anchor(Anchor::Completion)).build()?;
    Ok((Provider::start(name, config).await?, limits))
}

#[tokio::main]
async fn main() -> Result<()> {
    let (fast, fast_limits) = tier("fast", 100).await?;
    let (slow, slow_limits) = tier("slow", 10).await?;

    let mut graph = Graph::new();
    let lookup = graph.add_as("look up", Tier { provider: &fast, calls: 4 }, Limits::none().shared(&fast_limits));
    let answer = graph.add_as("answer", Tier { provider: &slow, calls: 1 }, Limits::none().shared(&slow_limits));
    graph.then(lookup, answer);
    let flow = BatchFlow::over(graph.start(lookup)?).name("questions").max_concurrent_flows(20).build()?;
    println!("{}", flow.effective_limits());

    let report = flow.run_over(&(), 0..32).await?;
    println!("{report}\n{fast}\n{slow}");
    for node in flow.node_stats() {
        println!("{}: {} calls, which waited for {:.1?} together", node.node, node.attempts, node.waited);
    }
    assert!(report.is_complete());
    assert_eq!((fast.seen().ok, fast.seen().rejected), (128, 0));
    assert_eq!((slow.seen().ok, slow.seen().rejected), (32, 0));
    Ok(())
}
