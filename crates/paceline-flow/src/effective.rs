//! What the nesting of limits allows at most: in flight, and started in a minute.
//!
//! A slot runs one node at a time, so of its nodes the *largest* may be in flight; slots overlap, so theirs add up:
//!
//! ```text
//! at_once(node)  = its own limit in one slot
//! at_once(flow)  = max over its nodes                   one runs after another
//! at_once(batch) = slots × max over its nodes           slots overlap
//! ```
//!
//! Within a minute a slot may go through all of its nodes, so starts add up over nodes as well:
//!
//! ```text
//! per_minute(node)  = its own quota in one slot, as its algorithm guarantees it
//! per_minute(flow)  = sum over its nodes
//! per_minute(batch) = slots × sum over its nodes
//! ```
//!
//! That is why a service that two stages call is used by as many at once as the larger of them allows, but by the calls
//! of both in a minute. A shared set bounds what all of its nodes do together; batch flows that run beside each other
//! add up.
//!
//! No bound is made of how many instances start in a minute, since how many items each has is known only when it runs.
//! Threads of a [blocking](crate::Blocking) node that outlive their cancelled instance keep their permits, and may be
//! in flight beside the next node of that slot.

mod against;
mod draw;
mod shape;

use std::sync::Arc;

use crate::batch_flow::BatchFlow;
use crate::flow::Flow;

pub use against::{Finding, Measure, ServiceLimits};
pub(crate) use shape::{MINUTE, NodeShape, Shape, starts_in};
use shape::{Reach, in_set};

/// What a flow and all within it can do at most, by the limits at every level: a tree with numbers.
///
/// Made by [`BatchFlow::effective_limits`], [`Flow::effective_limits`] or, for flows that run beside each other,
/// [`together`](Self::together). How it is computed: in flight, one slot counts with the largest of its nodes, since it
/// runs one after another, and slots add up; in a minute, nodes and slots both add up. A shared set bounds what all of
/// its nodes do together.
///
/// ```
/// # use paceline_flow::{Cx, Node, Result};
/// use paceline_flow::{BatchFlow, Graph, Limits, ServiceLimits};
///
/// # macro_rules! nodes { ($($node:ident)*) => { $(struct $node; impl Node for $node {
/// #     type Shared = (); type Params = (); type Item = (); type Output = ();
/// #     async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> { Ok(vec![]) }
/// #     async fn exec(&self, _: Cx<'_, Self>, _: &()) -> Result<()> { Ok(()) }
/// # })* } }
/// # nodes!(Fetch Analyze);
/// let mut graph = Graph::new();
/// let fetch = graph.add(Fetch, Limits::concurrent(5).per_minute(100));
/// let analyze = graph.add(Analyze, Limits::concurrent(2).per_minute(60));
/// graph.then(fetch, analyze);
/// let flow = BatchFlow::over(graph.start(fetch)?).max_concurrent_flows(10).max_flows_per_minute(60).build()?;
///
/// let limits = flow
///     .effective_limits()
///     .against("storage", &["Fetch"], ServiceLimits::concurrent(50))
///     .against("llm", &["Analyze"], ServiceLimits::concurrent(16).per_minute(600));
/// assert_eq!((limits.at_once("Fetch"), limits.per_minute("Fetch")), (Some(50), Some(1_000)));
/// assert_eq!(limits.to_string(), "\
/// flow: 10 at once, 60 started a minute
/// ├─ Fetch: 5 at once, 100 a minute; in 10 slots 50 at once, 1000 a minute
/// └─ Analyze: 2 at once, 60 a minute; in 10 slots 20 at once, 600 a minute
/// storage (Fetch): 50 of 50 at once
/// llm (Analyze): 20 of 16 at once, 600 of 600 a minute
/// warning: `llm` allows 16 at once, and these limits let 20 through; it will refuse some. Lower the limit of a node or the \
/// number of slots, or let the nodes share one set of 16
/// ");
/// # Ok::<(), paceline_flow::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EffectiveLimits {
    tops: Vec<Shape>,
    services: Vec<Service>,
}

