//! A set as the library sees it. Nothing here waits for the store: what is to be told is left for the thread that keeps
//! the set, and what is known here is looked up.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use paceline::backend::{Answer, Ask, BackendError, BoxFuture, Change, Home, PermitId, Report, Standing};
use paceline_core::Demand;

use crate::handle::Inner;
use crate::shared::Shared;

/// One handle's set. The last to let it go has the store told.
pub(crate) struct Set {
    shared: Arc<Shared>,
    /// Keeps the thread.
    _handle: Arc<Inner>,
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Set {
    pub(crate) fn new(shared: Arc<Shared>, handle: Arc<Inner>) -> Self {
        Self { shared, _handle: handle }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.shared.with(|state| state.close());
    }
}

impl Home for Set {
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>> {
        let mut begun = false;
        Box::pin(poll_fn(move |context| {
            let first = !std::mem::replace(&mut begun, true);
            self.shared.with(|state| {
                if first {
                    state.begin(ask, Instant::now());
                }
                state.look(ask.permit, context)
            })
        }))
    }

    fn try_acquire(&self, ask: &Ask) -> Result<Answer, BackendError> {
        self.shared.with(|state| state.try_now(ask, Instant::now()))
    }

    fn settle(&self, permit: PermitId, actual: Demand) {
        self.shared.with(|state| state.settle(permit, &actual));
    }

    fn report(&self, permit: PermitId, report: Report) {
        self.shared.with(|state| state.report(permit, report));
    }

    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>> {
        let told = self.shared.with(|state| state.release(permit, Instant::now()));
        Box::pin(async move {
            match told {
                // Not told means that the thread is gone, and the lease with it.
                Some(told) => told.await.unwrap_or(Ok(())),
                None => Ok(()),
            }
        })
    }

    fn forget(&self, permit: PermitId) {
        self.shared.with(|state| state.forget(permit));
    }

    fn is_lost(&self, permit: PermitId) -> bool {
        self.shared.with(|state| state.is_lost(permit, Instant::now()))
    }

    fn change(&self, change: Change) -> Result<(), BackendError> {
        self.shared.with(|state| state.change(change))
    }

    fn standing(&self) -> Result<Standing, BackendError> {
        self.shared.with(|state| state.standing(Instant::now()))
    }
}
