//! The limits of a flow as a tree, and what they come to.

use std::sync::Arc;
use std::time::Duration;

use paceline::{Algorithm, LimitKind, LimitPool, LimitSet, Quota, Snapshot};

/// The limits of a flow and of all within it.
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

/// The most that can be in flight, and start in a minute; none where nothing bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) at_once: Option<u64>,
    pub(crate) per_minute: Option<u64>,
}

impl Reach {
    pub(super) const ANY: Self = Self { at_once: None, per_minute: None };
    pub(super) const NOTHING: Self = Self { at_once: Some(0), per_minute: Some(0) };

    /// Of two that overlap.
    pub(super) fn plus(self, other: Self) -> Self {
        let plus = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
        Self { at_once: plus(self.at_once, other.at_once), per_minute: plus(self.per_minute, other.per_minute) }
    }

    /// Of two that run one after another.
    fn then(self, other: Self) -> Self {
        let at_once = self.at_once.zip(other.at_once).map(|(a, b)| a.max(b));
        Self { at_once, ..self.plus(other) }
    }

    /// Of one that two bounds hold for.
    pub(super) fn least(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self { at_once: least(self.at_once, other.at_once), per_minute: least(self.per_minute, other.per_minute) }
    }

    pub(super) fn times(self, slots: u64) -> Self {
        let times = |of: Option<u64>| of.map(|of| of.saturating_mul(slots));
        Self { at_once: times(self.at_once), per_minute: times(self.per_minute) }
    }
}

impl Shape {
    /// What those nodes that are meant can do together, in one place.
    pub(super) fn reach(&self, is_meant: &dyn Fn(&NodeShape) -> bool) -> Reach {
        let within = |nodes: &[Self]| nodes.iter().map(|node| node.reach(is_meant)).fold(Reach::NOTHING, Reach::then);
        match self {
            Self::Node(node) if is_meant(node) => node.own(),
            Self::Node(_) => Reach::NOTHING,
            Self::Flow { nodes, .. } => within(nodes),
            Self::Batch { at_once, nodes, .. } => within(nodes).times(*at_once),
        }
    }

    /// All nodes, in their order.
    pub(super) fn nodes<'s>(&'s self, into: &mut Vec<&'s NodeShape>) {
        match self {
            Self::Node(node) => into.push(node),
            Self::Flow { nodes, .. } | Self::Batch { nodes, .. } => nodes.iter().for_each(|node| node.nodes(into)),
        }
    }
}

impl NodeShape {
    /// What it can do in one slot by its own limits.
    pub(super) fn own(&self) -> Reach {
        let per_minute = self.calls.iter().map(|quota| starts_in(quota, MINUTE)).min();
        Reach { at_once: self.at_once, per_minute }
    }

    /// What its shared limits leave it in all, each of them.
    pub(super) fn bounds(&self) -> impl Iterator<Item = Reach> {
        let pool = self.pool.iter().map(|pool| pool.members().iter().map(in_set).fold(Reach::NOTHING, Reach::plus));
        self.shared.iter().map(in_set).chain(pool)
    }
}

/// What a set allows whoever shares it.
pub(super) fn in_set(set: &LimitSet) -> Reach {
    let Snapshot { limits, feedback, .. } = set.snapshot();
    let resources = limits.iter().filter(|limit| limit.view.kind == LimitKind::Resource);
    // What is learnt may grow.
    let capacities = resources.map(|limit| match feedback.most {
        Some(most) if &*limit.key == "concurrency" => most,
        _ => limit.view.capacity,
    });
    let at_once = capacities.min().filter(|most| *most < u64::MAX);
    // Whether another key counts calls or units cannot be seen from here; without it the bound is only wider.
    let counts_calls = |key: &str| key == "calls" || key.starts_with("calls/");
    let quotas = limits.iter().filter(|limit| counts_calls(&limit.key)).filter_map(|limit| match limit.view.kind {
        LimitKind::Rate(quota) => Some(starts_in(&quota, MINUTE)),
        LimitKind::Resource => None,
    });
    Reach { at_once, per_minute: quotas.min() }
}

/// What quotas are compared in.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// The most units that a quota lets start in any window so long, as its algorithm guarantees.
pub(crate) fn starts_in(quota: &Quota, window: Duration) -> u64 {
    let (window, period) = (window.as_nanos(), quota.period().as_nanos().max(1));
    let amount = u128::from(quota.amount());
    let (whole, drained) = (window.div_ceil(period), (amount * window).div_ceil(period));
    let most = match quota.kind() {
        Algorithm::TokenBucket | Algorithm::Gcra => drained + u128::from(quota.capacity()),
        Algorithm::LeakyBucket => drained + 1,
        // Of a period it is sure of no more than twice the amount.
        Algorithm::SlidingCounter => 2 * amount * whole,
        // A window that begins within one of its own ends within another.
        Algorithm::FixedWindow => amount * (whole + 1),
        _ => amount * whole,
    };
    u64::try_from(most).unwrap_or(u64::MAX)
}