/// What is known of a service, and by which nodes it is called.
#[derive(Clone, Debug)]
struct Service {
    name: Arc<str>,
    nodes: Vec<Arc<str>>,
    allows: ServiceLimits,
    reach: Reach,
    /// A shared set keeps to its own limits, so nothing can be too much for it.
    is_set: bool,
}

impl EffectiveLimits {
    fn of(top: Shape) -> Self {
        Self { tops: vec![top], services: Vec::new() }.with_sets()
    }

    /// The same for flows that may run beside each other: what they do adds up.
    pub fn together(flows: impl IntoIterator<Item = Self>) -> Self {
        let tops = flows.into_iter().flat_map(|flow| flow.tops).collect();
        Self { tops, services: Vec::new() }.with_sets()
    }

    /// The names of all nodes; of a nested flow, with the names above them.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        let mut nodes = Vec::new();
        self.tops.iter().for_each(|top| top.nodes(&mut nodes));
        nodes.into_iter().map(|node| &*node.name)
    }

    /// How many calls of `node` may be in flight at most, in all slots; none where nothing bounds that, or there is no
    /// such node.
    #[must_use]
    pub fn at_once(&self, node: &str) -> Option<u64> {
        self.reach(&|name| name == node).at_once
    }

    /// How many calls of `node` may start in any minute, in all slots; none as for [`at_once`](Self::at_once).
    #[must_use]
    pub fn per_minute(&self, node: &str) -> Option<u64> {
        self.reach(&|name| name == node).per_minute
    }

    /// How many calls of all `nodes` together may be in flight at most: what a service sees that all of them call.
    #[must_use]
    pub fn at_once_of(&self, nodes: &[&str]) -> Option<u64> {
        self.reach(&|name| nodes.contains(&name)).at_once
    }

    /// How many calls of all `nodes` together may start in any minute.
    #[must_use]
    pub fn per_minute_of(&self, nodes: &[&str]) -> Option<u64> {
        self.reach(&|name| nodes.contains(&name)).per_minute
    }

    /// The same for all nodes that share the set of that name.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<ServiceLimits> {
        let service = self.services.iter().find(|service| service.is_set && &*service.name == name)?;
        Some(ServiceLimits { at_once: service.reach.at_once, per_minute: service.reach.per_minute })
    }

    fn reach(&self, is_meant: &dyn Fn(&str) -> bool) -> Reach {
        let mut nodes = Vec::new();
        self.tops.iter().for_each(|top| top.nodes(&mut nodes));
        let meant: Vec<_> = nodes.into_iter().filter(|node| is_meant(&node.name)).collect();
        if meant.is_empty() {
            return Reach::ANY;
        }
        // Beside each other, flows add up; and what the nodes do together cannot be more than each alone.
        let tops = self.tops.iter().map(|top| top.reach(&|node| is_meant(&node.name)));
        let whole = tops.fold(Reach::NOTHING, Reach::plus);
        let each = meant.iter().map(|node| {
            let alone = self.tops.iter().map(|top| top.reach(&|other| Arc::ptr_eq(&other.name, &node.name)));
            let alone = alone.fold(Reach::NOTHING, Reach::plus);
            node.bounds().fold(alone, Reach::least)
        });
        let each = each.fold(Reach::NOTHING, Reach::plus);
        let common =
            meant[0].shared.iter().filter(|set| meant.iter().all(|node| node.shared.iter().any(|own| own.is(set))));
        common.map(in_set).fold(whole.least(each), Reach::least)
    }
}

impl<S: Sync, P: Send + Sync> Flow<'_, S, P> {
    /// What it can do at most when it is run once.
    pub fn effective_limits(&self) -> EffectiveLimits {
        EffectiveLimits::of(Shape::Flow { name: "flow".into(), nodes: self.shapes() })
    }
}

impl<S: Sync, P: Send + Sync> BatchFlow<'_, S, P> {
    /// What it can do at most, all runs together.
    pub fn effective_limits(&self) -> EffectiveLimits {
        EffectiveLimits::of(self.shape_as(self.name()))
    }
}
