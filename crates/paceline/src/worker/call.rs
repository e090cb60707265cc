//! The result of a call, when it is there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// A call that was submitted: resolves to what it returned. It needs no runtime of its own, and threads can
/// [wait](Self::wait) for it.
///
/// # Cancel safety
///
/// Dropping it cancels the call: one that was not begun is passed over, and one on a task is dropped where it awaits. A
/// call on a thread runs to its end, since nobody can stop it.
#[derive(Debug)]
#[must_use = "dropping it cancels the call"]
pub struct WorkerCall<R>(pub(super) oneshot::Receiver<Result<R, WorkerError>>);

impl<R> WorkerCall<R> {
    /// Waits for it on this thread.
    ///
    /// # Errors
    ///
    /// As [`WorkerError`] says.
    ///
    /// # Panics
    ///
    /// Within async code, where it would hold up a whole runtime.
    pub fn wait(self) -> Result<R, WorkerError> {
        self.0.blocking_recv().unwrap_or(Err(WorkerError::Gone))
    }
}

impl<R> Future for WorkerCall<R> {
    type Output = Result<R, WorkerError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|received| received.unwrap_or(Err(WorkerError::Gone)))
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// It panicked, or what makes its worker's state did. The worker goes on with a state made anew.
    #[error("the call panicked: {0}")]
    Panicked(String),
    /// Its workers are gone, as their runtime was shut down.
    #[error("the workers are gone: their runtime was shut down")]
    Gone,
}
