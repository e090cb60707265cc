//! A simulated rate-limited provider: an OpenAI-compatible HTTP server that holds its limits exactly and remembers
//! what it saw.
//!
//! It is the other side of every promise a client of a rate-limited service makes, so its accounting is as plain as
//! it can be: a list of instants and units for each limit, checked and charged at one instant under one lock. It
//! shares no code with any limiter, so that a mistake there cannot agree with itself here. It is not a model server:
//! the answers are short, fixed and cheap.
//!
//! # What a call is charged
//!
//! | limit | units |
//! |---|---|
//! | [`LimitKey::Requests`] | 1 |
//! | [`LimitKey::InputTokens`] | ⌈characters / 4⌉, the characters being the Unicode scalar values of the HTTP body as sent |
//! | [`LimitKey::OutputTokens`] | `max_tokens`, or `max_completion_tokens`, or `max_output_tokens`; the largest if several, 0 if none |
//! | [`LimitKey::Tokens`] | the sum of the two |
//!
//! The answer's `usage` says exactly that. A refused call (429) is charged nothing, unless
//! [`MockConfig::count_refused`]; a simulated failure (500, 503) is charged in full; a malformed (400) or
//! unauthorised (401) call is charged nothing.
//!
//! # Routes
//!
//! | route | answer |
//! |---|---|
//! | `POST /v1/*` | a call: chat completions, completions, embeddings, responses, messages; anything else like a chat |
//! | `GET /v1/models` | a short list |
//! | `GET /_mock/requests` | the [journal](Seen): every call, in order of arrival |
//! | `GET /_mock/stats` | the [totals](Stats), with the fullest window of each limit |
//! | `POST /_mock/reset` | forgets journal and totals; charges and calls in flight stay |
//!
//! A call with `"stream": true` is answered as server-sent events, all at once after the latency.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use paceline_mock::{Latency, LimitKey, Mock, MockConfig, MockLimit};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let config = MockConfig {
//!     limits: vec![MockLimit::new(LimitKey::Requests, 100, Duration::from_secs(10))],
//!     latency: Latency::Fixed(Duration::from_millis(50)),
//!     ..MockConfig::default()
//! };
//! let mock = Mock::start(config, ([127, 0, 0, 1], 0).into()).await?;
//! println!("listening on {}", mock.url());
//! assert_eq!(mock.stats().total, 0);
//! mock.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod account;
mod answer;
mod call;
mod charge;
mod config;
mod dialect;
mod dice;
mod journal;
mod latency;
mod provider;
mod routes;
mod server;

pub use charge::{Charge, LimitKey, UnknownKey};
pub use config::{ConfigError, MockConfig, MockLimit};
pub use dialect::{Dialect, UnknownDialect};
pub use journal::{LimitStats, Seen, Stats};
pub use latency::{Latency, LatencyError};
pub use server::Mock;
