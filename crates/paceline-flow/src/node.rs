//! What a user writes: a step of the work.

use std::future::Future;

use paceline::{LimitSet, Verdict, by_error};

use crate::action::Action;
use crate::context::Cx;
use crate::failure::{BoxError, Result};

/// A step of a flow: [`prep`](Self::prep) reads the shared state and yields items, [`exec`](Self::exec) runs once an
/// item, as many at a time as the node's [`Limits`](crate::Limits) allow, and [`post`](Self::post) folds the results,
/// in the order of the items, back into the shared state and names the way on.
///
/// A node of one call yields one item, `vec![…]`. Write the methods as `async fn`; what they await must be [`Send`].
///
/// ```
/// use paceline_flow::{Action, Cx, Node, Result};
/// use std::sync::Mutex;
///
/// #[derive(Default)]
/// struct Library { pages: Mutex<Vec<String>> }
///
/// struct Fetch;
///
/// impl Node for Fetch {
///     type Shared = Library;
///     type Params = u32;
///     type Item = String;
///     type Output = String;
///
///     async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<String>> {
///         Ok((0..*cx.params).map(|page| format!("page {page}")).collect())
///     }
///
///     async fn exec(&self, _: Cx<'_, Self>, page: &String) -> Result<String> {
///         Ok(format!("the text of {page}"))
///     }
///
///     async fn post(&self, cx: Cx<'_, Self>, _: Vec<String>, pages: Vec<String>) -> Result<Action> {
///         cx.shared.pages.lock().unwrap().extend(pages);
///         Ok("analyze".into())
///     }
/// }
/// ```
///
/// # The shared state
///
/// It is a type of yours, and nodes get a reference to it: what changes in it lies behind whatever you choose, a
/// `Mutex`, a channel, an atomic. Many instances of a flow may be at it at once; do not hold a lock of `std` while you
/// await.
///
/// # Where it runs
///
/// All of a flow is one future, polled by whoever runs it, so nodes may borrow. A call that computes for long keeps the
/// others from going on: spawn a task for it, or use a [`BlockingNode`](crate::BlockingNode).
///
/// # Panics
///
/// One in any of these methods ends its own instance, as [`Cause::Panicked`](crate::Cause::Panicked); the others go on.
///
/// # Misuse
///
/// What cannot be sent to another thread cannot be awaited over:
///
/// ```compile_fail
/// # use paceline_flow::{Cx, Node, Result};
/// # use std::rc::Rc;
/// struct Local;
///
/// impl Node for Local {
///     # type Shared = (); type Params = (); type Item = u32; type Output = u32;
///     # async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u32>> { Ok(vec![1]) }
///     async fn exec(&self, _: Cx<'_, Self>, item: &u32) -> Result<u32> {
///         let local = Rc::new(*item);
///         tokio::task::yield_now().await;
///         Ok(*local)
///     }
/// }
/// ```
///
/// A shared state that cannot be shared between threads cannot be a flow's:
///
/// ```compile_fail
/// # use paceline_flow::{Cx, Node, Result};
/// # use std::cell::Cell;
/// struct Counts;
///
/// impl Node for Counts {
///     type Shared = Cell<u32>;
///     # type Params = (); type Item = u32; type Output = u32;
///     # async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u32>> { Ok(vec![1]) }
///     # async fn exec(&self, _: Cx<'_, Self>, item: &u32) -> Result<u32> { Ok(*item) }
/// }
/// ```
pub trait Node: Sized + Send + Sync {
    /// What all nodes of a flow read and write.
    type Shared: Sync;
    /// What tells one instance of a flow from the others.
    type Params: Send + Sync;
    /// What one call is about.
    type Item: Send + Sync;
    /// What one call yields.
    type Output: Send;

