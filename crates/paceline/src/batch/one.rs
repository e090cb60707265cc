//! The call of one item: whatever happens, it ends in an outcome.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use paceline_core::Verdict;

use super::control::Control;
use super::{BatchItem, Cost};
use crate::panics;
use crate::pipeline::{Attempt, Call, CallError, Outcome, Pipeline, of_error};

/// What the calls of a batch share.
pub(super) struct Work<'a, T, C> {
    pub(super) pipeline: Pipeline,
    pub(super) cost: Box<Cost<'a, T>>,
    pub(super) call: C,
    pub(super) control: Arc<Control>,
}

impl<T, C> Work<'_, T, C> {
    /// The call that `item` becomes, or with which word its cost panicked.
    fn ask(&self, item: &T) -> Result<Call<'_>, String> {
        catch_unwind(AssertUnwindSafe(|| (self.cost)(&self.pipeline, item))).map_err(|panic| panics::message(&*panic))
    }
}

/// How an attempt failed.
enum Failure<E> {
    Error(E),
    Panic(String),
}

pub(super) async fn call<T, U, E, C, F>(work: Arc<Work<'_, T, C>>, index: u64, item: T) -> BatchItem<U, E>
where
    T: Clone,
    C: Fn(T, Attempt) -> F,
    F: Future<Output = Result<U, E>>,
    E: fmt::Display + 'static,
{
    let attempts = AtomicU32::new(0);
    let (work, item, attempts) = (&*work, &item, &attempts);
    let call = async {
        let attempt = |attempt: Attempt| {
            attempts.store(attempt.number(), Ordering::Relaxed);
            work.control.started(index, attempt.number());
            let call = AssertUnwindSafe(async { (work.call)(item.clone(), attempt).await });
            async { flat(call.catch_unwind().await) }
        };
        match work.ask(item) {
            Ok(call) => plain(call.run(attempt, verdict).await),
            Err(message) => Outcome::without_attempt(CallError::Panicked(message)),
        }
    };
    let outcome = tokio::select! {
        // First, or those who are given up would make room for each other.
        biased;
        () = work.control.gives_up(attempts) => {
            let mut outcome = Outcome::without_attempt(CallError::Stopped);
            outcome.attempts = attempts.load(Ordering::Relaxed);
            outcome
        }
        outcome = call => outcome,
    };
    BatchItem { index, outcome }
}

impl<T, C> Work<'_, T, C> {
    /// The same on this thread.
    pub(super) fn call_blocking<U, E>(&self, index: u64, item: &T) -> BatchItem<U, E>
    where
        T: Clone,
        C: Fn(T, Attempt) -> Result<U, E>,
        E: fmt::Display + 'static,
    {
        let attempt = |attempt: Attempt| {
            self.control.started(index, attempt.number());
            flat(catch_unwind(AssertUnwindSafe(|| (self.call)(item.clone(), attempt))))
        };
        let outcome = match self.ask(item) {
            Ok(call) => plain(call.run_blocking(attempt, verdict)),
            Err(message) => Outcome::without_attempt(CallError::Panicked(message)),
        };
        BatchItem { index, outcome }
    }
}

fn flat<U, E>(caught: std::thread::Result<Result<U, E>>) -> Result<U, Failure<E>> {
    match caught {
        Ok(result) => result.map_err(Failure::Error),
        Err(panic) => Err(Failure::Panic(panics::message(&*panic))),
    }
}

/// A panic is the caller's own and says nothing of the service.
fn verdict<U, E: fmt::Display + 'static>(result: &Result<U, Failure<E>>) -> Verdict {
    match result {
        Ok(_) => Verdict::Success,
        Err(Failure::Error(error)) => of_error(error),
        Err(Failure::Panic(_)) => Verdict::Cancelled,
    }
}

fn plain<U, E>(outcome: Outcome<U, Failure<E>>) -> Outcome<U, E> {
    let Outcome { result, verdict, attempts, waited, backed_off, set } = outcome;
    let result = result.map_err(|error| match error {
        CallError::Failed(Failure::Error(error)) => CallError::Failed(error),
        CallError::Failed(Failure::Panic(message)) | CallError::Panicked(message) => CallError::Panicked(message),
        CallError::Rejected(value) => CallError::Rejected(value),
        CallError::NotAdmitted(error) => CallError::NotAdmitted(error),
        CallError::Stopped => CallError::Stopped,
    });
    Outcome { result, verdict, attempts, waited, backed_off, set }
}
