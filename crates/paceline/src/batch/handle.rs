//! Watching a batch and ending it, from wherever.

use std::sync::Arc;

use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::error::RecvError;

use super::control::{Control, Phase};
use super::{BatchEvent, BatchProgress};

/// A handle to a batch: [`Batch::handle`](crate::Batch::handle). Cloning gives another one.
///
/// ```
/// use paceline::{Batch, LimitSet};
///
/// # async fn fetch(page: u64) -> Result<u64, std::io::Error> { Ok(page) }
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), paceline::Error> {
/// let site = LimitSet::builder("site").concurrency(8).build()?;
/// let batch = Batch::over(&site);
/// let handle = batch.handle();
/// let report = batch.run(1.., |page, _| {
///     if page == 100 {
///         handle.drain();                // what has begun is finished, and nothing is begun any more
///     }
///     fetch(page)
/// }).await?;
/// assert!(report.progress.succeeded >= 100 && report.progress.failed == 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct BatchHandle(Arc<Control>);

impl BatchHandle {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self(control)
    }

    /// Ends the batch in order: no more input is taken, items that have made no attempt are given up as
    /// [`Stopped`](crate::CallError::Stopped), the others are finished, retries included.
    ///
    /// On threads, which nobody can call back from a wait, what was taken is finished.
    pub fn drain(&self) {
        self.0.stop(Phase::Draining);
    }

    /// Ends the batch at once: attempts that are under way are cancelled too, and their items given up as
    /// [`Stopped`](crate::CallError::Stopped). Whether those were carried out is unknown.
    ///
    /// On threads, this is [`drain`](Self::drain).
    pub fn abort(&self) {
        self.0.stop(Phase::Aborted);
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> BatchProgress {
        self.0.progress()
    }

    /// What happens from now on, until the batch is over. The batch does not wait for whoever listens: one that is more
    /// than 1,024 events behind is told how many it [missed](BatchEvent::Missed).
    ///
    /// # Cancel safety
    ///
    /// Dropping it, or its `next`, loses nothing but what it had not yet yielded.
    pub fn events(&self) -> impl Stream<Item = BatchEvent> + Send + Unpin + use<> {
        Box::pin(stream::unfold(self.0.listen(), |receiver| async move {
            let mut receiver = receiver?;
            let event = match receiver.recv().await {
                Ok(event) => event,
                Err(RecvError::Lagged(events)) => BatchEvent::Missed { events },
                Err(RecvError::Closed) => return None,
            };
            Some((event, Some(receiver)))
        }))
    }
}
