//! Simulated services: what they admit, how long they take, how requests get there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use paceline_core::{Time, Verdict};
use rand::Rng;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, LogNormal};

/// What a service admits; what it does not admit it answers with a 429 at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everything.
    Open,
    /// So many at once.
    Cap(usize),
    /// A bucket of `burst` that `rate` units a second refill.
    Bucket {
        /// Units a second.
        rate: u64,
        /// Units it holds.
        burst: u64,
    },
    /// A strict sliding window.
    Window {
        /// Requests in any window.
        amount: usize,
        /// The window's length.
        period: Duration,
        /// Whether those it refuses count too.
        counts_refused: bool,
    },
    /// Everything, one after the other by so many workers.
    Workers(usize),
    /// Nothing: all is a 503.
    Down,
    /// Nothing: all is a 429.
    Shut,
}

/// How long work takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Latency {
    /// About so long: a twentieth more or less.
    About(Duration),
    /// Lognormal.
    LogNormal {
        /// Half take longer.
        median: Duration,
        /// Deviation of the logarithm.
        sigma: f64,
    },
}

/// A service and the way to it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// What it admits.
    pub rule: Rule,
    /// How long work takes.
    pub work: Latency,
    /// A request is on its way for at least half of this, and so is its answer.
    pub network: Duration,
    /// A request is on its way for up to so much longer, evenly distributed.
    pub jitter: Duration,
    /// What its 429s ask to wait.
    pub retry_after: Option<Duration>,
}

/// The service admits by another rule or works at another speed from here on.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// When.
    pub at: Duration,
    /// By this rule.
    pub rule: Rule,
    /// At this speed.
    pub work: Latency,
}

/// A service at work.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) service: Service,
    /// When those that are in it leave it.
    inside: BinaryHeap<Reverse<Time>>,
    /// What counts in the window, oldest first.
    counted: VecDeque<Time>,
    /// Free units of the bucket, and when that was true.
    bucket: Option<(f64, Time)>,
}

impl Latency {
    fn draw(self, rng: &mut SmallRng) -> Duration {
        match self {
            Self::About(time) => time.mul_f64(rng.random_range(0.95..1.05)),
            Self::LogNormal { median, sigma } => {
                let mu = median.as_secs_f64().ln();
                let draw = LogNormal::new(mu, sigma).map_or(median.as_secs_f64(), |it| it.sample(rng));
                Duration::from_secs_f64(draw)
            }
        }
    }
}

impl Running {
    pub(super) fn new(service: Service) -> Self {
        Self { service, inside: BinaryHeap::new(), counted: VecDeque::new(), bucket: None }
    }

    /// How long a request that leaves now is on its way.
    pub(super) fn way_there(&self, rng: &mut SmallRng) -> Duration {
        self.service.network / 2 + self.service.jitter.mul_f64(rng.random_range(0.0..1.0))
    }

    /// A request arrives: what it comes to, and after how long the answer leaves.
    pub(super) fn arrive(&mut self, now: Time, rng: &mut SmallRng) -> (Verdict, Duration) {
        while self.inside.peek().is_some_and(|Reverse(leaves)| *leaves <= now) {
            self.inside.pop();
        }
        let mut work = self.service.work.draw(rng);
        let admitted = match self.service.rule {
            Rule::Open => true,
            Rule::Cap(cap) => self.inside.len() < cap,
            Rule::Bucket { rate, burst } => self.take(now, rate as f64, burst as f64),
            Rule::Window { amount, period, counts_refused } => self.count(now, amount, period, counts_refused),
            Rule::Workers(workers) => {
                work += self.queued(now, workers);
                true
            }
            Rule::Down => return (Verdict::Overloaded, Duration::ZERO),
            Rule::Shut => false,
        };
        if !admitted {
            return (Verdict::RateLimited { retry_after: self.service.retry_after }, Duration::ZERO);
        }
        self.inside.push(Reverse(now + work));
        (Verdict::Success, work)
    }

    fn take(&mut self, now: Time, rate: f64, burst: f64) -> bool {
        let (free, at) = self.bucket.unwrap_or((burst, now));
        let free = (free + now.since(at).as_secs_f64() * rate).min(burst);
        let admitted = free >= 1.0;
        self.bucket = Some((if admitted { free - 1.0 } else { free }, now));
        admitted
    }

    fn count(&mut self, now: Time, amount: usize, period: Duration, counts_refused: bool) -> bool {
        while self.counted.front().is_some_and(|&at| now.since(at) >= period) {
            self.counted.pop_front();
        }
        let admitted = self.counted.len() < amount;
        if admitted || counts_refused {
            self.counted.push_back(now);
        }
        admitted
    }

    /// How long until a worker is free: those inside leave one by one.
    fn queued(&self, now: Time, workers: usize) -> Duration {
        let mut leaving: Vec<_> = self.inside.iter().map(|Reverse(leaves)| *leaves).collect();
        leaving.sort_unstable();
        let ahead = leaving.len().checked_sub(workers);
        ahead.map_or(Duration::ZERO, |ahead| leaving[ahead].since(now))
    }
}
