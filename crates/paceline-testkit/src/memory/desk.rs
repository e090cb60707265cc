//! A member's handle to a set in memory.

use std::sync::Arc;

use paceline::backend::{Answer, Ask, BackendError, BoxFuture, Change, Home, PermitId, Report, Standing};
use paceline_core::Demand;

use super::shelf::{HINT, Shelf};

#[derive(Debug)]
pub(super) struct Desk {
    shelf: Arc<Shelf>,
    member: u64,
}

impl Desk {
    pub(super) fn at(shelf: Arc<Shelf>) -> Self {
        let member = shelf.look(|state, _| state.join());
        Self { shelf, member }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.shelf.step(|state, now| state.leave(now, self.member));
    }
}

impl Home for Desk {
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>> {
        Box::pin(async move {
            loop {
                self.shelf.line.reachable()?;
                let changed = self.shelf.changed.notified();
                let answer = self.shelf.ask(ask);
                if matches!(answer, Answer::Wait(wait) if wait >= HINT) {
                    // A change anywhere is a reason to look again, and so is that one may have been missed.
                    let _ = tokio::time::timeout(HINT, changed).await;
                    continue;
                }
                let answer = self.shelf.line.answered(answer)?;
                if answer == Answer::Granted {
                    self.shelf.look(|state, _| state.tell(ask.permit));
                }
                return Ok(answer);
            }
        })
    }

    fn try_acquire(&self, ask: &Ask) -> Result<Answer, BackendError> {
        self.shelf.line.reachable()?;
        let answer = self.shelf.ask(ask);
        match answer {
            Answer::Wait(_) => self.shelf.step(|state, now| state.give_back(now, ask.permit)),
            _ => self.shelf.look(|state, _| state.tell(ask.permit)),
        }
        Ok(answer)
    }

    fn settle(&self, permit: PermitId, actual: Demand) {
        self.shelf.step(|state, now| state.settle(now, permit, &actual));
    }

    fn report(&self, permit: PermitId, report: Report) {
        self.shelf.step(|state, now| state.report(now, permit, &report));
    }

    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            self.shelf.line.reachable()?;
            self.forget(permit);
            self.shelf.line.answered(())
        })
    }

    fn forget(&self, permit: PermitId) {
        self.shelf.step(|state, now| state.give_back(now, permit));
    }

    fn change(&self, change: Change) -> Result<(), BackendError> {
        self.shelf.line.reachable()?;
        let changed = self.shelf.step(|state, now| state.change(now, self.member, change));
        changed.map_err(|error| BackendError { message: error.to_string(), retryable: false })
    }

    fn standing(&self) -> Result<Standing, BackendError> {
        self.shelf.line.reachable()?;
        Ok(self.shelf.look(|state, now| state.standing(now)))
    }
}
