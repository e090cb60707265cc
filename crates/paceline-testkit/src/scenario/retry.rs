//! When a failed attempt is made again: full jitter, from half a second and doubling to eight, which is what the provider
//! SDKs do; Retry-After is the least.

use std::time::Duration;

use paceline_core::Verdict;
use rand::Rng;
use rand::rngs::SmallRng;

const FIRST: f64 = 0.5;
const MOST: f64 = 8.0;

/// The wait after the attempt that made it `attempts`.
pub(super) fn backoff(attempts: u32, verdict: Verdict, rng: &mut SmallRng) -> Duration {
    let most = (FIRST * 2.0_f64.powi(attempts.min(16) as i32 - 1)).min(MOST);
    let wait = Duration::from_secs_f64(rng.random_range(0.0..most));
    match verdict {
        Verdict::RateLimited { retry_after: Some(least) } => least + wait / 4,
        _ => wait,
    }
}
