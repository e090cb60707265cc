//! A simulated service, and nodes that call it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use paceline_flow::{Action, BoxError, Cx, Flow, Graph, Limits, Node, Result};
use tokio::time::Instant;

/// A service that says nothing and counts everything.
#[derive(Debug, Default)]
pub(crate) struct Service(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    now: usize,
    peak: usize,
    calls: usize,
    /// When calls of the last minute came.
    window: VecDeque<Instant>,
    fullest: usize,
}

struct Inside<'a>(&'a Service);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().now -= 1;
    }
}

impl Service {
    pub(crate) async fn call(&self, takes: Duration) {
        let _inside = self.enter();
        tokio::time::sleep(takes).await;
    }

    fn enter(&self) -> Inside<'_> {
        let mut seen = self.0.lock().unwrap();
        seen.now += 1;
        seen.calls += 1;
        seen.peak = seen.peak.max(seen.now);
        let now = Instant::now();
        seen.window.push_back(now);
        while seen.window.front().is_some_and(|first| now - *first >= Duration::from_secs(60)) {
            seen.window.pop_front();
        }
        seen.fullest = seen.fullest.max(seen.window.len());
        Inside(self)
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.lock().unwrap().peak
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn now(&self) -> usize {
        self.0.lock().unwrap().now
    }

    /// The most calls in any minute.
    pub(crate) fn fullest_minute(&self) -> usize {
        self.0.lock().unwrap().fullest
    }
}

/// A number that looks random and is the same each time.
pub(crate) fn scatter(seed: u64) -> u64 {
    // SplitMix64 (Steele, Lea and Flood, 2014).
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What nodes of these tests share.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) service: Service,
    /// What posts were given: the instance's parameters and the outputs.
    pub(crate) posts: Mutex<Vec<(u64, Vec<u64>)>>,
}

/// Which call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Which {
    pub(crate) params: u64,
    pub(crate) item: u64,
    pub(crate) attempt: u32,
}

/// What a call does.
pub(crate) enum Act {
    /// Takes so many milliseconds and succeeds.
    Take(u64),
    /// Takes so many milliseconds and fails.
    Fail(u64, BoxError),
}

type Acts<'n> = Box<dyn Fn(Which) -> Act + Send + Sync + 'n>;

/// A node that calls the service for each of its items, and does as it is told.
pub(crate) struct Job<'n> {
    items: u64,
    act: Acts<'n>,
    says: &'static str,
    rescue: Option<u64>,
    tokens: u64,
}

impl<'n> Job<'n> {
    pub(crate) fn new(items: u64, act: impl Fn(Which) -> Act + Send + Sync + 'n) -> Self {
        Self { items, act: Box::new(act), says: "default", rescue: None, tokens: 0 }
    }

    /// One that takes so many milliseconds an item.
    pub(crate) fn taking(items: u64, millis: u64) -> Self {
        Self::new(items, move |_| Act::Take(millis))
    }

    pub(crate) fn saying(mut self, action: &'static str) -> Self {
        self.says = action;
        self
    }

    /// Has a fallback that yields this.
    pub(crate) fn rescued_by(mut self, output: u64) -> Self {
        self.rescue = Some(output);
        self
    }

    /// Asks for so many tokens an item.
    pub(crate) fn costing(mut self, tokens: u64) -> Self {
        self.tokens = tokens;
        self
    }
}

impl Node for Job<'_> {
    type Shared = World;
    type Params = u64;
    type Item = u64;
    type Output = u64;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
        Ok((0..self.items).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, item: &u64) -> Result<u64> {
        match (self.act)(Which { params: *cx.params, item: *item, attempt: cx.attempt() }) {
            Act::Take(millis) => {
                cx.shared.service.call(Duration::from_millis(millis)).await;
                Ok(*item)
            }
            Act::Fail(millis, error) => {
                cx.shared.service.call(Duration::from_millis(millis)).await;
                Err(error)
            }
        }
    }

    async fn fallback(&self, _: Cx<'_, Self>, _: &u64, error: BoxError) -> Result<u64> {
        self.rescue.ok_or(error)
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<u64>, outputs: Vec<u64>) -> Result<Action> {
        cx.shared.posts.lock().unwrap().push((*cx.params, outputs));
        Ok(self.says.into())
    }

    fn cost(&self, _: Cx<'_, Self>, _: &u64) -> Vec<(&'static str, u64)> {
        if self.tokens == 0 { Vec::new() } else { vec![("tokens", self.tokens)] }
    }
}

/// A flow of one node.
pub(crate) fn only<'n>(job: Job<'n>, limits: Limits) -> Flow<'n, World, u64> {
    let mut graph = Graph::new();
    let job = graph.add(job, limits);
    graph.start(job).unwrap()
}
