//! One call through everything that can hold it up, in the one right order.
//!
//! 1. The breaker is asked, so that nothing waits for an endpoint that fails.
//! 2. A permit is acquired. A retry has the arrival of its call's first attempt and is charged like one.
//! 3. The breaker is asked once more, for what happened in the meantime and for one of its probes.
//! 4. The attempt is made.
//! 5. It ends in one verdict. The set counts it, closes its gate, tells its controllers; then the breaker learns of it.
//! 6. The permit goes back. Only then is it decided whether to try again, so that
//! 7. a retry waits holding nothing, and begins at 1.
//!
//! Batches, the tower layer and the command all go through here; what they add is where calls come from and what becomes
//! of them. A call stays one future through all its waits, retries included. So whoever bounds the calls in progress
//! bounds the waiting retries with them, and stops taking input while they wait: that is the bound to have.

mod attempt;
mod breakers;
mod builder;
mod call;
mod classify;
mod convert;
mod outcome;
mod progress;
mod source;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::Time;

use crate::clock::Clock;
use crate::error::Error;
use crate::key::Amounts;
use crate::retry::{Retries, Retry, Timer};

use breakers::Breakers;

pub use attempt::Attempt;
pub use builder::PipelineBuilder;
pub use call::Call;
pub(crate) use classify::of_error;
pub use classify::{RateLimitHit, by_error, until};
pub use outcome::{CallError, Outcome};
pub use source::Source;

/// What calls go through: limits, a breaker, verdicts, retries. Cloning gives another handle to the same.
///
/// ```
/// use paceline::{Aimd, Breaker, LimitSet, Pipeline, Quota, Retry};
///
/// # struct Reply { tokens: u64 }
/// # type Failed = Box<dyn std::error::Error + Send + Sync>;
/// # async fn chat(_: &str) -> Result<Reply, Failed> { Ok(Reply { tokens: 641 }) }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Failed> {
/// let openai = LimitSet::builder("openai")
///     .calls(Quota::per_minute(500))
///     .rate("tokens", Quota::per_minute(200_000))
///     .adaptive(Aimd::default())
///     .build()?;
/// let pipeline = Pipeline::over(&openai).retry(Retry::attempts(5)).breaker(Breaker::default()).build()?;
///
/// let outcome = pipeline
///     .run([("tokens", 900)], |attempt| async move {
///         let reply = chat("Why is the sky blue?").await?;
///         attempt.settle([("tokens", reply.tokens)])?;
///         Ok::<_, Failed>(reply)
///     })
///     .await;
/// println!("{} attempts, {:?} waited", outcome.attempts, outcome.waited);
/// let reply = outcome.result?;
/// assert_eq!(openai.snapshot().limit("tokens").unwrap().used, reply.tokens);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Pipeline(Arc<Inner>);

struct Inner {
    source: Source,
    clock: Clock,
    retries: Option<Retries>,
    breakers: Arc<Breakers>,
    linger: Option<(Duration, Arc<Timer>)>,
}

impl Pipeline {
    /// Describes a pipeline over a limit set or a pool.
    pub fn over(source: impl Into<Source>) -> PipelineBuilder {
        PipelineBuilder::new(source.into())
    }

    /// Makes a call that asks for `amounts`, taking [what the error says](by_error) for how an attempt ended.
    ///
    /// # Cancel safety
    ///
    /// As [`Call::run`].
    pub async fn run<T, E, F>(&self, amounts: impl Amounts, call: impl FnMut(Attempt) -> F) -> Outcome<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: fmt::Display + 'static,
    {
        self.call(amounts).run(call, by_error).await
    }

    /// The same on this thread. Not for use within async code.
    pub fn run_blocking<T, E>(&self, amounts: impl Amounts, call: impl FnMut(Attempt) -> Result<T, E>) -> Outcome<T, E>
    where
        E: fmt::Display + 'static,
    {
        self.call(amounts).run_blocking(call, by_error)
    }

    /// A call with terms of its own: a deadline, a priority, whether it may be repeated.
    pub fn call(&self, amounts: impl Amounts) -> Call<'_> {
        Call::new(self, self.0.source.resolve(&amounts))
    }

    /// Where its permits come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// Calls that wait to try again. They hold nothing, but each is a call in progress.
    #[must_use]
    pub fn retrying(&self) -> usize {
        self.0.retries.as_ref().map_or(0, Retries::waiting)
    }

    /// Whether a call may be made more than once.
    #[cfg(feature = "tower")]
    pub(crate) fn tries_again(&self) -> bool {
        self.0.retries.as_ref().is_some_and(|retries| retries.attempts() > 1)
    }

    /// The same limits and breakers, tried again by another policy.
    pub(crate) fn with_retry(&self, retry: Retry) -> Result<Self, Error> {
        let Inner { source, clock, breakers, linger, .. } = &*self.0;
        let retries = Some(Retries::new(retry, source.name(), clock)?);
        let (source, clock, breakers) = (source.clone(), clock.clone(), Arc::clone(breakers));
        Ok(Self(Arc::new(Inner { source, clock, retries, breakers, linger: linger.clone() })))
    }

    fn now(&self) -> Time {
        self.0.clock.now()
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("source", &self.0.source).finish_non_exhaustive()
    }
}
