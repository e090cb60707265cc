//! Many calls, driven through one pipeline: what takes the items, bounds those in progress and puts results in order.
//!
//! It knows nothing of limits, retries or verdicts: each item is one call of a [`Pipeline`], and what a batch adds is
//! where the calls come from and what becomes of them.
//!
//! Nothing is spawned. The calls of a batch are parts of one future or stream, so items and closures may borrow, and
//! dropping it is all it takes to cancel them. The price is that they make progress only while it is polled, on one
//! thread at a time; a call that computes for long, or must go on while nobody polls, spawns its own task.

mod blocking;
mod control;
mod event;
mod flow;
mod handle;
mod item;
mod one;
mod rules;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt};

use crate::error::Error;
use crate::key::Amounts;
use crate::pipeline::{Attempt, Call, Pipeline};
use crate::retry::Retry;

use control::Guard;
use flow::Flow;
use one::Work;
use rules::{Order, Rules};

pub use event::{BatchEvent, BatchProgress};
pub use handle::BatchHandle;
pub use item::{BatchItem, BatchReport};

/// Items driven through limits: each becomes a call, and one that fails does not fail the rest.
///
/// | what | default | |
/// |---|---|---|
/// | [`cost`](Self::cost) | nothing named | what an item's call asks for |
/// | [`concurrency`](Self::concurrency) | twice what may be in flight | calls in progress: waiting, running or waiting to try again |
/// | [`retry`](Self::retry) | the pipeline's own, if it has one | when an item is tried again |
/// | [`ordered`](Self::ordered) | as completed | in which order a stream yields |
/// | [`fail_fast`](Self::fail_fast) | never | the share of failures that ends it |
///
/// What is in flight is for the limits to say, learnt ones included: a set with a [controller](crate::LimitSetBuilder::adaptive)
/// makes an adaptive batch.
///
/// ```
/// use paceline::{Batch, LimitSet, Quota, Retry};
///
/// # type Failed = Box<dyn std::error::Error + Send + Sync>;
/// # struct Client;
/// # impl Client { async fn chat(&self, prompt: &str) -> Result<usize, Failed> { Ok(prompt.len()) } }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Failed> {
/// # let client = Client;
/// let openai = LimitSet::builder("openai").calls(Quota::per_minute(500)).rate("tokens", Quota::per_minute(200_000)).build()?;
/// let prompts = ["Why is the sky blue?", "And at dusk?"];
///
/// let answers = Batch::over(&openai)
///     .cost(|prompt: &&str| [("tokens", prompt.len() as u64)])
///     .retry(Retry::attempts(5))
///     .run(prompts, |prompt, _| client.chat(prompt))
///     .await?;
/// for answer in &answers.items {
///     println!("{}: {} attempts, {:?} waited", answer.index, answer.outcome.attempts, answer.outcome.waited);
/// }
/// assert_eq!(answers.into_values()?, [20, 12]);
/// # Ok(()) }
/// ```
///
/// # Items
///
/// A call gets a clone of its item for each attempt; items that are references, as those of `&prompts`, cost nothing to
/// clone. The [`Attempt`] beside it is there to be told what the answer says.
///
/// An item whose call panics, or whose cost does, fails as [`Panicked`](crate::CallError::Panicked), alone.
#[must_use = "a batch does nothing until it is run"]
pub struct Batch<'a, T> {
    pipeline: Pipeline,
    retry: Option<Retry>,
    cost: Box<Cost<'a, T>>,
    rules: Rules,
    guard: Guard,
}

