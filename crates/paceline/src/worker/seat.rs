//! Where a worker sits: what stays when its state has to be made anew.

use std::sync::Arc;

use super::Worker;
use crate::set::LimitSet;

/// A seat that nobody has taken yet. It can be sent where a state cannot.
pub(super) struct Place<S> {
    pub(super) number: usize,
    pub(super) limits: LimitSet,
    pub(super) make: Arc<Make<S>>,
}

pub(super) type Make<S> = dyn Fn(usize) -> S + Send + Sync;

pub(super) struct Seat<S> {
    place: Place<S>,
    worker: Option<Worker<S>>,
}

impl<S> Seat<S> {
    pub(super) fn at(place: Place<S>) -> Self {
        Self { place, worker: None }
    }

    pub(super) fn worker(&mut self) -> &mut Worker<S> {
        let Place { number, limits, make } = &self.place;
        let sit_down = || Worker { state: make(*number), limits: limits.clone(), number: *number };
        self.worker.get_or_insert_with(sit_down)
    }

    /// A call has panicked: what it left of the state is not to be trusted.
    pub(super) fn vacate(&mut self) {
        self.worker = None;
    }
}
