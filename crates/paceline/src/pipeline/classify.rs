//! How an attempt ended, from what it returned: typed errors first, words last.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use paceline_core::Verdict;

use tokio::time::error::Elapsed;

use crate::error::Error;

/// How an attempt ended, by its error: the default of a [`Pipeline`](crate::Pipeline).
///
/// A value is a success. An error that is, or boxes, a [`RateLimitHit`] is a rate limit with that hit's Retry-After; an
/// [`Error`] of limits is transient or permanent as it says itself; a timeout of tokio's is
/// overload. Any other is read by [`Verdict::from_text`] for the words of a rate limit, and taken for transient where it
/// has none. A classifier of your own knows more; `match`ing on the error is all it needs.
pub fn by_error<T, E: fmt::Display + 'static>(result: &Result<T, E>) -> Verdict {
    match result {
        Ok(_) => Verdict::Success,
        Err(error) => of_error(error),
    }
}

pub(crate) fn of_error<E: fmt::Display + 'static>(error: &E) -> Verdict {
    let any: &dyn Any = error;
    let boxed =
        any.downcast_ref::<Box<dyn StdError + Send + Sync>>().map(|error| &**error as &(dyn StdError + 'static));
    let boxed = boxed.or_else(|| any.downcast_ref::<Box<dyn StdError>>().map(|error| &**error));
    if let Some(hit) = any.downcast_ref::<RateLimitHit>().or_else(|| find(boxed?)) {
        return hit.verdict();
    }
    if any.downcast_ref::<Elapsed>().or_else(|| find(boxed?)).is_some() {
        return Verdict::Overloaded;
    }
    match any.downcast_ref::<Error>().or_else(|| find(boxed?)) {
        Some(error) if error.is_retryable() => Verdict::Transient,
        Some(_) => Verdict::Permanent,
        None => Verdict::from_text(&error.to_string()).unwrap_or(Verdict::Transient),
    }
}

/// As [`by_error`], and a value counts as a success only if it is `valid`; one that is not is worth another attempt, and
/// says nothing of the service's load.
///
/// ```
/// use paceline::{LimitSet, Pipeline, Retry, until};
///
/// # async fn ask(n: u32) -> Result<String, std::io::Error> { Ok(if n == 1 { "sorry".into() } else { "42".into() }) }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let set = LimitSet::builder("model").concurrency(4).build()?;
/// let model = Pipeline::over(set).retry(Retry::default()).build()?;
/// let is_number = |text: &String| text.parse::<i64>().is_ok();
/// let outcome = model.call(()).run(|attempt| ask(attempt.number()), until(is_number)).await;
/// assert_eq!((outcome.attempts, outcome.result?.as_str()), (2, "42"));
/// # Ok(()) }
/// ```
pub fn until<T, E: fmt::Display + 'static>(valid: impl Fn(&T) -> bool) -> impl Fn(&Result<T, E>) -> Verdict {
    move |result| match result {
        Ok(value) if !valid(value) => Verdict::Transient,
        result => by_error(result),
    }
}

/// A rate limit that was hit, as an error: to be returned by what makes an attempt, so that the pipeline knows it for
/// what it is, and to be handed on to whoever throttles at a higher level.
///
/// ```
/// use paceline::RateLimitHit;
/// use std::time::Duration;
///
/// let hit = RateLimitHit::new("Rate limit exceeded").retry_after(Duration::from_secs(30));
/// assert_eq!(hit.to_string(), "Rate limit exceeded");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RateLimitHit {
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RateLimitHit {
    /// A hit that says so.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry_after: None, source: None }
    }

    /// How long the service asks to wait.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The error it was told by.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The verdict on an attempt that ended with it, which has the wait.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict::RateLimited { retry_after: self.retry_after }
    }
}

/// An error of that type, itself or among its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut chain = std::iter::successors(Some(error), |error| (**error).source());
    chain.find_map(|error| error.downcast_ref())
}
