//! The simulated provider of a rehearsal: the run's own limits, held strictly.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use paceline_mock::{Latency, LimitKey, LimitStats, Mock, MockConfig, MockLimit, Stats};

use crate::job::{Concurrency, Job};
use crate::limits::{Counted, Limit};
use crate::screen::{count, grouped};
use crate::time;

/// About what a small model takes on a good day.
const LATENCY: Duration = Duration::from_millis(50);

pub(crate) async fn start(job: &Job) -> Result<Mock> {
    let config = MockConfig {
        limits: job.limits.iter().map(limit).collect(),
        concurrency: match job.concurrency {
            Concurrency::Fixed(amount) => Some(amount),
            Concurrency::Adaptive { .. } => None,
        },
        latency: Latency::Fixed(LATENCY),
        ..MockConfig::default()
    };
    Mock::start(config, (Ipv4Addr::LOCALHOST, 0).into()).await.context("cannot start the simulated provider")
}

/// Without the guard: the service knows nothing of it. A bucket promises amount and burst in any window, so it is held to
/// that.
fn limit(limit: &Limit) -> MockLimit {
    MockLimit::new(key(limit.counted), limit.amount.saturating_add(limit.burst.unwrap_or(0)), limit.window)
}

pub(crate) fn key(counted: Counted) -> LimitKey {
    match counted {
        Counted::Requests => LimitKey::Requests,
        Counted::Tokens => LimitKey::Tokens,
        Counted::InputTokens => LimitKey::InputTokens,
        Counted::OutputTokens => LimitKey::OutputTokens,
    }
}

/// What it saw, in lines.
pub(crate) fn saw(stats: &Stats) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} ok, {} refused with 429, {} other errors; at most {} at once",
        count(stats.total, "call"),
        grouped(stats.ok),
        grouped(stats.rejected),
        grouped(stats.errors),
        stats.peak_in_flight,
    )];
    for (name, LimitStats { amount, window, worst }) in &stats.limits {
        lines.push(format!(
            "{name}: at most {} in any {}, of {} allowed",
            grouped(*worst),
            time::exact(*window),
            grouped(*amount)
        ));
    }
    lines
}
