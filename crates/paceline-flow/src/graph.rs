//! Nodes joined by actions.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::action::Action;
use crate::batch_flow::BatchFlow;
use crate::context::Context;
use crate::error::Error;
use crate::failure::Result;
use crate::flow::{Flow, Joined};
use crate::lane::Plan;
use crate::limits::Limits;
use crate::nested::{NestedBatch, NestedFlow};
use crate::node::Node;
use crate::stage::Stage;
use crate::step::Step;

/// Nodes joined by actions. Nodes share a type of shared state and one of parameters, and may borrow for `'n`.
///
/// ```
/// # use paceline_flow::{Cx, Node, Result};
/// use paceline_flow::{Graph, Limits};
///
/// # macro_rules! nodes { ($($node:ident)*) => { $(struct $node; impl Node for $node {
/// #     type Shared = (); type Params = (); type Item = (); type Output = ();
/// #     async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> { Ok(vec![]) }
/// #     async fn exec(&self, _: Cx<'_, Self>, _: &()) -> Result<()> { Ok(()) }
/// # })* } }
/// # nodes!(FetchChunks Analyze Store Reject);
/// let mut graph = Graph::new();
/// let fetch = graph.add(FetchChunks, Limits::concurrent(5).per_minute(100));
/// let analyze = graph.add(Analyze, Limits::concurrent(2).per_minute(60));
/// let store = graph.add(Store, Limits::none());
/// let reject = graph.add_as("reject", Reject, Limits::none());
/// graph.on(fetch, "analyze", analyze);
/// graph.then(analyze, store);                 // on the default action
/// graph.on(analyze, "reject", reject);
/// graph.on(reject, "again", fetch);           // a way back is a cycle, and the user's to end
/// let flow = graph.start(fetch)?;
/// # Ok::<(), paceline_flow::Error>(())
/// ```
///
/// An action without an edge ends the flow; where its node has other edges that is told as a warning, since it is often
/// a slip of the hand.
///
/// Nodes of different types of shared state or parameters cannot be in one graph:
///
/// ```compile_fail
/// # use paceline_flow::{Cx, Graph, Limits, Node, Result};
/// # macro_rules! node { ($node:ident $params:ty) => { struct $node; impl Node for $node {
/// #     type Shared = (); type Params = $params; type Item = (); type Output = ();
/// #     async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> { Ok(vec![]) }
/// #     async fn exec(&self, _: Cx<'_, Self>, _: &()) -> Result<()> { Ok(()) }
/// # } } }
/// # node!(OfNumbers u32); node!(OfNames String);
/// let mut graph = Graph::new();
/// graph.add(OfNumbers, Limits::none());
/// graph.add(OfNames, Limits::none());
/// ```
#[must_use = "a graph does nothing until it is started"]
pub struct Graph<'n, S, P> {
    id: u64,
    nodes: Vec<Added<'n, S, P>>,
    edges: Vec<Edge>,
}

/// A node of one [`Graph`], for the methods of that graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId {
    graph: u64,
    index: usize,
}

struct Added<'n, S, P> {
    name: Arc<str>,
    stage: Result<Box<dyn Stage<S, P> + 'n>, Error>,
}

struct Edge {
    from: NodeId,
    action: Action,
    to: NodeId,
}

