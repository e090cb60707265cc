//! A flow run for many sets of parameters, under limits of its own.
//!
//! The instances are items of the engine's batch: it takes parameters while there is room, tries again, drains and
//! aborts. What is added here are the slots, each with a copy of the limits of every node, and what an instance comes
//! to.

mod builder;
mod control;
mod each;
mod input;
mod outcome;
mod report;
mod run;
mod shop;
mod stats;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, Stream};
use paceline::{Retry, Template};

use crate::action::Action;
use crate::effective::Shape;
use crate::error::Error;
use crate::failure::{Cause, Result};
use crate::flow::Flow;
use crate::panics::{guarded, guarded_now};

use control::Control;
use stats::Counts;

pub use builder::BatchFlowBuilder;
pub use control::FlowHandle;
pub(crate) use outcome::Ended;
pub use outcome::{Ending, Outcome};
pub use report::{Report, Warning};
pub(crate) use run::{Run, first_failure};
pub(crate) use shop::Shop;
pub use stats::FlowStats;

/// A flow that is run for many sets of parameters, so many at once and so many started a minute.
///
/// Made by [`over`](Self::over), which has the table of what it can be told.
///
/// ```
/// # use paceline_flow::{Cx, Node, Result};
/// use paceline_flow::{BatchFlow, Graph, Limits};
///
/// # struct Fetch;
/// # impl Node for Fetch {
/// #     type Shared = Library; type Params = u32; type Item = u32; type Output = u32;
/// #     async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u32>> { Ok(vec![*cx.params]) }
/// #     async fn exec(&self, _: Cx<'_, Self>, item: &u32) -> Result<u32> { Ok(*item) }
/// # }
/// struct Library { documents: Vec<u32> }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<()> {
/// let mut graph = Graph::new();
/// let fetch = graph.add(Fetch, Limits::concurrent(5).per_minute(100));
/// let flow = BatchFlow::over(graph.start(fetch)?)
///     .max_concurrent_flows(10)
///     .max_flows_per_minute(60)
///     .prep(|library: &Library| Ok(library.documents.clone()))
///     .build()?;
///
/// let report = flow.run(&Library { documents: vec![3, 5, 8] }).await?;
/// assert_eq!((report.completed, report.failures.len()), (3, 0));
/// # Ok(()) }
/// ```
///
/// # Slots
///
/// Each of the instances that may run at once has a slot, with a copy of every node's limits; the next instance in the
/// slot goes on with them. So what a node may have in flight, and start in a minute, is at most its own limit times the
/// slots. They are kept from run to run, and runs at the same time share them.
///
/// An instance keeps its slot to its end. So a node that runs its own flow needs another slot while it has one, and where
/// there are never enough of them, all wait for each other.
///
/// # Where it runs
///
/// Nothing is spawned: all instances are parts of the future or stream that [`run`](Self::run),
/// [`run_over`](Self::run_over) and [`stream_over`](Self::stream_over) return, and may borrow.
#[must_use = "a batch flow does nothing until it is run"]
pub struct BatchFlow<'n, S, P> {
    name: Arc<str>,
    flow: Flow<'n, S, P>,
    limits: Template,
    slots: u64,
    per_minute: Option<u64>,
    retry: Option<Retry>,
    deadline: Option<Duration>,
    fail_fast: Option<u8>,
    prep: Option<Prep<'n, S, P>>,
    post: Option<Post<'n, S>>,
    on_outcome: Option<OnOutcome<'n, S>>,
    label: Option<Label<'n, P>>,
    shop: Shop,
    control: Arc<Control>,
    counts: Counts,
}

