//! A node of a graph with its types erased: what a flow needs of it.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::action::Action;
use crate::batch_flow::Shop;
use crate::context::Context;
use crate::effective::Shape;
use crate::failure::Failure;
use crate::lane::Lane;
use crate::stats::NodeStats;

/// A slot: a copy of the limits of every node, for one instance at a time.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) desks: Vec<Desk>,
}

/// What a slot has for one node.
#[derive(Debug)]
pub(crate) enum Desk {
    /// Of a node: its limits.
    Lane(Lane),
    /// Of a nested flow: a slot of that.
    Slot(Slot),
    /// Of a nested batch flow: its limits, and as many slots as it needs.
    Shop(Shop),
}

/// A node of a graph: one of the user's, or a nested flow. Boxed once a run of the node, never once an item.
pub(crate) trait Stage<S, P>: Send + Sync {
    /// Runs it for one instance. `desk` is one that it opened itself.
    fn run<'a>(&'a self, desk: &'a Desk, cx: Context<'a, S, P>) -> BoxFuture<'a, Result<Action, Failure>>;

    /// What another slot needs for it.
    fn open(&self) -> Desk;

    /// Puts a name before its own, where its flow is nested in another.
    fn rename(&mut self, name: &Arc<str>);

    /// Adds its figures, over all its desks.
    fn stats(&self, desks: &[&Desk], into: &mut Vec<NodeStats>);

    /// Counts anew, and forgets what limits were charged and have learnt.
    fn reset(&self, desks: &[&Desk]);

    /// Its limits, for [`EffectiveLimits`](crate::EffectiveLimits).
    fn shape(&self) -> Shape;

    /// Itself in a diagram, as the node `id`.
    fn chart(&self, text: &mut String, id: &str, depth: usize);
}
