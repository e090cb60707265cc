//! Several quotas for the same service: a pool chooses, and the permit says which it was.
//!
//! `cargo run -p paceline --example regions`

use std::collections::BTreeMap;

use paceline::{Choice, LimitPool, LimitSet, Quota};

#[tokio::main]
async fn main() -> Result<(), paceline::Error> {
    let region = |name: &str, tokens| {
        LimitSet::builder(name).rate("tpm", Quota::per_minute(tokens)).concurrency(4).config("region", name).build()
    };
    let pool = LimitPool::builder("llm")
        .member(region("us-east-1", 1_000)?)
        .member(region("eu-west-1", 3_000)?)
        .choose(Choice::MostHeadroom)
        .build()?;

    let mut calls = BTreeMap::new();
    for _ in 0..40 {
        let permit = pool.acquire([("tpm", 100)]).await?;
        *calls.entry(permit.config("region").unwrap_or("?").to_owned()).or_insert(0) += 1;
    }
    println!("{calls:?}: each in proportion to its quota");
    Ok(())
}
