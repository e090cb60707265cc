//! What the nesting of limits allows at most.

use std::sync::Arc;
use std::time::Duration;

use paceline::{LimitPool, LimitSet, Quota};

/// The limits of a flow and of all within it, as a tree.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A node.
    Node(NodeShape),
    /// A flow that runs once in each place.
    Flow { name: Arc<str>, nodes: Vec<Shape> },
    /// A flow that runs so many times at once in each place.
    Batch { name: Arc<str>, at_once: u64, per_minute: Option<u64>, nodes: Vec<Shape> },
}

/// The limits of a node, in each slot.
#[derive(Clone, Debug)]
pub(crate) struct NodeShape {
    pub(crate) name: Arc<str>,
    pub(crate) at_once: Option<u64>,
    pub(crate) calls: Vec<Quota>,
    pub(crate) shared: Vec<LimitSet>,
    pub(crate) pool: Option<LimitPool>,
}

/// What quotas of minutes are told in.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The most calls that a quota lets start in any window so long.
pub(crate) fn starts_in(quota: &Quota, window: Duration) -> u64 {
    let periods = window.as_nanos().div_ceil(quota.period().as_nanos().max(1)).max(1);
    quota.capacity().saturating_mul(u64::try_from(periods).unwrap_or(u64::MAX))
}
