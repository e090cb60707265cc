//! What is wrong with a graph or a flow, found when it is built.

use std::sync::Arc;

use crate::action::Action;
use crate::batch_flow::Report;
use crate::failure::{BoxError, Failure};

/// What is wrong with a graph or a flow, or what went wrong with a flow as a whole. What becomes of single instances is
/// in the [report](Report).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An edge or a start names a node of another graph.
    #[error("{place} names a node that is not of this graph; use the handles that its own `add` returned")]
    ForeignNode {
        /// Where it was named.
        place: String,
    },
    /// Two edges for one action.
    #[error("`{node}` has two edges for the action \"{action}\", to `{first}` and to `{second}`; leave one out")]
    DuplicateEdge {
        /// The node they leave.
        node: Arc<str>,
        /// The action.
        action: Action,
        /// Where the first leads.
        first: Arc<str>,
        /// Where the second leads.
        second: Arc<str>,
    },
    /// Nodes that no edge leads to.
    #[error("no way leads from `{start}` to {}; add an edge, or leave them out", list(.nodes))]
    Unreachable {
        /// Where the flow starts.
        start: Arc<str>,
        /// The nodes that are never reached.
        nodes: Vec<Arc<str>>,
    },
    /// Limits of a node that cannot be kept.
    #[error("the limits of `{node}`: {source}")]
    Limits {
        /// The node.
        node: Arc<str>,
        /// What is wrong with them.
        source: paceline::Error,
    },
    /// A timeout of nothing.
    #[error("`{node}` has a timeout of zero, in which nothing can be done; give it one, or leave it out")]
    Timeout {
        /// The node.
        node: Arc<str>,
    },
    /// A pool beside a shared set.
    #[error(
        "`{node}` has a pool and a shared set, which cannot be acquired together; put the set's limits into the pool's members"
    )]
    PoolAndSet {
        /// The node.
        node: Arc<str>,
    },
    /// Limits of a flow that cannot be kept.
    #[error("the limits of the flow: {0}")]
    FlowLimits(paceline::Error),
    /// A batch flow that was run without anything to run for.
    #[error("this batch flow has no prep; give it one, or hand the parameters to `run_over`")]
    NoPrep,
    /// The flow's own prep failed: there are no instances.
    #[error("the flow's prep: {0}")]
    Prep(#[source] BoxError),
    /// The flow's own post failed; what became of the instances is not lost.
    #[error("the flow's post: {source}")]
    Post {
        /// Why.
        source: BoxError,
        /// What became of the instances.
        report: Box<Report>,
    },
    /// A flow that was run once has failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

fn list(names: &[Arc<str>]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
