//! When the lease ends, and what others have by then.

use std::time::Instant;

use paceline::backend::BackendError;
use paceline_core::LimitKind;
use paceline_replica::Op;

use super::batch::Todo;
use super::own::Permit;
use super::state::{State, somebody};

impl State {
    /// Whoever has not heard of the store for a lease takes it for lost by its own clock, before others have it by the
    /// store's.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.known && now >= self.renewed + self.lease {
            self.lose();
        }
    }

    /// The lease has ended: what was held may be others' by now. It is held again by somebody new, as far as there is room,
    /// and beyond that it is a debt of the set, since its holder may go on with it.
    pub(super) fn lose(&mut self) {
        let before = self.me;
        (self.me, self.known) = (somebody(), false);
        self.let_go();
        self.todo.insert(0, Todo::Op(Op::Clear(before)));
    }

    /// Others may have by now what was held, until that is told again.
    pub(super) fn let_go(&mut self) {
        // Whoever was not told yet asks again.
        self.permits.retain(|_, permit| !matches!(permit, Permit::Held { told: false, .. }));
        let mut count = 0;
        for permit in self.permits.values_mut() {
            if let Permit::Held { lost, .. } = permit {
                *lost = true;
                count += 1;
            }
        }
        if count > 0 {
            tracing::warn!(set = %self.name, permits = count, "the lease on shared limits has ended");
        }
        self.begin_anew();
    }

    pub(super) fn lease_ended(&self) -> BackendError {
        let message = format!("the lease on `{}` ended before all was told", self.name);
        BackendError { message, retryable: false }
    }

    /// Of permits that the store was told of anew, the latest are lost that others have been given the room of.
    pub(super) fn find_lost(&mut self, mut permits: Vec<u128>) {
        let Some(seen) = &mut self.seen else { return };
        let mut debts: Vec<_> = seen.replica.standing(seen.replica.now()).view.limits;
        let since = |permit: &u128| self.permits.get(permit).and_then(Permit::grant).map(|grant| grant.at);
        permits.sort_by_key(|permit| std::cmp::Reverse(since(permit)));
        let mut count = 0;
        for permit in permits {
            let Some(Permit::Held { grant, lost, .. }) = self.permits.get_mut(&permit) else { continue };
            *lost = false;
            for part in grant.charged.parts() {
                let limit = &mut debts[usize::from(part.limit)];
                if limit.kind == LimitKind::Resource && limit.debt > 0 {
                    limit.debt = limit.debt.saturating_sub(part.units);
                    *lost = true;
                }
            }
            count += usize::from(*lost);
        }
        if count > 0 {
            tracing::warn!(set = %self.name, lost = count, "others have been given what permits of this process held");
        }
    }
}
