//! What a scrape by Prometheus sees of two limit sets and the calls that go through them.
//!
//! `cargo run -p paceline --features metrics --example prometheus`

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use paceline::telemetry::Exporter;
use paceline::{Aimd, Attempt, Error, LimitSet, Pipeline, Quota, RateLimitHit, Retry};

/// A service that refuses the first attempt of every tenth call.
async fn chat(number: usize, attempt: Attempt) -> Result<(), RateLimitHit> {
    tokio::time::sleep(Duration::from_millis(5)).await;
    if number % 10 == 9 && attempt.number() == 1 {
        return Err(RateLimitHit::new("429 Too Many Requests").retry_after(Duration::from_millis(20)));
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Without buckets a histogram is shown as a summary, which cannot be added up over several processes.
    let seconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];
    let prometheus = PrometheusBuilder::new().set_buckets(&seconds)?.install_recorder()?;

    let database = LimitSet::builder("database").resource("connection", 4).build()?;
    let model = LimitSet::builder("model")
        .calls(Quota::per_second(500))
        .rate("tokens", Quota::per_minute(20_000))
        .adaptive(Aimd::default())
        .build()?;
    let retry = Retry::attempts(3).backoff(Duration::from_millis(10), Duration::from_millis(20));
    let pipeline = Pipeline::over(&model).retry(retry).build()?;

    let calls = (0..30).map(|number| {
        let (pipeline, database) = (pipeline.clone(), database.clone());
        tokio::spawn(async move {
            let _connection = database.acquire(()).await?;
            let outcome = pipeline.run([("tokens", 200)], |attempt| chat(number, attempt)).await;
            Ok::<_, Error>(outcome.is_success())
        })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await??);
    }

    // What the handler of `GET /metrics` does: look at the sets, and answer with the page.
    let exporter = Exporter::default();
    for set in [&model, &database] {
        exporter.export(set);
    }
    let page = prometheus.render();
    println!("{page}");
    assert!(page.contains("paceline_admitted_total{set=\"model\"} 33"));
    assert!(page.contains("paceline_retries_total{set=\"model\"} 3"));
    Ok(())
}
