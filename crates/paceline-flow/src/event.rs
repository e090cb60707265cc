//! What a flow tells while it runs.

use crate::action::Action;
use crate::batch_flow::Outcome;
use crate::panics::guarded_now;

/// Something that happened in a flow. Of a nested flow the names of nodes are paths, `documents/fetch`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An instance of a batch flow begins; it has its slot.
    InstanceStarted {
        /// Its place in the parameters, from 0.
        instance: u64,
        /// Which attempt it is, where the flow tries again.
        attempt: u32,
    },
    /// A node begins.
    NodeStarted {
        /// The instance.
        instance: u64,
        /// The node.
        node: &'a str,
    },
    /// A node's items are known.
    Prepared {
        /// The instance.
        instance: u64,
        /// The node.
        node: &'a str,
        /// How many items there are.
        items: usize,
    },
    /// An attempt at an item has failed, and is made again.
    Retrying {
        /// The instance.
        instance: u64,
        /// The node.
        node: &'a str,
        /// The item.
        item: usize,
        /// The attempt that begins.
        attempt: u32,
    },
    /// An item has its result.
    ItemDone {
        /// The instance.
        instance: u64,
        /// The node.
        node: &'a str,
        /// The item.
        item: usize,
    },
    /// A node is done.
    NodeDone {
        /// The instance.
        instance: u64,
        /// The node.
        node: &'a str,
        /// What it said.
        action: &'a Action,
    },
    /// A node named an action that it has no edge for, though it has others: the flow ends there.
    NoSuchEdge {
        /// The instance.
        instance: u64,
        /// The node.
        node: &'a str,
        /// What it said.
        action: &'a Action,
    },
    /// An instance has ended.
    InstanceEnded {
        /// What became of it.
        outcome: &'a Outcome,
    },
}

/// Who is told of events.
pub(crate) struct Watch<'n>(Box<dyn Fn(&Event<'_>) + Send + Sync + 'n>);

impl<'n> Watch<'n> {
    pub(crate) fn new(told: impl Fn(&Event<'_>) + Send + Sync + 'n) -> Self {
        Self(Box::new(told))
    }

    /// One that panics harms nobody.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        if guarded_now(|| (self.0)(event)).is_err() {
            tracing::warn!("whoever is told of a flow's events panicked");
        }
    }
}
