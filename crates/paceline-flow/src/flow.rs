//! A graph that can be run: once, or by a batch flow for many sets of parameters.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::action::Action;
use crate::batch_flow::{Ended, Warning};
use crate::context::Context;
use crate::effective::Shape;
use crate::error::Error;
use crate::event::{Event, Watch};
use crate::failure::{Failure, Result};
use crate::stage::{Desk, Slot, Stage};
use crate::stats::NodeStats;

/// A graph with a start, checked: made by [`Graph::start`](crate::Graph::start).
///
/// [`run`](Self::run) goes through it once; a [`BatchFlow`](crate::BatchFlow) goes through it for many sets of
/// parameters.
#[must_use = "a flow does nothing until it is run"]
pub struct Flow<'n, S, P> {
    pub(crate) nodes: Vec<Joined<'n, S, P>>,
    pub(crate) start: usize,
    watch: Option<Watch<'n>>,
    /// That of runs that are nobody's batch.
    slot: Arc<Slot>,
}

/// A node with its edges.
pub(crate) struct Joined<'n, S, P> {
    /// What its graph calls it; `name` is the way to it, where that is nested.
    own: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) stage: Box<dyn Stage<S, P> + 'n>,
    pub(crate) edges: Vec<(Action, usize)>,
}

impl<'n, S, P> Joined<'n, S, P> {
    pub(crate) fn new(own: Arc<str>, stage: Box<dyn Stage<S, P> + 'n>) -> Self {
        Self { name: Arc::clone(&own), own, stage, edges: Vec::new() }
    }
}

impl<'n, S: Sync, P: Send + Sync> Flow<'n, S, P> {
    pub(crate) fn new(nodes: Vec<Joined<'n, S, P>>, start: usize) -> Self {
        let slot = Arc::new(open(&nodes));
        Self { nodes, start, watch: None, slot }
    }

    /// Calls `told` for each [`Event`], where it happens: it should be quick. One that panics harms nobody.
    pub fn on_event(mut self, told: impl Fn(&Event<'_>) + Send + Sync + 'n) -> Self {
        self.watch = Some(Watch::new(told));
        self
    }

    /// Goes through the graph once: the action that its last node named.
    ///
    /// A flow has one copy of each node's limits for this; runs at the same time share them.
    ///
    /// ```
    /// use paceline_flow::{Action, Cx, Graph, Limits, Node, Result};
    /// use std::sync::Mutex;
    ///
    /// struct Translate;
    ///
    /// impl Node for Translate {
    ///     type Shared = Mutex<Vec<String>>;
    ///     type Params = &'static str;
    ///     type Item = &'static str;
    ///     type Output = String;
    ///
    ///     async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<&'static str>> {
    ///         Ok(cx.params.split(' ').collect())
    ///     }
    ///
    ///     async fn exec(&self, _: Cx<'_, Self>, word: &&'static str) -> Result<String> {
    ///         Ok(word.to_uppercase())
    ///     }
    ///
    ///     async fn post(&self, cx: Cx<'_, Self>, _: Vec<&str>, words: Vec<String>) -> Result<Action> {
    ///         cx.shared.lock().unwrap().extend(words);
    ///         Ok(Action::DEFAULT)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let mut graph = Graph::new();
    /// let translate = graph.add(Translate, Limits::concurrent(5).per_minute(60));
    /// let flow = graph.start(translate)?;
    /// let shared = Mutex::new(Vec::new());
    /// flow.run(&shared, "why is the sky blue").await?;
    /// assert_eq!(shared.into_inner()?.join(" "), "WHY IS THE SKY BLUE");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Failed`] says which node failed, at which item and why.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends it where it stands; all permits come back. What nodes have written to the shared state stays.
    pub async fn run(&self, shared: &S, params: P) -> Result<Action, Error> {
        let cx = Context::of_run(shared, &params, 0, self.watch.as_ref());
        let warnings = Mutex::default();
        Ok(self.walk(&self.slot, cx, &warnings).await?.action)
    }

    /// Goes from node to node, for one instance in one slot.
    pub(crate) async fn walk<'a>(
        &'a self,
        slot: &'a Slot,
        cx: Context<'a, S, P>,
        warnings: &'a Mutex<Vec<Warning>>,
    ) -> Result<Ended, Failure> {
        let mut at = self.start;
        loop {
            let (node, desk) = (&self.nodes[at], &slot.desks[at]);
            let (name, instance) = (&*node.name, cx.instance());
            cx.tell(Event::NodeStarted { instance, node: name });
            let action = node.stage.run(desk, cx.at(name)).await?;
            cx.tell(Event::NodeDone { instance, node: name, action: &action });
            let Some((_, next)) = node.edges.iter().find(|(edge, _)| *edge == action) else {
                if !node.edges.is_empty() {
                    cx.tell(Event::NoSuchEdge { instance, node: name, action: &action });
                    Warning::note(warnings, &node.name, &action, &node.edges);
                }
                return Ok(Ended { node: Arc::clone(&node.name), action });
            };
            at = *next;
            // A cycle of nodes that never wait would else keep the thread, and nobody could end it.
            tokio::task::coop::consume_budget().await;
        }
    }

    /// What every node has counted in the runs of this flow.
    #[must_use]
    pub fn stats(&self) -> Vec<NodeStats> {
        self.stats_of(&[&self.slot])
    }

    /// Counts anew, and lets the limits forget what they were charged and have learnt.
    pub fn reset(&self) {
        self.reset_of(&[&self.slot]);
    }

    pub(crate) fn open(&self) -> Slot {
        open(&self.nodes)
    }

    pub(crate) fn watch(&self) -> Option<&Watch<'n>> {
        self.watch.as_ref()
    }

    /// Puts it below `above`: its nodes are called by the way to them, of which each level adds its own.
    pub(crate) fn rename_below(&mut self, above: &str) {
        for node in &mut self.nodes {
            node.name = format!("{above}/{}", node.own).into();
            node.stage.rename(&node.name);
        }
    }

    pub(crate) fn stats_of(&self, slots: &[&Slot]) -> Vec<NodeStats> {
        let mut all = Vec::with_capacity(self.nodes.len());
        for (at, node) in self.nodes.iter().enumerate() {
            node.stage.stats(&desks(slots, at), &mut all);
        }
        all
    }

    pub(crate) fn reset_of(&self, slots: &[&Slot]) {
        for (at, node) in self.nodes.iter().enumerate() {
            node.stage.reset(&desks(slots, at));
        }
    }

    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.nodes.iter().map(|node| node.stage.shape()).collect()
    }
}

fn desks<'d>(slots: &[&'d Slot], at: usize) -> Vec<&'d Desk> {
    slots.iter().map(|slot| &slot.desks[at]).collect()
}

fn open<S, P>(nodes: &[Joined<'_, S, P>]) -> Slot {
    Slot { desks: nodes.iter().map(|node| node.stage.open()).collect() }
}

impl<S, P> fmt::Debug for Flow<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.nodes.iter().map(|node| &node.name).collect();
        f.debug_struct("Flow").field("nodes", &names).field("start", &self.nodes[self.start].name).finish()
    }
}
