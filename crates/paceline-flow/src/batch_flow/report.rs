//! What became of all instances.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Ending, Outcome};
use crate::action::Action;

/// How many warnings are kept: actions may be made of anything, and memory is not to grow with the instances.
const KINDS: usize = 100;

/// What became of all instances of a run.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "instances may have failed"]
pub struct Report {
    /// Instances that came to their end.
    pub completed: u64,
    /// Instances of which a node failed for good.
    pub failed: u64,
    /// Instances that ended with a rate limit that was handed on.
    pub rate_limited: u64,
    /// Instances that were given up after they had begun.
    pub cancelled: u64,
    /// Instances that were given up before they had begun. Of an iterator that does not say how many there are at most,
    /// only those that were taken from it.
    pub not_begun: u64,
    /// Each instance that had begun and did not come to its end, as they ended.
    pub failures: Vec<Outcome>,
    /// Actions that nodes named without an edge for them, the first hundred of them.
    pub warnings: Vec<Warning>,
    /// What the flow's post said.
    pub action: Action,
    /// How long the run took.
    pub took: Duration,
}

/// A node named an action that it has no edge for, though it has others: the instances ended there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The node.
    pub node: Arc<str>,
    /// What it said.
    pub action: Action,
    /// The actions it has edges for.
    pub known: Vec<Action>,
    /// How many instances ended so.
    pub instances: u64,
}

impl Report {
    pub(super) fn count(&mut self, outcome: Outcome) {
        *match &outcome.ending {
            Ending::Completed { .. } => return self.completed += 1,
            Ending::Cancelled { begun: false } => return self.not_begun += 1,
            Ending::Failed(_) => &mut self.failed,
            Ending::RateLimited(_) => &mut self.rate_limited,
            Ending::Cancelled { begun: true } => &mut self.cancelled,
        } += 1;
        self.failures.push(outcome);
    }

    /// Instances in all.
    #[must_use]
    pub fn instances(&self) -> u64 {
        self.completed + self.failed + self.rate_limited + self.cancelled + self.not_begun
    }

    /// Whether every instance came to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.completed == self.instances()
    }
}

/// In a line, and a line for each failure and warning.
///
/// ```
/// use paceline_flow::Report;
/// use std::time::Duration;
///
/// let mut report = Report::default();
/// (report.completed, report.not_begun, report.took) = (98, 2, Duration::from_nanos(73_612_345_678));
/// assert_eq!(report.to_string(), "98 of 100 completed, 2 not begun in 73.6s");
/// ```
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} completed", self.completed, self.instances())?;
        let others = [
            (self.failed, "failed"),
            (self.rate_limited, "rate limited"),
            (self.cancelled, "cancelled"),
            (self.not_begun, "not begun"),
        ];
        for (count, what) in others.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        write!(f, " in {:.1?}", self.took)?;
        for outcome in &self.failures {
            write!(f, "\n  {}", outcome.label.as_ref().map_or_else(|| outcome.instance.to_string(), String::clone))?;
            match outcome.failure() {
                Some(failure) => write!(f, ": {failure}")?,
                None => f.write_str(": cancelled")?,
            }
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\n  {warning}"))
    }
}

impl Warning {
    /// Counts an instance that ended so; the first of a kind is told.
    pub(crate) fn note(all: &Mutex<Vec<Self>>, node: &Arc<str>, action: &Action, edges: &[(Action, usize)]) {
        let mut all = all.lock();
        if let Some(known) = all.iter_mut().find(|warning| warning.node == *node && warning.action == *action) {
            known.instances += 1;
            return;
        }
        if all.len() >= KINDS {
            return;
        }
        let known = edges.iter().map(|(action, _)| action.clone()).collect();
        let warning = Self { node: Arc::clone(node), action: action.clone(), known, instances: 1 };
        let text = warning.to_string();
        all.push(warning);
        drop(all);
        tracing::warn!(node = &**node, action = action.name(), "{text}");
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = self.known.iter().map(|action| format!("\"{action}\"")).collect();
        let (node, action) = (&self.node, &self.action);
        write!(
            f,
            "`{node}` said \"{action}\", for which it has no edge (it has {}); the flow ended there",
            known.join(", ")
        )
    }
}
