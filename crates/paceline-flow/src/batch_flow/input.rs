//! The parameters of a run, taken one by one.

use parking_lot::Mutex;

/// The input, which outlives the batch that takes from it: what it has left then was not begun.
pub(super) trait Rest: Send + Sync {
    /// The instances that are left, where it says how many there are at most.
    fn left(&self) -> std::ops::Range<u64>;
}

pub(super) struct Input<I> {
    params: Mutex<(u64, I)>,
}

impl<I: Iterator + Send> Rest for Input<I> {
    fn left(&self) -> std::ops::Range<u64> {
        let mut params = self.params.lock();
        let (taken, params) = &mut *params;
        let left = if params.size_hint().1.is_some() { params.count() as u64 } else { 0 };
        *taken..*taken + left
    }
}

impl<I: Iterator> Input<I> {
    pub(super) fn new(params: I) -> Self {
        Self { params: Mutex::new((0, params)) }
    }

    /// The next set of parameters, and which instance it is of.
    pub(super) fn take(&self) -> Option<(u64, I::Item)> {
        let mut params = self.params.lock();
        let (taken, params) = &mut *params;
        let item = params.next()?;
        *taken += 1;
        Some((*taken - 1, item))
    }
}