    /// The items: what there is to do for this instance. Where there are none, it goes straight on to
    /// [`post`](Self::post).
    fn prep(&self, cx: Cx<'_, Self>) -> impl Future<Output = Result<Vec<Self::Item>>> + Send;

    /// Does the work of one item. It is called within the node's limits, once for each attempt.
    ///
    /// # Cancel safety
    ///
    /// It is dropped where it stands when its instance is cancelled, has failed at another item, or this attempt takes
    /// longer than [`Limits::timeout`](crate::Limits::timeout).
    fn exec(&self, cx: Cx<'_, Self>, item: &Self::Item) -> impl Future<Output = Result<Self::Output>> + Send;

    /// What to make of an item that has failed for good, retries included (default: its error, which fails the
    /// instance).
    fn fallback(
        &self,
        _cx: Cx<'_, Self>,
        _item: &Self::Item,
        error: BoxError,
    ) -> impl Future<Output = Result<Self::Output>> + Send {
        async { Err(error) }
    }

    /// Folds the results, which are in the order of the items, and names the way on (default: [`Action::DEFAULT`]).
    fn post(
        &self,
        _cx: Cx<'_, Self>,
        _items: Vec<Self::Item>,
        _outputs: Vec<Self::Output>,
    ) -> impl Future<Output = Result<Action>> + Send {
        async { Ok(Action::DEFAULT) }
    }

    /// What the call of an item asks of the node's limits, beside one call: `vec![("tokens", 900)]` (default: nothing).
    /// Asked once an item. [`Context::settle`](crate::Context::settle) corrects it to what was used.
    fn cost(&self, _cx: Cx<'_, Self>, _item: &Self::Item) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// The sets that the call of an item has to stay within beside those of the node's [`Limits`](crate::Limits): its
    /// tenant's, its region's (default: none). They are acquired with what the node [shares](crate::Limits::shared), all or
    /// nothing. Asked once an item; not for nodes with a
    /// [pool](crate::Limits::pool). Calls of one slot take their turns, so one that waits for its tenant may keep those of
    /// other tenants waiting that are in its slot; instances of one tenant each do not know that.
    ///
    /// ```
    /// # use paceline_flow::{Cx, Node, Result};
    /// use paceline::{LimitSet, Registry};
    ///
    /// # struct Ask;
    /// # impl Node for Ask {
    /// #     type Shared = Registry; type Params = String; type Item = u32; type Output = u32;
    /// #     async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u32>> { Ok(vec![1]) }
    /// #     async fn exec(&self, _: Cx<'_, Self>, item: &u32) -> Result<u32> { Ok(*item) }
    /// fn sets(&self, cx: Cx<'_, Self>, _: &u32) -> Result<Vec<LimitSet>> {
    ///     let (tenants, tenant) = (cx.shared, cx.params.as_str());
    ///     Ok(vec![tenants.get(tenant)?])
    /// }
    /// # }
    /// ```
    fn sets(&self, _cx: Cx<'_, Self>, _item: &Self::Item) -> Result<Vec<LimitSet>> {
        Ok(Vec::new())
    }

    /// How an attempt ended, for retries and for limits that learn (default: [`paceline::by_error`], which knows
    /// [`RateLimitHit`](paceline::RateLimitHit), timeouts and the words of a rate limit).
    ///
    /// A result that is no [`Success`](Verdict::Success) has failed, even if it is a value: this is also the place to
    /// refuse one.
    ///
    /// ```
    /// # use paceline_flow::{Cx, Node, Result};
    /// use paceline::{LimitSet, Verdict, by_error};
    ///
    /// # struct Ask;
    /// # impl Node for Ask {
    /// #     type Shared = (); type Params = (); type Item = u32; type Output = u32;
    /// #     async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u32>> { Ok(vec![1]) }
    /// #     async fn exec(&self, _: Cx<'_, Self>, item: &u32) -> Result<u32> { Ok(*item) }
    /// fn verdict(&self, result: &Result<u32>) -> Verdict {
    ///     match result {
    ///         Err(error) if error.to_string().contains("slow down") => Verdict::RateLimited { retry_after: None },
    ///         result => by_error(result),
    ///     }
    /// }
    /// # }
    /// ```
    fn verdict(&self, result: &Result<Self::Output>) -> Verdict {
        by_error(result)
    }
}