/// The call that an item becomes.
type Cost<'a, T> = dyn for<'p> Fn(&'p Pipeline, &T) -> Call<'p> + Send + Sync + 'a;

fn cost<'a, T>(cost: impl for<'p> Fn(&'p Pipeline, &T) -> Call<'p> + Send + Sync + 'a) -> Box<Cost<'a, T>> {
    Box::new(cost)
}

impl<'a, T> Batch<'a, T> {
    /// A batch over a limit set, a pool or a pipeline.
    pub fn over(limits: impl Into<Pipeline>) -> Self {
        let (cost, rules, guard) = (cost(|pipeline, _| pipeline.call(())), Rules::default(), Guard::default());
        Self { pipeline: limits.into(), retry: None, cost, rules, guard }
    }

    /// What the call of an item asks for; asked once an item, however often it is tried.
    pub fn cost<A: Amounts>(mut self, amounts: impl Fn(&T) -> A + Send + Sync + 'a) -> Self {
        self.cost = cost(move |pipeline, item| pipeline.call(amounts(item)));
        self
    }

    /// Tries again what fails, in place of the pipeline's own policy; the budget is the batch's.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// At most so many calls in progress: from being taken to their outcome, waits for limits and waits to try again
    /// included. When there are so many, no input is taken; for threads it is their number.
    ///
    /// By default twice what the resource limits let be in flight at the time, which follows controllers and live
    /// changes, but at least 16: so a free slot finds somebody waiting, and who shares the limits does not find a
    /// whole batch before him. Where no resource is limited, 256.
    pub fn concurrency(mut self, calls: usize) -> Self {
        self.rules.concurrency = Some(calls);
        self
    }

    /// A [stream](Self::stream) yields in the order of the input, from at most 1,024 items at a time.
    pub fn ordered(self) -> Self {
        self.ordered_within(1_024)
    }

    /// The same with a window of so many items, from the oldest that was not yet yielded to the newest that was taken.
    /// One that is slow stops the input there, so what waits for it is bounded.
    pub fn ordered_within(mut self, items: usize) -> Self {
        self.rules.order = Order::OfInput { window: items };
        self
    }

    /// Drains the batch when more than so many percent of the items that ended have failed, judged over at least a
    /// hundred: with 10 that is the eleventh failure, unless there were more than 110 items by then; with 0 the first.
    pub fn fail_fast(mut self, percent: u8) -> Self {
        self.rules.fail_fast = Some(percent);
        self
    }

    /// A handle to watch, drain or abort it with while it runs.
    pub fn handle(&self) -> BatchHandle {
        BatchHandle::new(self.guard.control())
    }

    /// Makes the calls of all items and returns what became of each, in the order of the input.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] names the first value that is out of its range; nothing was called then. What fails later is
    /// in the report.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the calls in progress, as [`Call::run`] says, and takes no more input; nothing of it runs on.
    /// What had ended is lost with it: [`BatchHandle::abort`] ends it at once and keeps that.
    ///
    /// # Cost
    ///
    /// A boxed future an item, beside its calls. Memory is that of the calls in progress and of all results; of a
    /// [stream](Self::stream), only of those in progress.
    pub async fn run<U, E, F>(
        mut self,
        items: impl IntoIterator<Item = T>,
        call: impl Fn(T, Attempt) -> F,
    ) -> Result<BatchReport<U, E>, Error>
    where
        T: Clone,
        F: Future<Output = Result<U, E>>,
        E: fmt::Display + 'static,
    {
        // All of them are kept anyway, so that a slow head need not stop the input.
        self.rules.check()?;
        self.rules.order = Order::AsCompleted;
        let control = self.guard.control();
        let items = self.stream(items, call)?.collect().await;
        Ok(BatchReport::new(items, control.progress()))
    }

    /// The same as a stream of what became of each item, in constant memory: no more is held than the calls in progress
    /// and, if [ordered](Self::ordered), what waits for its turn.
    ///
    /// It takes input when it is polled and there is room, so a consumer that is slow slows it down. While nobody polls
    /// it, its calls stand still, holding their permits: keep what is done between two items short, or hand it to a task
    /// of its own.
    ///
    /// ```
    /// use futures::StreamExt;
    /// use paceline::{Batch, LimitSet};
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), paceline::Error> {
    /// # async fn fetch(page: u64) -> Result<u64, std::io::Error> { Ok(page) }
    /// let site = LimitSet::builder("site").concurrency(8).build()?;
    /// let mut pages = Batch::over(&site).ordered().stream(1..=100_000, |page, _| fetch(page))?;
    /// let mut sum = 0;
    /// while let Some(page) = pages.next().await {
    ///     sum += page.outcome.result.expect("no page failed");
    /// }
    /// assert_eq!(sum, 5_000_050_000);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the calls in progress, as [`Call::run`] says.
    pub fn stream<U, E, F>(
        self,
        items: impl IntoIterator<Item = T>,
        call: impl Fn(T, Attempt) -> F,
    ) -> Result<impl Stream<Item = BatchItem<U, E>> + Unpin, Error>
    where
        T: Clone,
        F: Future<Output = Result<U, E>>,
        E: fmt::Display + 'static,
    {
        self.stream_from(stream::iter(items), call)
    }

    /// The same over a stream of items: lines of a file, messages of a queue.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn stream_from<U, E, F>(
        mut self,
        items: impl Stream<Item = T>,
        call: impl Fn(T, Attempt) -> F,
    ) -> Result<impl Stream<Item = BatchItem<U, E>> + Unpin, Error>
    where
        T: Clone,
        F: Future<Output = Result<U, E>>,
        E: fmt::Display + 'static,
    {
        self.prepare()?;
        let Self { pipeline, cost, rules, guard, .. } = self;
        let source = pipeline.source().clone();
        let work = Arc::new(Work { pipeline, cost, call, control: guard.control() });
        Ok(Flow::new(items, move |index, item| one::call(Arc::clone(&work), index, item), source, rules, guard))
    }

    fn prepare(&mut self) -> Result<(), Error> {
        self.rules.check()?;
        if let Some(retry) = self.retry.take() {
            self.pipeline = self.pipeline.with_retry(retry)?;
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Batch<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("pipeline", &self.pipeline).field("rules", &self.rules).finish_non_exhaustive()
    }
}
