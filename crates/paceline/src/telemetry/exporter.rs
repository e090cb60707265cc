//! The metrics that are read from snapshots.

use std::collections::HashMap;
use std::sync::Arc;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use paceline_core::Verdict;
use parking_lot::Mutex;

use super::names::fields::{LIMIT, SET, VERDICT};
use super::names::{self, metrics};
use crate::adapt::{Feedback, Verdicts};
use crate::set::{LimitSet, Snapshot};

/// Tells the recorder of the `metrics` crate how sets stand, from their snapshots.
///
/// [Export](Self::export) the sets that are to be seen whenever that is worth it: before each scrape, or every few
/// seconds. One exporter is enough for all of them; it remembers what it has told of each, since counters are told what
/// they rose by. A count that fell has begun anew, by [`reset_adaptive`](crate::LimitSet::reset_adaptive) or with a new
/// set in an old one's place, and is counted from zero.
///
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
/// use paceline::telemetry::Exporter;
/// use paceline::{LimitSet, Quota};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let prometheus = PrometheusBuilder::new().install_recorder()?;
/// let exporter = Exporter::default();
/// let api = LimitSet::builder("api").calls(Quota::per_minute(60)).concurrency(8).build()?;
/// let _permits = (api.try_acquire(())?, api.try_acquire(())?);
///
/// exporter.export(&api);                                      // once a scrape
/// let page = prometheus.render();
/// assert!(page.contains("paceline_admitted_total{set=\"api\"} 2"));
/// assert!(page.contains("paceline_limit_fill{set=\"api\",limit=\"concurrency\"} 0.25"));
/// # Ok(()) }
/// ```
///
/// Of a pool, export the [members](crate::LimitPool::members). Sets are told apart by their names: give each its own.
///
/// # Cost
///
/// A snapshot takes the set's lock once; an export some 15 look-ups in the recorder, and two for each limit. A series
/// for each of a million tenants is more than any monitor wants: export those that matter.
#[derive(Debug, Default)]
pub struct Exporter(Mutex<HashMap<Arc<str>, Counted>>);

/// What has been told of a set's counts.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    granted: u64,
    waits: u64,
    feedback: Feedback,
}

impl Exporter {
    /// Tells how a set stands. Install the recorder before the first time, which describes the metrics to it. A set that
    /// lives [elsewhere](super#elsewhere) and cannot be asked now is passed over until it can.
    pub fn export(&self, set: &LimitSet) {
        let mut told = self.0.lock();
        if told.is_empty() {
            describe();
        }
        // Under the lock: an older snapshot that is told after a newer one would pass for a count that began anew.
        let Ok(snapshot) = set.try_snapshot() else { return };
        let Snapshot { ref name, granted, waits, feedback, .. } = snapshot;
        let now = Counted { granted, waits, feedback };
        let before = told.insert(Arc::clone(name), now).unwrap_or_default();
        count(name, &before, &now);
        show(&snapshot);
    }
}

fn count(set: &Arc<str>, before: &Counted, now: &Counted) {
    let each = [
        (metrics::ADMITTED, before.granted, now.granted),
        (metrics::WAITED, before.waits, now.waits),
        (metrics::CUTS, before.feedback.cuts, now.feedback.cuts),
    ];
    for (name, before, now) in each {
        counter!(name, SET => Arc::clone(set)).increment(risen(before, now));
    }
    for ((verdict, before), (_, now)) in by_name(&before.feedback.verdicts).zip(by_name(&now.feedback.verdicts)) {
        counter!(metrics::VERDICTS, SET => Arc::clone(set), VERDICT => verdict).increment(risen(before, now));
    }
}

fn risen(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

fn by_name(verdicts: &Verdicts) -> impl Iterator<Item = (&'static str, u64)> {
    let Verdicts { success, rate_limited, overloaded, transient, permanent, cancelled } = *verdicts;
    let each = [
        (Verdict::Success, success),
        (Verdict::RateLimited { retry_after: None }, rate_limited),
        (Verdict::Overloaded, overloaded),
        (Verdict::Transient, transient),
        (Verdict::Permanent, permanent),
        (Verdict::Cancelled, cancelled),
    ];
    each.into_iter().map(|(verdict, count)| (names::verdict(verdict), count))
}

fn show(snapshot: &Snapshot) {
    let Snapshot { name: set, limits, waiting, active, members, feedback, paused, .. } = snapshot;
    gauge!(metrics::MEMBERS, SET => Arc::clone(set)).set(*members as f64);
    gauge!(metrics::IN_FLIGHT, SET => Arc::clone(set)).set(*active as f64);
    gauge!(metrics::WAITING, SET => Arc::clone(set)).set(*waiting as f64);
    gauge!(metrics::PAUSED, SET => Arc::clone(set)).set(paused.unwrap_or_default());
    if let Some(level) = feedback.level {
        gauge!(metrics::LEVEL, SET => Arc::clone(set)).set(level as f64);
    }
    for limit in limits {
        let labels = [(SET, Arc::clone(set)), (LIMIT, Arc::clone(&limit.key))];
        gauge!(metrics::FILL, &labels).set(limit.view.fill());
        gauge!(metrics::CAPACITY, &labels).set(limit.view.capacity as f64);
    }
}

fn describe() {
    describe_counter!(metrics::ADMITTED, Unit::Count, "Demands granted.");
    describe_counter!(metrics::WAITED, Unit::Count, "Demands granted that had to wait.");
    describe_counter!(metrics::VERDICTS, Unit::Count, "Attempts, by how they ended.");
    describe_counter!(metrics::CUTS, Unit::Count, "How often controllers cut.");
    describe_counter!(metrics::RETRIES, Unit::Count, "Attempts beyond their call's first.");
    describe_gauge!(metrics::IN_FLIGHT, Unit::Count, "Permits that are out.");
    describe_gauge!(metrics::WAITING, Unit::Count, "Demands that wait.");
    describe_gauge!(metrics::MEMBERS, Unit::Count, "Processes or clients that share the set.");
    describe_gauge!(metrics::LEVEL, Unit::Count, "How many the controller lets be in flight.");
    describe_gauge!(metrics::PAUSED, Unit::Seconds, "How long the gate stays closed.");
    describe_gauge!(metrics::FILL, "Units in use as a share of what can be used: 1 is full, more is debt.");
    describe_gauge!(metrics::CAPACITY, Unit::Count, "The most units that one demand can ask for.");
    describe_histogram!(metrics::WAIT_SECONDS, Unit::Seconds, "How long those waited who had to and were granted.");
    describe_histogram!(metrics::CALL_SECONDS, Unit::Seconds, "How long attempts took, by how they ended.");
}
