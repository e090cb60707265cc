//! Making one call: what it asks for and on what terms, and the loop that makes its attempts.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use paceline_core::{Priority, Verdict};
use tracing::Instrument as _;

use super::Pipeline;
use super::attempt::Attempt;
use super::outcome::Outcome;
use super::progress::Progress;
use super::source::Ask;
use crate::error::Error;
use crate::request::Terms;

/// A call that is about to be made: [`Pipeline::call`].
#[must_use = "a call is not made until it is run"]
pub struct Call<'p> {
    pub(super) pipeline: &'p Pipeline,
    pub(super) ask: Result<Ask<'p>, Error>,
    pub(super) terms: Terms,
    pub(super) retry_if: Option<Hook<'p>>,
}

/// Whether a call may be made again after an attempt that ended so.
pub(super) type Hook<'p> = Box<dyn Fn(Verdict) -> bool + Send + Sync + 'p>;

impl<'p> Call<'p> {
    pub(super) fn new(pipeline: &'p Pipeline, ask: Result<Ask<'p>, Error>) -> Self {
        Self { pipeline, ask, terms: Terms::default(), retry_if: None }
    }

    /// Gives up after `deadline`: neither limits nor retries are waited for beyond it. An attempt that is under way is
    /// not cut short; its own timeout is its owner's.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.terms.deadline = Some(deadline);
        self
    }

    /// Goes before less urgent calls, as [`Request::priority`](crate::Request::priority) says.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.terms.priority = priority;
        self
    }

    /// Tries this call again only where `hook` says so too, besides the [policy](crate::Retry::retry_if): a request that is not
    /// idempotent, say, only after it was refused.
    pub fn retry_if(mut self, hook: impl Fn(Verdict) -> bool + Send + Sync + 'p) -> Self {
        self.retry_if = Some(Box::new(hook));
        self
    }

    /// Makes the call, in as many attempts as it takes and the policy allows. `classify` says how an attempt ended,
    /// where the [attempt](Attempt::report) was not told itself; [`by_error`](crate::by_error) and [`until`](crate::until) are ready-made.
    ///
    /// Where `call` returns the [`Attempt`] within its value (in a body that is still to be read, say), a success keeps
    /// its permit for as long as that lives, and the attempt ends there.
    ///
    /// ```
    /// use paceline::{LimitSet, Pipeline, Retry, Verdict};
    ///
    /// # #[derive(Debug)] struct Reply { status: u16 }
    /// # async fn send(n: u32) -> Result<Reply, String> { Ok(Reply { status: if n == 1 { 429 } else { 200 } }) }
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), paceline::Error> {
    /// let api = LimitSet::builder("api").concurrency(4).build()?;
    /// let pipeline = Pipeline::over(&api).retry(Retry::attempts(3)).build()?;
    /// // The client returns a 429 as if it were an answer; here it is told from one.
    /// let judge = |result: &Result<Reply, String>| match result {
    ///     Ok(reply) if reply.status == 429 => Verdict::RateLimited { retry_after: None },
    ///     Ok(_) => Verdict::Success,
    ///     Err(_) => Verdict::Transient,
    /// };
    /// let outcome = pipeline.call(()).run(|attempt| send(attempt.number()), judge).await;
    /// assert_eq!(outcome.attempts, 2);
    /// assert_eq!(api.snapshot().feedback.verdicts.rate_limited, 1);
    /// # Ok(()) }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping it while it waits leaves nothing behind. Dropping it during an attempt ends that as
    /// [`Cancelled`](Verdict::Cancelled), which says nothing of the service: what its rates were charged stands, since it
    /// was sent, and its resources are free at once or after the pipeline's [linger](crate::PipelineBuilder::linger).
    ///
    /// # Cost
    ///
    /// Beside acquiring the permit, one small allocation, one more lock of the set and one more look at the
    /// clock an attempt; and what telling of it [costs](crate::telemetry#cost).
    pub async fn run<T, E, F: Future<Output = Result<T, E>>>(
        self,
        mut call: impl FnMut(Attempt) -> F,
        classify: impl Fn(&Result<T, E>) -> Verdict,
    ) -> Outcome<T, E> {
        let mut progress = match Progress::new(self) {
            Ok(progress) => progress,
            Err(error) => return Outcome::refused(error),
        };
        loop {
            // What a failed attempt returned is gone before the wait: it may hold a connection.
            let wait = match progress.admit().await {
                Ok(running) => {
                    let span = running.span();
                    let attempt = span.in_scope(|| call(running.attempt()));
                    let result = attempt.instrument(span).await;
                    match progress.after(running.end(&result, &classify)) {
                        Some(wait) => wait,
                        None => return progress.over(result),
                    }
                }
                Err(error) => match progress.after_refusal(&error) {
                    Some(wait) => wait,
                    None => return progress.not_admitted(error),
                },
            };
            if let Err(error) = progress.wait(wait).await {
                return progress.not_admitted(error);
            }
        }
    }

    /// The same on this thread; no runtime is needed. Not for use within async code.
    pub fn run_blocking<T, E>(
        self,
        mut call: impl FnMut(Attempt) -> Result<T, E>,
        classify: impl Fn(&Result<T, E>) -> Verdict,
    ) -> Outcome<T, E> {
        let mut progress = match Progress::new(self) {
            Ok(progress) => progress,
            Err(error) => return Outcome::refused(error),
        };
        loop {
            let wait = match progress.admit_blocking() {
                Ok(running) => {
                    let result = running.span().in_scope(|| call(running.attempt()));
                    match progress.after(running.end(&result, &classify)) {
                        Some(wait) => wait,
                        None => return progress.over(result),
                    }
                }
                Err(error) => match progress.after_refusal(&error) {
                    Some(wait) => wait,
                    None => return progress.not_admitted(error),
                },
            };
            if let Err(error) = progress.wait_blocking(wait) {
                return progress.not_admitted(error);
            }
        }
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("pipeline", self.pipeline).field("terms", &self.terms).finish_non_exhaustive()
    }
}
