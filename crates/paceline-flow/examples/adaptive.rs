//! An adaptive node before a provider of which nobody knows how much it takes: eight calls at once.
//!
//! The node begins with ten at once, is refused, halves, and grows again while all goes well. Four times a second it prints
//! how many calls it lets be under way; at its end, what the provider saw: a few refusals, and all items done.
//!
//! `cargo run -p paceline-flow --example adaptive`

#[path = "support/provider.rs"]
mod provider;

use std::time::Duration;

use paceline::{Aimd, Retry};
use paceline_flow::{Cx, Graph, Limits, Node, Result};
use paceline_mock::{Latency, MockConfig};
use provider::Provider;
use tokio::time::interval;

struct Ask;

impl Node for Ask {
    type Shared = Provider;
    type Params = u32;
    type Item = String;
    type Output = String;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
        Ok((0..*cx.params).map(|number| format!("question {number}")).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, question: &String) -> Result<String> {
        cx.shared.chat(question).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let config = MockConfig {
        concurrency: Some(8),
        latency: Latency::Fixed(Duration::from_millis(30)),
        no_headers: true,
        ..MockConfig::default()
    };
    let provider = Provider::start("provider", config).await?;

    let controller = Aimd::builder()
        .initial_concurrent(10)
        .min_concurrent(2)
        .max_concurrent(50)
        .backoff_factor(0.5)
        .recovery_threshold(10)
        .recovery_factor(1.2)
        .build()?;
    let retry = Retry::attempts(6).backoff(Duration::from_millis(20), Duration::from_millis(200));
    let mut graph = Graph::new();
    let ask = graph.add(Ask, Limits::adaptive(controller).retry(retry));
    let flow = graph.start(ask)?;

    let watch = async {
        let mut every = interval(Duration::from_millis(250));
        loop {
            every.tick().await;
            let node = &flow.stats()[0];
            let level = usize::try_from(node.current_concurrent.unwrap_or(0)).unwrap_or(usize::MAX);
            println!("{:4} done, {level:2} at once {}", node.completed, "█".repeat(level));
        }
    };
    tokio::select! {
        ended = flow.run(&provider, 400) => ended?,
        () = watch => unreachable!("it watches for ever"),
    };

    let node = &flow.stats()[0];
    println!("{:4} done in {} attempts, the level was cut {} times", node.completed, node.attempts, node.cuts);
    println!("{provider}");
    assert_eq!((node.completed, provider.seen().ok), (400, 400));
    assert!(node.cuts > 0 && provider.seen().peak_in_flight <= 8);
    assert!(node.rate_limit_hits < 40, "an adaptive node is refused seldom");
    Ok(())
}
