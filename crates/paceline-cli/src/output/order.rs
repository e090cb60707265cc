//! Results in input order. How many can wait here is bounded by who hands them in: each holds its slot until written.

use std::collections::BTreeMap;

/// Puts numbered things back in order.
#[derive(Debug)]
pub(super) struct Reorder<T> {
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { next: 0, early: BTreeMap::new() }
    }
}

impl<T> Reorder<T> {
    pub(super) fn push(&mut self, number: u64, thing: T) {
        self.early.insert(number, thing);
    }

    /// The next in order, if it is here.
    pub(super) fn pop(&mut self) -> Option<T> {
        let thing = self.early.remove(&self.next)?;
        self.next += 1;
        Some(thing)
    }

    /// What is left when nothing more comes, in order, with whatever is missing left out.
    pub(super) fn rest(self) -> impl Iterator<Item = T> {
        self.early.into_values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_restored() {
        let mut reorder = Reorder::default();
        let mut out = Vec::new();
        for number in [2, 0, 1, 4, 3, 7, 6] {
            reorder.push(number, number);
            out.extend(std::iter::from_fn(|| reorder.pop()));
        }
        assert_eq!(out, [0, 1, 2, 3, 4]);
        assert_eq!(reorder.rest().collect::<Vec<_>>(), [6, 7]);
    }
}
