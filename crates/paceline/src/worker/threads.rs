//! Workers that are threads.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::seat::{Place, Seat};
use super::{Worker, WorkerCall, WorkerError};
use crate::error::Error;
use crate::panics;

/// Threads that each keep a state: [`WorkerOptions::threads`](crate::WorkerOptions::threads).
///
/// Dropping it lets them finish what was submitted and end; [`join`](Self::join) waits for that.
pub struct ThreadWorkers<S> {
    queue: Sender<Job<S>>,
    threads: Vec<JoinHandle<()>>,
}

type Job<S> = Box<dyn FnOnce(&mut Seat<S>) + Send>;

impl<S: 'static> ThreadWorkers<S> {
    pub(super) fn start(places: Vec<Place<S>>) -> Result<Self, Error> {
        let (queue, jobs) = channel();
        let jobs = Arc::new(Mutex::new(jobs));
        let threads = places.into_iter().map(|place| {
            let (jobs, name) = (Arc::clone(&jobs), format!("paceline-worker-{}", place.number));
            let work = move || work(&jobs, Seat::at(place));
            thread::Builder::new().name(name).spawn(work).map_err(|error| Error::NoThread(error.to_string()))
        });
        // Should there be too few, dropping the queue ends those that there are.
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self { queue, threads })
    }

    /// Has `call` made by the first worker that is free; calls are begun in the order in which they are submitted.
    pub fn submit<R: Send + 'static>(&self, call: impl FnOnce(&mut Worker<S>) -> R + Send + 'static) -> WorkerCall<R> {
        let (reply, receiver) = oneshot::channel();
        let job = move |seat: &mut Seat<S>| {
            if reply.is_closed() {
                return;
            }
            let result = catch_unwind(AssertUnwindSafe(|| call(seat.worker())));
            let result = result.map_err(|panic| WorkerError::Panicked(panics::message(&*panic)));
            if result.is_err() {
                // A state that panics as it is dropped is gone all the same.
                let _ = catch_unwind(AssertUnwindSafe(|| seat.vacate()));
            }
            // Whoever asked may no longer want to know.
            let _ = reply.send(result);
        };
        // The threads outlive the queue; were one to end before, its calls would say that they are gone.
        let _ = self.queue.send(Box::new(job));
        WorkerCall(receiver)
    }

    /// How many there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.threads.len()
    }

    /// Waits until they have finished what was submitted and have ended. Not for use within async code.
    pub fn join(self) {
        let Self { queue, threads } = self;
        drop(queue);
        for thread in threads {
            // Panics of calls were caught.
            let _ = thread.join();
        }
    }
}

fn work<S>(jobs: &Mutex<Receiver<Job<S>>>, mut seat: Seat<S>) {
    loop {
        let next = jobs.lock().recv();
        match next {
            Ok(job) => job(&mut seat),
            Err(_) => return,
        }
    }
}

impl<S> fmt::Debug for ThreadWorkers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadWorkers").field("workers", &self.threads.len()).finish_non_exhaustive()
    }
}