/// What yields the parameters.
enum Prep<'n, S, P> {
    Now(PrepNow<'n, S, P>),
    Later(PrepLater<'n, S, P>),
}

/// What folds the outcomes.
enum Post<'n, S> {
    Now(PostNow<'n, S>),
    Later(PostLater<'n, S>),
}

type PrepNow<'n, S, P> = Box<dyn Fn(&S) -> Result<Vec<P>> + Send + Sync + 'n>;

type PrepLater<'n, S, P> = Box<dyn for<'s> Fn(&'s S) -> BoxFuture<'s, Result<Vec<P>>> + Send + Sync + 'n>;

type PostNow<'n, S> = Box<dyn Fn(&S, &Report) -> Result<Action> + Send + Sync + 'n>;

type PostLater<'n, S> = Box<dyn for<'s> Fn(&'s S, &'s Report) -> BoxFuture<'s, Result<Action>> + Send + Sync + 'n>;

type OnOutcome<'n, S> = Box<dyn Fn(&S, &Outcome) + Send + Sync + 'n>;

type Label<'n, P> = Box<dyn Fn(&P) -> String + Send + Sync + 'n>;

impl<'n, S: Sync, P: Send + Sync> BatchFlow<'n, S, P> {
    /// Describes a batch flow over `flow`.
    pub fn over(flow: Flow<'n, S, P>) -> BatchFlowBuilder<'n, S, P> {
        BatchFlowBuilder::new(flow)
    }

    /// Runs the flow for each set of parameters that its [prep](BatchFlowBuilder::prep) yields, and reports what became
    /// of them, after its [post](BatchFlowBuilder::post) has seen that.
    ///
    /// An instance that fails does not fail the rest.
    ///
    /// # Errors
    ///
    /// [`NoPrep`](Error::NoPrep) where it has none, [`Prep`](Error::Prep) where that fails, and [`Post`](Error::Post),
    /// with the report, where its post does.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends all instances where they stand; all permits come back. [`handle`](Self::handle) ends it and
    /// keeps what became of those that had ended.
    pub async fn run(&self, shared: &S) -> Result<Report, Error> {
        let params = match &self.prep {
            Some(Prep::Now(prep)) => guarded_now(|| prep(shared)).and_then(|params| params.map_err(Cause::Error)),
            Some(Prep::Later(prep)) => guarded(|| prep(shared)).await,
            None => return Err(Error::NoPrep),
        };
        self.run_over(shared, params.map_err(|cause| Error::Prep(cause.into_error()))?).await
    }

    /// The same for the parameters in `params`, which may borrow, and are taken as there is room.
    ///
    /// Memory is that of the instances in progress and of the outcomes of those that failed, however many there are.
    ///
    /// # Errors
    ///
    /// [`Post`](Error::Post), with the report, where its post fails.
    ///
    /// # Cancel safety
    ///
    /// As [`run`](Self::run).
    pub async fn run_over(
        &self,
        shared: &S,
        params: impl IntoIterator<Item = P, IntoIter: Send>,
    ) -> Result<Report, Error> {
        let run = Run::new(self, &self.shop, self.flow.watch(), shared, params);
        let (report, posted) = run.report().await;
        match posted {
            Ok(action) => Ok(Report { action, ..report }),
            Err(source) => Err(Error::Post { source, report: Box::new(report) }),
        }
    }

    /// The same as a stream of what became of each instance, as they end. The flow's post is not asked.
    ///
    /// Instances go on only while it is polled.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends all instances where they stand.
    pub fn stream_over<'a, I>(&'a self, shared: &'a S, params: I) -> impl Stream<Item = Outcome> + Send + 'a
    where
        I: IntoIterator<Item = P, IntoIter: Send + 'a>,
        'n: 'a,
    {
        let run = Run::new(self, &self.shop, self.flow.watch(), shared, params);
        stream::unfold(run, |mut run| async move { run.next().await.map(|outcome| (outcome, run)) })
    }

    /// A handle to end its runs with.
    pub fn handle(&self) -> FlowHandle {
        FlowHandle::new(Arc::clone(&self.control))
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn slots(&self) -> u64 {
        self.slots
    }

    pub(crate) fn has_post(&self) -> bool {
        self.post.is_some()
    }

    pub(crate) fn rename(&mut self, name: &Arc<str>) {
        self.name = Arc::clone(name);
        self.flow.rename_below(name);
    }

    pub(crate) fn shape_as(&self, name: &Arc<str>) -> Shape {
        let (at_once, per_minute) = (self.slots, self.per_minute);
        Shape::Batch { name: Arc::clone(name), at_once, per_minute, nodes: self.flow.shapes() }
    }

    /// The flow that it runs.
    pub fn flow(&self) -> &Flow<'n, S, P> {
        &self.flow
    }
}

impl<S, P> fmt::Debug for BatchFlow<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchFlow")
            .field("name", &self.name)
            .field("flow", &self.flow)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
