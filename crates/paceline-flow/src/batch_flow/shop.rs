//! The slots of a batch flow, and its own limits.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use paceline::{LimitSet, Pipeline};
use parking_lot::Mutex;

use crate::stage::Slot;

/// What one user of a batch flow has of it: the flow's limits, and slots. A nested one has a shop in each slot of the
/// flow above it.
#[derive(Debug)]
pub(crate) struct Shop {
    pub(super) limits: LimitSet,
    pub(super) pipeline: Pipeline,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    all: Vec<Arc<Slot>>,
    /// The one that has been free longest first: its windows have the most room.
    free: VecDeque<Arc<Slot>>,
}

impl Shop {
    pub(super) fn new(limits: LimitSet, pipeline: Pipeline) -> Self {
        Self { limits, pipeline, slots: Mutex::default() }
    }

    /// A slot for whoever has a permit of the flow; there is always one, or room for another.
    pub(super) fn take(&self, open: impl FnOnce() -> Slot) -> Taken<'_> {
        let free = self.slots.lock().free.pop_front();
        let slot = free.unwrap_or_else(|| {
            let slot = Arc::new(open());
            self.slots.lock().all.push(Arc::clone(&slot));
            slot
        });
        Taken { shop: self, slot }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        self.slots.lock().all.clone()
    }
}

/// A slot in use, which the next may have when it is dropped.
pub(super) struct Taken<'a> {
    shop: &'a Shop,
    slot: Arc<Slot>,
}

impl Deref for Taken<'_> {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        &self.slot
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.shop.slots.lock().free.push_back(Arc::clone(&self.slot));
    }
}
