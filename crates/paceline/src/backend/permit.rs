//! A permit of a set that lives elsewhere, as a guard.

use std::fmt;
use std::sync::Arc;

use paceline_core::{Demand, Index, Time};
use parking_lot::Mutex;

use super::{BackendError, Home, PermitId};

/// A permit that lives elsewhere.
pub(crate) struct RemotePermit {
    id: PermitId,
    home: Arc<dyn Home>,
    charged: Mutex<Demand>,
    pub(super) admitted: Time,
    done: bool,
}

impl fmt::Debug for RemotePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemotePermit").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RemotePermit {
    pub(super) fn new(home: &Arc<dyn Home>, id: PermitId, demand: Demand, admitted: Time) -> Self {
        Self { id, home: Arc::clone(home), charged: Mutex::new(demand), admitted, done: false }
    }

    pub(crate) fn id(&self) -> PermitId {
        self.id
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.home.is_lost(self.id)
    }

    pub(crate) fn settle(&self, actual: Demand) {
        let mut charged = self.charged.lock();
        let unnamed = charged.parts().iter().filter(|part| actual.units(part.limit).is_none());
        let merged = unnamed.chain(actual.parts()).map(|part| (part.limit, part.units)).collect();
        *charged = merged;
        self.home.settle(self.id, actual);
    }

    /// None of anything that it was charged.
    pub(crate) fn nothing(&self) -> Demand {
        self.charged.lock().parts().iter().map(|part| (part.limit, 0)).collect()
    }

    pub(crate) fn charged(&self, limit: Index) -> u64 {
        self.charged.lock().units(limit).unwrap_or(0)
    }

    pub(crate) fn admitted_at(&self) -> Time {
        self.admitted
    }

    pub(crate) async fn release(mut self) -> Result<(), BackendError> {
        let released = self.home.release(self.id).await;
        self.done = true;
        released
    }

    /// Gives it back without a word.
    pub(crate) fn forget(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.home.forget(self.id);
        }
    }
}

impl Drop for RemotePermit {
    fn drop(&mut self) {
        self.forget();
    }
}
