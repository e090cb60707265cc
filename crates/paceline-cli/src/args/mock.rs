//! `paceline mock`.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::Args;
use paceline_mock::{Dialect, Latency};

use super::values::{amount, duration, share};
use crate::limits::LimitFlag;

/// What `paceline mock` can be told.
#[derive(Args, Debug)]
pub(crate) struct MockArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8089", value_parser = address)]
    pub(crate) listen: SocketAddr,
    /// Requests a minute: short for --limit requests=N/1m
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) rpm: Option<NonZeroU64>,
    /// Tokens a minute, input and output together
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) tpm: Option<NonZeroU64>,
    /// Any limit, as often as needed; KEY is requests, tokens, input_tokens or output_tokens
    #[arg(long = "limit", value_name = "KEY=AMOUNT/WINDOW", value_parser = window, allow_hyphen_values = true, help_heading = "Limits")]
    pub(crate) limit: Vec<LimitFlag>,
    /// Requests at once; those above are refused
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) concurrency: Option<NonZeroU64>,
    /// Buckets of this size, full at the start and refilled evenly, instead of strict sliding windows
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true, help_heading = "Limits")]
    pub(crate) bucket: Option<NonZeroU64>,
    /// Count refused requests against the request limits too
    #[arg(long, help_heading = "Limits")]
    pub(crate) count_refused: bool,
    /// How long an answer takes
    #[arg(long, value_name = "DUR|lognormal:MEDIAN,SIGMA", default_value = "0s", help_heading = "Behaviour")]
    pub(crate) latency: Latency,
    /// Let each request arrive after a random delay below this
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "0s", help_heading = "Behaviour")]
    pub(crate) jitter: Duration,
    /// Answer this share of requests with 500 or 503
    #[arg(long, value_name = "F", value_parser = share, default_value = "0", allow_negative_numbers = true, help_heading = "Behaviour")]
    pub(crate) error_rate: f64,
    /// Say nothing about limits in headers, not even Retry-After
    #[arg(long, help_heading = "Behaviour")]
    pub(crate) no_headers: bool,
    /// Whose headers and errors to imitate: openai, azure, anthropic, gemini, github, ietf or plain
    #[arg(long, value_name = "NAME", default_value = "openai", help_heading = "Behaviour")]
    pub(crate) dialect: Dialect,
    /// Makes random choices repeatable
    #[arg(long, value_name = "N", default_value_t, help_heading = "Behaviour")]
    pub(crate) seed: u64,
}

/// Where to listen.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it is no address and port; write for example 127.0.0.1:8089".into())
}

/// A limit without a burst: the mock has one size of bucket for all.
fn window(text: &str) -> Result<LimitFlag, String> {
    let limit: LimitFlag = text.parse()?;
    match limit.burst {
        None => Ok(limit),
        Some(_) => Err("a simulated provider has no burst of its own for each limit; use --bucket N".into()),
    }
}
