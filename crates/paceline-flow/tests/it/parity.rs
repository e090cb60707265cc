//! The nodes and flows of PocketFlow Throttled, and Concurry's nested acquisitions, each as its own documentation shows it.

mod adaptive;
mod flows;
mod graph;
mod layers;
mod nesting;
mod nodes;
mod programs;
mod shared;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use paceline::RateLimitHit;
use paceline_flow::{Action, Cx, Node, Result};
use tokio::time::{Instant, sleep};

use crate::support::Service;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long a future takes on tokio's clock. One that takes a year hangs: the paused clock shows it at once.
async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let start = Instant::now();
    let output = tokio::time::timeout(secs(365 * 86_400), future).await.expect("it hangs");
    (output, start.elapsed())
}

/// Looks when that time has passed, with work left, and ends the work there.
async fn at<T>(time: Duration, work: impl Future, look: impl FnOnce() -> T) -> T {
    tokio::select! {
        biased;
        _ = work => panic!("there is no work left after {time:?}"),
        () = sleep(time) => look(),
    }
}

/// What the snippets call `shared`, and the services that their nodes call.
#[derive(Debug, Default)]
struct Shared {
    api: Service,
    llm: Service,
    store: Service,
    /// By the instance's parameter.
    results: Mutex<BTreeMap<u64, Vec<u64>>>,
}

/// A node that makes so many calls of a service for each instance, and keeps what they returned.
struct Calls {
    calls: u64,
    takes: Duration,
    service: fn(&Shared) -> &Service,
    says: &'static str,
}

impl Calls {
    fn of(service: fn(&Shared) -> &Service, calls: u64, takes: Duration) -> Self {
        Self { calls, takes, service, says: "default" }
    }

    fn saying(self, says: &'static str) -> Self {
        Self { says, ..self }
    }
}

impl Node for Calls {
    type Shared = Shared;
    type Params = u64;
    type Item = u64;
    type Output = u64;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
        Ok((0..self.calls).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, call: &u64) -> Result<u64> {
        (self.service)(cx.shared).call(self.takes).await;
        Ok(*call)
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<u64>, results: Vec<u64>) -> Result<Action> {
        cx.shared.results.lock().unwrap().insert(*cx.params, results);
        Ok(self.says.into())
    }
}

/// A service that refuses what is more than so many calls at once, and takes a second for the others.
#[derive(Debug)]
struct Capped {
    cap: AtomicUsize,
    inside: AtomicUsize,
    peak: AtomicUsize,
    refused: AtomicUsize,
}

impl Capped {
    fn at(cap: usize) -> Self {
        let [inside, peak, refused] = [0; 3].map(AtomicUsize::new);
        Self { cap: AtomicUsize::new(cap), inside, peak, refused }
    }

    /// What it says to one that is too many is what HTTP clients put into an exception's text.
    async fn call(&self) -> Result<()> {
        struct Leave<'a>(&'a AtomicUsize);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        let inside = self.inside.fetch_add(1, SeqCst) + 1;
        let _leaves = Leave(&self.inside);
        self.peak.fetch_max(inside, SeqCst);
        let refuses = inside > self.cap.load(SeqCst);
        sleep(if refuses { millis(10) } else { secs(1) }).await;
        if refuses {
            self.refused.fetch_add(1, SeqCst);
            return Err("HTTP/1.1 429 Too Many Requests".into());
        }
        Ok(())
    }

    /// The most at once since the last look.
    fn take_peak(&self) -> usize {
        self.peak.swap(0, SeqCst)
    }
}

/// `RateLimitHit("OpenAI rate limit exceeded", retry_after=30.0, source="openai")`.
fn hit() -> RateLimitHit {
    RateLimitHit::new("OpenAI rate limit exceeded").retry_after(secs(30)).caused_by("openai")
}
