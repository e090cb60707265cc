//! The one thread of a handle, with a runtime of its own: so it does not matter what kind of thread or runtime its callers
//! have, whether they poll, or whether their clock stands still.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends once this is dropped and all that was spawned has ended.
pub(crate) struct Thread(mpsc::UnboundedSender<Task>);

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}

impl Thread {
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, mut tasks) = mpsc::unbounded_channel::<Task>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("paceline-redis".into()).spawn(move || {
            runtime.block_on(async {
                let mut running = JoinSet::new();
                while let Some(task) = tasks.recv().await {
                    running.spawn(task);
                    while running.try_join_next().is_some() {}
                }
                while running.join_next().await.is_some() {}
            });
        })?;
        Ok(Self(sender))
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The thread outlives every sender.
        let _ = self.0.send(Box::pin(task));
    }

    /// Has it done there, to be waited for anywhere.
    pub(crate) async fn run<T: Send + 'static, E: From<Stopped> + Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, E> {
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            // Nobody waits any more: nobody is told.
            let _ = tell.send(task.await);
        });
        told.await.unwrap_or_else(|_| Err(Stopped.into()))
    }
}

/// The thread is not there any more, which only a panic on it can have done.
#[derive(Debug)]
pub(crate) struct Stopped;
