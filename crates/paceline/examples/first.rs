//! The first program: calls, tokens and slots acquired as one, and corrected to what was really used.
//!
//! `cargo run -p paceline --example first`

use paceline::{LimitSet, Quota};

struct Reply {
    total_tokens: u64,
}

/// Stands in for a call to a provider.
async fn chat(prompt: &str) -> Reply {
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    Reply { total_tokens: prompt.len() as u64 }
}

#[tokio::main]
async fn main() -> Result<(), paceline::Error> {
    let openai = LimitSet::builder("openai")
        .calls(Quota::per_second(20))
        .rate("tokens", Quota::per_second(2_000))
        .concurrency(8)
        .on_wait(|waiting| println!("  waiting for {:?}, {:?}", waiting.limit, waiting.expected))
        .build()?;

    let mut calls = tokio::task::JoinSet::new();
    for number in 0..30 {
        let openai = openai.clone();
        calls.spawn(async move {
            let permit = openai.acquire([("tokens", 120)]).await?;
            let reply = chat(&format!("prompt number {number}")).await;
            permit.settle([("tokens", reply.total_tokens)])
        });
    }
    while let Some(call) = calls.join_next().await {
        call.expect("no call panicked")?;
    }

    let snapshot = openai.snapshot();
    println!("{} calls, {} of them waited, {:?} together", snapshot.granted, snapshot.waits, snapshot.waited);
    for limit in &snapshot.limits {
        println!("{:>12}: {} used, {} available", limit.key, limit.view.used, limit.view.available);
    }
    Ok(())
}