impl<'n, S: Sync, P: Send + Sync> Graph<'n, S, P> {
    /// An empty graph.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), nodes: Vec::new(), edges: Vec::new() }
    }

    /// Adds a node, named as its type is.
    pub fn add<N>(&mut self, node: N, limits: Limits) -> NodeId
    where
        N: Node<Shared = S, Params = P> + 'n,
    {
        let path = std::any::type_name::<N>();
        let path = path.split('<').next().unwrap_or(path);
        self.add_as(path.rsplit("::").next().unwrap_or(path), node, limits)
    }

    /// Adds a node under a name of its own: errors, events and figures go by it. A second of the same name is numbered.
    pub fn add_as<N>(&mut self, name: &str, node: N, limits: Limits) -> NodeId
    where
        N: Node<Shared = S, Params = P> + 'n,
    {
        let name = self.unique(name);
        let stage = Plan::new(&name, limits).map(|plan| Box::new(Step::new(node, plan)) as Box<dyn Stage<S, P> + 'n>);
        self.push(name, stage)
    }

    /// Adds a whole flow as one node: each instance of this one that comes here runs it once, with the parameters that
    /// `params` makes. The node's action is that of the flow's last node. Its events are told to whoever this one tells.
    pub fn add_flow<Q>(
        &mut self,
        name: &str,
        flow: Flow<'n, S, Q>,
        params: impl Fn(Context<'_, S, P>) -> Result<Q> + Send + Sync + 'n,
    ) -> NodeId
    where
        S: 'n,
        P: 'n,
        Q: Send + Sync + 'n,
    {
        let name = self.unique(name);
        let stage = NestedFlow::new(Arc::clone(&name), flow, params);
        self.push(name, Ok(Box::new(stage)))
    }

    /// Adds a batch flow as one node: each instance of this one that comes here runs it for all the parameters that
    /// `params` makes, in as many slots as the batch flow has, in each slot of this one. The flow's own prep is not
    /// asked.
    ///
    /// The node's action is what the batch flow's post returns. Without a post, an instance of the batch flow that has
    /// not completed fails the node, once all others have ended.
    pub fn add_batch<Q>(
        &mut self,
        name: &str,
        batch: BatchFlow<'n, S, Q>,
        params: impl Fn(Context<'_, S, P>) -> Result<Vec<Q>> + Send + Sync + 'n,
    ) -> NodeId
    where
        S: 'n,
        P: 'n,
        Q: Send + Sync + 'n,
    {
        let name = self.unique(name);
        let stage = NestedBatch::new(Arc::clone(&name), batch, params);
        self.push(name, Ok(Box::new(stage)))
    }

    /// Where `from` says `action`, `to` is next.
    pub fn on(&mut self, from: NodeId, action: impl Into<Action>, to: NodeId) -> &mut Self {
        self.edges.push(Edge { from, action: action.into(), to });
        self
    }

    /// Where `from` says nothing in particular, `to` is next.
    pub fn then(&mut self, from: NodeId, to: NodeId) -> &mut Self {
        self.on(from, Action::DEFAULT, to)
    }

    /// The flow that starts with `start`.
    ///
    /// # Errors
    ///
    /// The first of: limits that cannot be kept, a handle of another graph, two edges for one action, nodes that no way
    /// leads to.
    pub fn start(self, start: NodeId) -> Result<Flow<'n, S, P>, Error> {
        let mut joined = Vec::with_capacity(self.nodes.len());
        let (id, names) = (self.id, self.nodes.iter().map(|node| Arc::clone(&node.name)).collect::<Vec<_>>());
        let name = |node: NodeId| (node.graph == id).then(|| names.get(node.index)).flatten();
        let known = |node: NodeId, place: &dyn Fn() -> String| match name(node) {
            Some(name) => Ok(name),
            None => Err(Error::ForeignNode { place: place() }),
        };
        for Added { name, stage } in self.nodes {
            joined.push(Joined::new(name, stage?));
        }
        for Edge { from, action, to } in self.edges {
            let node = known(from, &|| format!("the beginning of an edge for the action \"{action}\""))?;
            known(to, &|| format!("the edge of `{node}` for the action \"{action}\""))?;
            let edges = &mut joined[from.index].edges;
            if let Some((_, first)) = edges.iter().find(|(there, _)| *there == action) {
                let (first, second) = (Arc::clone(&names[*first]), Arc::clone(&names[to.index]));
                return Err(Error::DuplicateEdge { node: Arc::clone(node), action, first, second });
            }
            edges.push((action, to.index));
        }
        let first = Arc::clone(known(start, &|| "the start".into())?);
        let reached = reached(&joined, start.index);
        let lost = names.iter().zip(reached).filter(|(_, reached)| !reached).map(|(name, _)| Arc::clone(name));
        let nodes: Vec<_> = lost.collect();
        if !nodes.is_empty() {
            return Err(Error::Unreachable { start: first, nodes });
        }
        Ok(Flow::new(joined, start.index))
    }

    fn push(&mut self, name: Arc<str>, stage: Result<Box<dyn Stage<S, P> + 'n>, Error>) -> NodeId {
        self.nodes.push(Added { name, stage });
        NodeId { graph: self.id, index: self.nodes.len() - 1 }
    }

    fn unique(&self, name: &str) -> Arc<str> {
        let taken = |name: &str| self.nodes.iter().any(|node| &*node.name == name);
        if !taken(name) {
            return name.into();
        }
        let numbered = (2_usize..).map(|number| format!("{name} {number}"));
        numbered.into_iter().find(|name| !taken(name)).unwrap_or_else(|| name.to_owned()).into()
    }
}

/// Which nodes a way leads to.
fn reached<S, P>(nodes: &[Joined<'_, S, P>], start: usize) -> Vec<bool> {
    let (mut reached, mut todo) = (vec![false; nodes.len()], vec![start]);
    while let Some(at) = todo.pop() {
        if !std::mem::replace(&mut reached[at], true) {
            todo.extend(nodes[at].edges.iter().map(|(_, to)| *to));
        }
    }
    reached
}

impl<S: Sync, P: Send + Sync> Default for Graph<'_, S, P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, P> fmt::Debug for Graph<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.nodes.iter().map(|node| &node.name).collect();
        f.debug_struct("Graph").field("nodes", &names).field("edges", &self.edges.len()).finish()
    }
}
