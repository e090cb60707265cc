//! The simple case: one limiter around calls, for futures and for threads, waiting or failing.
//!
//! `cargo run -p paceline --example limiter`

use paceline::{Error, OnFull, RateLimitPolicy, RateLimiter};

async fn fetch(page: u32) -> String {
    format!("page {page}")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let polite = RateLimiter::per_second(10).burst(2);
    for page in 0..4 {
        println!("{}", polite.run(|| fetch(page)).await?);
    }

    let fetch_politely = polite.wrap(fetch);
    println!("{}", fetch_politely(4).await?);

    let strict = RateLimiter::new(RateLimitPolicy::per_second(0.5).on_full(OnFull::Fail))?;
    strict.run_blocking(|| println!("the first call of two seconds"))?;
    match strict.run_blocking(|| println!("never printed")) {
        Err(error) => println!("the second: {error}"),
        Ok(()) => unreachable!("one call in two seconds"),
    }
    Ok(())
}
