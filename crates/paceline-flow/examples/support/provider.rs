//! A simulated provider behind real HTTP, with the small client that the examples call it by.
//!
//! The provider is `paceline-mock`, which holds its limits exactly and keeps a journal. The client shows all that a node has to
//! do for its limits to learn of a refusal: say it with a `RateLimitHit`.

use std::fmt;
use std::time::Duration;

use paceline::RateLimitHit;
use paceline_flow::Result;
use paceline_mock::{Mock, MockConfig, Stats};
use serde_json::{Value, json};

/// A provider that runs in this process, and a client for it.
pub(crate) struct Provider {
    name: &'static str,
    at_once: Option<u64>,
    mock: Mock,
    client: reqwest::Client,
}

impl Provider {
    /// Starts one on a free port.
    pub(crate) async fn start(name: &'static str, config: MockConfig) -> Result<Self> {
        // Whatever wants TLS finds it; this provider is plain and on this machine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
        let at_once = config.concurrency;
        Ok(Self { name, at_once, mock: Mock::start(config, ([127, 0, 0, 1], 0).into()).await?, client })
    }

    /// Asks it: the answer, or a [`RateLimitHit`] that says how long it wants to be left alone.
    pub(crate) async fn chat(&self, prompt: &str) -> Result<String> {
        let request = json!({ "messages": [{ "role": "user", "content": prompt }] });
        let url = format!("{}/v1/chat/completions", self.mock.url());
        let response = self.client.post(url).body(request.to_string()).send().await?;
        if response.status() == 429 {
            let hit = RateLimitHit::new("429 Too Many Requests");
            let millis = response.headers().get("retry-after-ms").and_then(|value| value.to_str().ok()?.parse().ok());
            return Err(match millis {
                Some(millis) => hit.retry_after(Duration::from_millis(millis)).into(),
                None => hit.into(),
            });
        }
        let answer: Value = serde_json::from_str(&response.error_for_status()?.text().await?)?;
        Ok(answer["choices"][0]["message"]["content"].as_str().ok_or("an answer without content")?.to_owned())
    }

    /// What it saw.
    pub(crate) fn seen(&self) -> Stats {
        self.mock.stats()
    }
}

/// What it saw, beside what it allows, in columns.
impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { ok, rejected, peak_in_flight, limits, .. } = self.seen();
        write!(f, "{:12}", self.name)?;
        if let Some(allowed) = self.at_once {
            write!(f, "{:>8} at once", format!("{peak_in_flight} of {allowed}"))?;
        }
        for limit in limits.values() {
            write!(f, "{:>12} in its fullest {:?}", format!("{} of {}", limit.worst, limit.amount), limit.window)?;
        }
        write!(f, "{ok:6} answered{rejected:4} refused")
    }
}
