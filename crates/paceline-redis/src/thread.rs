//! The one thread of a handle, with a runtime of its own: so it does not matter what kind of thread or runtime its callers
//! have, whether they poll, or whether their clock stands still.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::error::Error;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends once this is dropped and all that was spawned has ended.
pub(crate) struct Thread {
    tasks: mpsc::UnboundedSender<Task>,
    /// Whose it is: the children of a process have none of its threads.
    process: u32,
}

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
        Ok(Self { tasks: sender, process: std::process::id() })
    }

    /// Sees that this is the process that has it: in a child of that nothing would ever be done, and what its thread had
    /// locked when the process was forked stays locked.
    pub(crate) fn is_here(&self) -> Result<(), Error> {
        if std::process::id() == self.process { Ok(()) } else { Err(Error::Forked) }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The thread outlives every sender.
        let _ = self.tasks.send(Box::pin(task));
    }

    /// Has it done there, to be waited for anywhere.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.is_here()?;
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            // Nobody waits any more: nobody is told.
            let _ = tell.send(task.await);
        });
        told.await.unwrap_or(Err(Error::Stopped))
    }
}
