//! Nodes whose work blocks its thread.

use std::sync::Arc;

use paceline::{LimitSet, Verdict, by_error};

use crate::action::Action;
use crate::context::{Context, Cx};
use crate::failure::{BoxError, Result};
use crate::node::Node;

/// A [`Node`] whose work blocks: a driver without async, a computation. [`Blocking`] makes a node of it, which runs
/// each [`exec`](Self::exec) on a thread of the runtime's pool, as many at once as the node's limits allow, so that
/// nothing else is held up.
///
/// [`prep`](Self::prep) and [`post`](Self::post) run where the flow does, with the shared state at hand; they should be
/// quick. `exec` has no shared state, since a thread may outlive whoever borrowed it: what it needs is in the item, or
/// in the node.
///
/// ```
/// use paceline_flow::{Action, Blocking, BlockingNode, Context, Graph, Limits, Result};
/// use std::sync::{Arc, Mutex};
///
/// struct Primes;
///
/// impl BlockingNode for Primes {
///     type Shared = Mutex<usize>;
///     type Params = u32;
///     type Item = u32;
///     type Output = bool;
///
///     fn prep(&self, cx: Context<'_, Mutex<usize>, u32>) -> Result<Vec<u32>> {
///         Ok((2..*cx.params).collect())
///     }
///
///     fn exec(&self, n: &u32) -> Result<bool> {
///         Ok((2..*n).all(|divisor| n % divisor != 0))
///     }
///
///     fn post(&self, cx: Context<'_, Mutex<usize>, u32>, _: &[Arc<u32>], prime: Vec<bool>) -> Result<Action> {
///         *cx.shared.lock().unwrap() = prime.into_iter().filter(|prime| *prime).count();
///         Ok(Action::DEFAULT)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let mut graph = Graph::new();
/// let primes = graph.add_as("primes", Blocking::new(Primes), Limits::concurrent(4));
/// let count = Mutex::new(0);
/// graph.start(primes)?.run(&count, 100).await?;
/// assert_eq!(count.into_inner()?, 25);
/// # Ok(()) }
/// ```
///
/// # Cancellation
///
/// Nobody can stop a thread. An `exec` that is cancelled, or outlives its timeout, goes on to its end, and holds its
/// permits until then: what is under way is never more than the limits say.
pub trait BlockingNode: Send + Sync + 'static {
    /// What all nodes of a flow read and write.
    type Shared: Sync;
    /// What tells one instance of a flow from the others.
    type Params: Send + Sync;
    /// What one call is about.
    type Item: Send + Sync + 'static;
    /// What one call yields.
    type Output: Send + 'static;

    /// As [`Node::prep`].
    fn prep(&self, cx: Context<'_, Self::Shared, Self::Params>) -> Result<Vec<Self::Item>>;

    /// As [`Node::exec`], on a thread.
    fn exec(&self, item: &Self::Item) -> Result<Self::Output>;

    /// As [`Node::fallback`], where the flow runs.
    fn fallback(&self, _item: &Self::Item, error: BoxError) -> Result<Self::Output> {
        Err(error)
    }

    /// As [`Node::post`].
    fn post(
        &self,
        _cx: Context<'_, Self::Shared, Self::Params>,
        _items: &[Arc<Self::Item>],
        _outputs: Vec<Self::Output>,
    ) -> Result<Action> {
        Ok(Action::DEFAULT)
    }

    /// As [`Node::cost`].
    fn cost(&self, _cx: Context<'_, Self::Shared, Self::Params>, _item: &Self::Item) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// As [`Node::sets`].
    fn sets(&self, _cx: Context<'_, Self::Shared, Self::Params>, _item: &Self::Item) -> Result<Vec<LimitSet>> {
        Ok(Vec::new())
    }

    /// As [`Node::verdict`].
    fn verdict(&self, result: &Result<Self::Output>) -> Verdict {
        by_error(result)
    }
}

/// Makes a [`Node`] of a [`BlockingNode`].
#[derive(Debug)]
pub struct Blocking<N>(Arc<N>);

impl<N: BlockingNode> Blocking<N> {
    /// A node that runs `node` on threads.
    pub fn new(node: N) -> Self {
        Self(Arc::new(node))
    }
}

impl<N: BlockingNode> Node for Blocking<N> {
    type Shared = N::Shared;
    type Params = N::Params;
    type Item = Arc<N::Item>;
    type Output = N::Output;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<Arc<N::Item>>> {
        Ok(self.0.prep(cx)?.into_iter().map(Arc::new).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, item: &Arc<N::Item>) -> Result<N::Output> {
        let (node, item, call) = (Arc::clone(&self.0), Arc::clone(item), cx.call());
        let ran = tokio::task::spawn_blocking(move || {
            let result = node.exec(&item);
            // Not before: while the thread is at it, its permits are in use.
            drop(call);
            result
        });
        match ran.await {
            Ok(result) => result,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => Err(ended.into()),
            },
        }
    }

    async fn fallback(&self, _: Cx<'_, Self>, item: &Arc<N::Item>, error: BoxError) -> Result<N::Output> {
        self.0.fallback(item, error)
    }

    async fn post(&self, cx: Cx<'_, Self>, items: Vec<Arc<N::Item>>, outputs: Vec<N::Output>) -> Result<Action> {
        self.0.post(cx, &items, outputs)
    }

    fn cost(&self, cx: Cx<'_, Self>, item: &Arc<N::Item>) -> Vec<(&'static str, u64)> {
        self.0.cost(cx, item)
    }

    fn sets(&self, cx: Cx<'_, Self>, item: &Arc<N::Item>) -> Result<Vec<LimitSet>> {
        self.0.sets(cx, item)
    }

    fn verdict(&self, result: &Result<N::Output>) -> Verdict {
        self.0.verdict(result)
    }
}
