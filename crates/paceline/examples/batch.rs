//! A batch: many calls under one quota, tried again where they fail, in order, watched, and drained when it has enough.
//!
//! `cargo run -p paceline --example batch`

use std::time::Duration;

use futures::StreamExt;
use paceline::{Aimd, Attempt, Batch, BatchEvent, LimitSet, Quota, RateLimitHit, Retry};

/// Stands in for a provider that refuses a prompt now and then.
async fn translate(number: u64, attempt: Attempt) -> Result<String, RateLimitHit> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    if number % 40 == 39 && attempt.number() == 1 {
        return Err(RateLimitHit::new("429 Too Many Requests").retry_after(Duration::from_millis(20)));
    }
    Ok(format!("translation {number}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = LimitSet::builder("provider")
        .calls(Quota::per_second(500))
        .rate("tokens", Quota::per_second(50_000))
        .adaptive(Aimd::default())
        .build()?;
    let retry = Retry::attempts(5).backoff(Duration::from_millis(1), Duration::from_millis(10));

    // All at once: a report in the order of the input.
    let report = Batch::over(&provider)
        .cost(|number: &u64| [("tokens", 40 + number)])
        .retry(retry.clone())
        .run(0..50, translate)
        .await?;
    println!("{} of {}, {} retries", report.progress.succeeded, report.progress.taken, report.progress.retries());
    println!("the last: {}", report.into_values()?[49]);

    // As a stream, from an input without end, until there is enough of it.
    let batch = Batch::over(&provider).retry(retry).ordered();
    let handle = batch.handle();
    let retries = tokio::spawn({
        let events = handle.events();
        events.filter(|event| std::future::ready(matches!(event, BatchEvent::Started { attempt: 2.., .. }))).count()
    });
    let mut translations = batch.stream(0.., translate)?;
    while let Some(item) = translations.next().await {
        if item.index == 99 {
            handle.drain();
        }
    }
    let progress = handle.progress();
    println!("{} finished, {} given up before they began", progress.succeeded, progress.stopped);
    println!("{} retries were seen as they began", retries.await?);
    println!("{:?}", provider.snapshot().feedback);
    Ok(())
}
