//! What one member holds, and has to say.

use std::collections::BTreeMap;

use paceline_core::{Demand, Index, Quota};

/// What a member holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// Permits that are out.
    pub(super) active: u64,
    /// Units that these were charged, by limit.
    pub(super) held: Vec<u64>,
    /// How carefully it would have quotas counted, by limit.
    pub(super) words: BTreeMap<Index, Quota>,
}

impl Row {
    pub(super) fn add(&mut self, charged: &Demand) {
        for part in charged.parts() {
            let at = usize::from(part.limit);
            if self.held.len() <= at {
                self.held.resize(at + 1, 0);
            }
            self.held[at] = self.held[at].saturating_add(part.units);
        }
    }

    pub(super) fn subtract(&mut self, charged: &Demand) {
        for part in charged.parts() {
            if let Some(held) = self.held.get_mut(usize::from(part.limit)) {
                *held = held.saturating_sub(part.units);
            }
        }
    }
}
