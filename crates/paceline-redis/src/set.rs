//! A set as the library sees it. Nothing here waits for the store: what is to be told is left for the thread that keeps
//! the set, and what is known here is looked up.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Instant;

use paceline::backend::{Answer, Ask, BackendError, BoxFuture, Change, Home, PermitId, Report, Standing};
use paceline_core::Demand;

use crate::handle::Inner;
use crate::shared::{Shared, arrived};

/// One handle's set. The last to let it go has the store told.
pub(crate) struct Set {
    shared: Arc<Shared>,
    /// Keeps the thread.
    handle: Arc<Inner>,
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl Set {
    pub(crate) fn new(shared: Arc<Shared>, handle: Arc<Inner>) -> Self {
        Self { shared, handle }
    }

    fn is_here(&self) -> Result<(), BackendError> {
        Ok(self.handle.thread.is_here()?)
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if self.is_here().is_ok() {
            self.shared.with(|state| state.close(Instant::now()));
        }
    }
}

impl Home for Set {
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>> {
        let mut begun = false;
        Box::pin(poll_fn(move |context| {
            self.is_here()?;
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
        self.is_here()?;
        self.shared.with(|state| state.try_now(ask, Instant::now()))
    }

    fn settle(&self, permit: PermitId, actual: Demand) {
        if self.is_here().is_ok() {
            self.shared.with(|state| state.settle(permit, &actual));
        }
    }

    fn report(&self, permit: PermitId, report: Report) {
        if self.is_here().is_ok() {
            self.shared.with(|state| state.report(permit, report));
        }
    }

    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>> {
        let here = self.is_here();
        let told = here.as_ref().ok().and_then(|()| self.shared.with(|state| state.release(permit, Instant::now())));
        Box::pin(async move {
            match told {
                Some(told) => arrived(told).await,
                None => here,
            }
        })
    }

    fn forget(&self, permit: PermitId) {
        if self.is_here().is_ok() {
            self.shared.with(|state| state.forget(permit));
        }
    }

    fn is_lost(&self, permit: PermitId) -> bool {
        self.is_here().is_err() || self.shared.with(|state| state.is_lost(permit, Instant::now()))
    }

    fn change(&self, change: Change) -> Result<(), BackendError> {
        self.is_here()?;
        self.shared.with(|state| state.change(change, Instant::now()))
    }

    fn standing(&self) -> Result<Standing, BackendError> {
        self.is_here()?;
        self.shared.with(|state| state.standing(Instant::now()))
    }
}
