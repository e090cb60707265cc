//! A simulated service for the examples: it takes so many calls at once and so many in any minute, refuses those above, and
//! remembers what it saw.
//!
//! It keeps an account of its own, a plain list of when calls came. Time is tokio's, which the examples pause: minutes pass at
//! once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use paceline::RateLimitHit;
use paceline_flow::ServiceLimits;
use tokio::time::Instant;

/// A service with a name, what it allows, and how long it takes to answer.
pub(crate) struct Service {
    name: &'static str,
    allows: ServiceLimits,
    latency: Duration,
    account: Mutex<Account>,
}

/// What a service saw.
#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Calls that it answered.
    pub(crate) answered: u64,
    /// Calls that it refused with a 429.
    pub(crate) refused: u64,
    /// The most that it was answering at once.
    pub(crate) peak: u64,
    /// The most that came in any minute.
    pub(crate) fullest_minute: u64,
}

#[derive(Default)]
struct Account {
    in_flight: u64,
    last_minute: VecDeque<Instant>,
    seen: Seen,
}

impl Service {
    /// A service that allows this, and answers after `latency`.
    pub(crate) fn new(name: &'static str, allows: ServiceLimits, latency: Duration) -> Self {
        Self { name, allows, latency, account: Mutex::default() }
    }

    /// Calls it: the answer after a while, or a 429 at once.
    pub(crate) async fn call(&self, request: &str) -> Result<String, RateLimitHit> {
        self.admit()?;
        let _answering = Answering(self);
        tokio::time::sleep(self.latency).await;
        Ok(format!("{request} by {}", self.name))
    }

    fn admit(&self) -> Result<(), RateLimitHit> {
        let Account { in_flight, last_minute, seen } = &mut *self.account.lock().unwrap();
        let now = Instant::now();
        while last_minute.front().is_some_and(|came| now - *came >= Duration::from_secs(60)) {
            last_minute.pop_front();
        }
        let is_free = self.allows.at_once.is_none_or(|most| *in_flight < most);
        let has_room = self.allows.per_minute.is_none_or(|most| (last_minute.len() as u64) < most);
        if !(is_free && has_room) {
            seen.refused += 1;
            return Err(RateLimitHit::new("429 Too Many Requests"));
        }
        last_minute.push_back(now);
        *in_flight += 1;
        seen.answered += 1;
        seen.peak = seen.peak.max(*in_flight);
        seen.fullest_minute = seen.fullest_minute.max(last_minute.len() as u64);
        Ok(())
    }

    /// What it saw.
    pub(crate) fn seen(&self) -> Seen {
        self.account.lock().unwrap().seen
    }
}

/// A call that it is answering.
struct Answering<'a>(&'a Service);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.account.lock().unwrap().in_flight -= 1;
    }
}

/// What it saw, beside what it allows, in columns.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Seen { answered, refused, peak, fullest_minute } = self.seen();
        write!(f, "{:12}", self.name)?;
        if let Some(allowed) = self.allows.at_once {
            write!(f, "{:>11} at once", format!("{peak} of {allowed}"))?;
        }
        if let Some(allowed) = self.allows.per_minute {
            write!(f, "{:>15} in its fullest minute", format!("{fullest_minute} of {allowed}"))?;
        }
        write!(f, "{answered:7} answered{refused:5} refused")
    }
}
