//! One limit shared by distant code: by name through the registry, and jointly with a limit of one's own.
//!
//! `cargo run -p paceline --example shared`

use paceline::{LimitSet, Quota, Registry};

async fn translate(number: u32) -> Result<(), paceline::Error> {
    let openai = Registry::global().get("openai")?;
    let permit = openai.acquire(()).await?;
    println!("translating {number}, {} in flight", openai.snapshot().active);
    drop(permit);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), paceline::Error> {
    let registry = Registry::global();
    registry.register("openai", LimitSet::builder("openai").calls(Quota::per_minute(60)).concurrency(10).build()?)?;
    for number in 0..3 {
        translate(number).await?;
    }

    // A node's own limit and the shared one, all or nothing: nobody holds a slot of one while waiting for the other.
    let node = LimitSet::builder("summaries").concurrency(2).build()?;
    let permit = LimitSet::all([&node, &registry.get("openai")?])?.acquire(()).await?;
    println!("summarising with a slot of both");
    drop(permit);

    // A live change: handles stay good, permits stay counted.
    registry.replace("openai", LimitSet::builder("openai").calls(Quota::per_minute(500)).concurrency(20).build()?)?;
    println!("{:?}", registry.stats("openai")?.limit("calls"));
    Ok(())
}
