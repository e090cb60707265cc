//! What a batch flow counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{BatchFlow, Ending, Shop};
use crate::stage::Slot;
use crate::stats::{Count, NodeStats};

/// A batch flow's figures, all runs together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowStats {
    /// Instances that may run at once: what was stated, or the most that is learnt. Of a nested flow, in each place
    /// where it runs.
    pub max_concurrent_flows: u64,
    /// Instances that may start in a minute, if that is limited.
    pub max_flows_per_minute: Option<u64>,
    /// Instances that may run at once now: learnt, or stated.
    pub current_concurrent: u64,
    /// Instances that stand in the window now.
    pub window_count: u64,
    /// How often the controller cut.
    pub cuts: u64,
    /// Slots that were made so far.
    pub slots: u64,
    /// Instances that run now.
    pub running: u64,
    /// The most that ran at once.
    pub peak_running: u64,
    /// Instances that came to their end.
    pub completed: u64,
    /// Instances of which a node failed for good.
    pub failed: u64,
    /// Instances that ended with a rate limit that was handed on.
    pub rate_limited: u64,
    /// Instances that were given up.
    pub cancelled: u64,
    /// How often instances were begun, each attempt counted.
    pub attempts: u64,
    /// Attempts that ended with a rate limit that was handed on.
    pub rate_limit_hits: u64,
}

impl FlowStats {
    /// The share of what may start in a minute that stands in the window now; none where that is not limited.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let most = self.max_flows_per_minute?.max(1);
        Some(self.window_count as f64 / most as f64)
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    completed: Count,
    failed: Count,
    rate_limited: Count,
    cancelled: Count,
    attempts: Count,
    pub(super) rate_limit_hits: Count,
    running: AtomicU64,
    peak: AtomicU64,
}

/// An instance that runs.
pub(super) struct Running<'a>(&'a Counts);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Relaxed);
    }
}

impl Counts {
    pub(super) fn begin(&self) -> Running<'_> {
        self.attempts.add(1);
        let now = self.running.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(now, Relaxed);
        Running(self)
    }

    pub(super) fn ended(&self, ending: &Ending) {
        match ending {
            Ending::Completed { .. } => &self.completed,
            Ending::Failed(_) => &self.failed,
            Ending::RateLimited(_) => &self.rate_limited,
            Ending::Cancelled { .. } => &self.cancelled,
        }
        .add(1);
    }

    fn reset(&self) {
        let Self { completed, failed, rate_limited, cancelled, attempts, rate_limit_hits, .. } = self;
        for count in [completed, failed, rate_limited, cancelled, attempts, rate_limit_hits] {
            count.reset();
        }
        self.peak.store(self.running.load(Relaxed), Relaxed);
    }
}

impl<S: Sync, P: Send + Sync> BatchFlow<'_, S, P> {
    /// What it has counted itself.
    #[must_use]
    pub fn stats(&self) -> FlowStats {
        let mut stats = FlowStats {
            max_concurrent_flows: self.slots,
            max_flows_per_minute: self.per_minute,
            running: self.counts.running.load(Relaxed),
            peak_running: self.counts.peak.load(Relaxed),
            completed: self.counts.completed.get(),
            failed: self.counts.failed.get(),
            rate_limited: self.counts.rate_limited.get(),
            cancelled: self.counts.cancelled.get(),
            attempts: self.counts.attempts.get(),
            rate_limit_hits: self.counts.rate_limit_hits.get(),
            slots: self.shop.all().len() as u64,
            ..FlowStats::default()
        };
        let snapshot = self.shop.limits.snapshot();
        stats.current_concurrent = snapshot.limit("concurrency").map_or(0, |limit| limit.capacity);
        stats.window_count = snapshot.limit("calls").map_or(0, |limit| limit.used);
        stats.cuts = snapshot.feedback.cuts;
        stats
    }

    /// What every node has counted in its runs.
    #[must_use]
    pub fn node_stats(&self) -> Vec<NodeStats> {
        self.node_stats_in(&[&self.shop])
    }

    /// Counts anew, and lets the limits of the flow and of all slots forget what they were charged and have learnt.
    /// Shared sets are left alone.
    pub fn reset(&self) {
        self.reset_in(&[&self.shop]);
    }

    pub(crate) fn node_stats_in(&self, shops: &[&Shop]) -> Vec<NodeStats> {
        let slots: Vec<_> = shops.iter().flat_map(|shop| shop.all()).collect();
        self.flow.stats_of(&slots.iter().map(|slot| &**slot).collect::<Vec<&Slot>>())
    }

    pub(crate) fn reset_in(&self, shops: &[&Shop]) {
        self.counts.reset();
        for shop in shops {
            // They are of this process, where neither can fail.
            let _ = shop.limits.reset();
            let _ = shop.limits.reset_adaptive();
        }
        let slots: Vec<_> = shops.iter().flat_map(|shop| shop.all()).collect();
        self.flow.reset_of(&slots.iter().map(|slot| &**slot).collect::<Vec<&Slot>>());
    }
}
