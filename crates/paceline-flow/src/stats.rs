//! What nodes and flows count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use paceline::{LimitSet, Verdict};

/// A node's figures, all slots and runs together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeStats {
    /// Its name; of a nested flow, with the names above it.
    pub node: Arc<str>,
    /// How many calls each slot may have under way: what was stated, or the most that is learnt. None: any number.
    pub max_concurrent: Option<u64>,
    /// How many calls a minute each slot may start, if that is limited.
    pub max_per_minute: Option<u64>,
    /// Slots that were made so far, each with a copy of the limits.
    pub slots: u64,
    /// What all slots together let be under way now: learnt, or stated. None: any number.
    pub current_concurrent: Option<u64>,
    /// Calls that stand in the windows of all slots now.
    pub window_count: u64,
    /// How often the slots' controllers cut.
    pub cuts: u64,
    /// Calls under way now.
    pub in_flight: u64,
    /// The most that were under way at once.
    pub peak_in_flight: u64,
    /// How often the node was begun.
    pub runs: u64,
    /// Items that were begun.
    pub items: u64,
    /// Items that have their result.
    pub completed: u64,
    /// Items that have failed for good.
    pub failed: u64,
    /// Items that have their result from the fallback.
    pub fallbacks: u64,
    /// Attempts that were made.
    pub attempts: u64,
    /// Attempts that were refused for their rate.
    pub rate_limit_hits: u64,
    /// How long attempts waited for limits, together.
    pub waited: Duration,
}

impl NodeStats {
    pub(crate) fn of(node: &Arc<str>) -> Self {
        Self { node: Arc::clone(node), ..Self::default() }
    }

    /// Attempts beside the first of each item.
    #[must_use]
    pub fn total_retries(&self) -> u64 {
        self.attempts.saturating_sub(self.items)
    }

    /// The share of what all slots may start in a minute that stands in their windows now; none where that is not limited.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let most = self.max_per_minute?.saturating_mul(self.slots).max(1);
        Some(self.window_count as f64 / most as f64)
    }
}

/// Counts of a node.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) runs: Count,
    pub(crate) items: Count,
    pub(crate) completed: Count,
    pub(crate) failed: Count,
    pub(crate) fallbacks: Count,
    attempts: Count,
    rate_limit_hits: Count,
    waited: Count,
    in_flight: AtomicU64,
    peak: AtomicU64,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(crate) fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// An attempt under way.
pub(crate) struct InFlight<'a>(&'a Counters);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    pub(crate) fn attempt(&self, waited: Duration) -> InFlight<'_> {
        self.attempts.add(1);
        self.waited.add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(now, Relaxed);
        InFlight(self)
    }

    pub(crate) fn ended(&self, verdict: Verdict) {
        if matches!(verdict, Verdict::RateLimited { .. }) {
            self.rate_limit_hits.add(1);
        }
    }

    /// Counts anew; what is under way stays so.
    pub(crate) fn reset(&self) {
        let Self { runs, items, completed, failed, fallbacks, attempts, rate_limit_hits, waited, .. } = self;
        for count in [runs, items, completed, failed, fallbacks, attempts, rate_limit_hits, waited] {
            count.reset();
        }
        self.peak.store(self.in_flight.load(Relaxed), Relaxed);
    }

    pub(crate) fn fill(&self, stats: &mut NodeStats) {
        stats.in_flight = self.in_flight.load(Relaxed);
        stats.peak_in_flight = self.peak.load(Relaxed);
        stats.runs = self.runs.get();
        stats.items = self.items.get();
        stats.completed = self.completed.get();
        stats.failed = self.failed.get();
        stats.fallbacks = self.fallbacks.get();
        stats.attempts = self.attempts.get();
        stats.rate_limit_hits = self.rate_limit_hits.get();
        stats.waited = Duration::from_nanos(self.waited.get());
    }
}

/// The figures of one slot's own set, added to those of the others.
pub(crate) fn add_slot(stats: &mut NodeStats, own: Option<&LimitSet>) {
    stats.slots += 1;
    let Some(own) = own else { return };
    let snapshot = own.snapshot();
    stats.window_count += snapshot.limit("calls").map_or(0, |limit| limit.used);
    if let Some(limit) = snapshot.limit("concurrency") {
        *stats.current_concurrent.get_or_insert(0) += limit.capacity;
    }
    stats.cuts += snapshot.feedback.cuts;
}
