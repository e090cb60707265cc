//! Workers that are tasks.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use super::seat::{Place, Seat};
use super::{Worker, WorkerCall, WorkerError};
use crate::backend::BoxFuture;
use crate::error::Error;
use crate::panics;

/// Tasks that each keep a state: [`WorkerOptions::tasks`](crate::WorkerOptions::tasks).
///
/// Dropping it lets them finish what was submitted and end; [`join`](Self::join) waits for that.
///
/// ```
/// use paceline::{LimitSet, Quota, WorkerOptions};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Four workers, each with a quota of its own.
/// let each = LimitSet::builder("session").calls(Quota::per_second(5)).template()?;
/// let workers = WorkerOptions::new(4).limits(each).tasks(|number| vec![number])?;
/// let call = workers.submit(|worker| {
///     Box::pin(async move {
///         let permit = worker.limits.acquire(()).await?;
///         drop(permit);
///         worker.state.push(7);
///         Ok::<_, paceline::Error>(worker.state.len())
///     })
/// });
/// assert_eq!(call.await??, 2);
/// # Ok(()) }
/// ```
pub struct TaskWorkers<S> {
    queue: UnboundedSender<Job<S>>,
    tasks: Vec<JoinHandle<()>>,
}

type Job<S> = Box<dyn for<'s> FnOnce(&'s mut Seat<S>) -> BoxFuture<'s, ()> + Send>;

impl<S: Send + 'static> TaskWorkers<S> {
    pub(super) fn start(places: Vec<Place<S>>) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime { set: "workers".into() })?;
        let (queue, jobs) = unbounded_channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let tasks = places.into_iter().map(|place| runtime.spawn(work(Arc::clone(&jobs), Seat::at(place)))).collect();
        Ok(Self { queue, tasks })
    }

    /// Has `call` made by the first worker that is free; calls are begun in the order in which they are submitted.
    pub fn submit<R, F>(&self, call: F) -> WorkerCall<R>
    where
        R: Send + 'static,
        F: for<'w> FnOnce(&'w mut Worker<S>) -> BoxFuture<'w, R> + Send + 'static,
    {
        let (reply, receiver) = oneshot::channel();
        // Should their runtime be gone, the call is dropped, which its future tells.
        let _ = self.queue.send(job(call, reply));
        WorkerCall(receiver)
    }

    /// How many there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.tasks.len()
    }

    /// Waits until they have finished what was submitted and have ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it is as dropping the workers: they finish by themselves.
    pub async fn join(self) {
        let Self { queue, tasks } = self;
        drop(queue);
        for task in tasks {
            // Panics of calls were caught.
            let _ = task.await;
        }
    }
}

fn job<S, R, F>(call: F, mut reply: oneshot::Sender<Result<R, WorkerError>>) -> Job<S>
where
    S: Send + 'static,
    R: Send + 'static,
    F: for<'w> FnOnce(&'w mut Worker<S>) -> BoxFuture<'w, R> + Send + 'static,
{
    Box::new(move |seat| {
        Box::pin(async move {
            let result = tokio::select! {
                biased;
                () = reply.closed() => return,
                result = AssertUnwindSafe(async { call(seat.worker()).await }).catch_unwind() => result,
            };
            let result = result.map_err(|panic| WorkerError::Panicked(panics::message(&*panic)));
            if result.is_err() {
                // A state that panics as it is dropped is gone all the same.
                let _ = catch_unwind(AssertUnwindSafe(|| seat.vacate()));
            }
            // Whoever asked may no longer want to know.
            let _ = reply.send(result);
        })
    })
}

async fn work<S>(jobs: Arc<Mutex<UnboundedReceiver<Job<S>>>>, mut seat: Seat<S>) {
    loop {
        let next = jobs.lock().await.recv().await;
        match next {
            Some(job) => job(&mut seat).await,
            None => return,
        }
    }
}

impl<S> fmt::Debug for TaskWorkers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskWorkers").field("workers", &self.tasks.len()).finish_non_exhaustive()
    }
}
