//! What somebody who holds the locks of several sets can ask of each: the steps of a joint grant.

use super::{Events, Set};
use crate::decision::Ready;
use crate::queue::{Party, Ticket};
use crate::time::Time;

impl<W> Set<W> {
    /// This set's number in the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether this set would grant its part of a joint wait now.
    #[must_use]
    pub fn joint_ready(&mut self, now: Time, ticket: Ticket) -> bool {
        let first = self.queue.as_ref().is_some_and(|queue| queue.heads().contains(&ticket));
        first && !self.closed && now >= self.gate && self.head_ready(now, ticket) == Ready::Now
    }

    /// Charges this set's part of a joint wait and ends it.
    pub fn grant_joint(&mut self, now: Time, ticket: Ticket, events: &mut Events<W>) {
        self.grant(now, now, ticket, events);
    }

    /// Notes which set a joint wait is held by.
    pub fn hold_joint(&mut self, ticket: Ticket, holder: u64) {
        let entry = self.queue.as_mut().and_then(|queue| queue.get(ticket));
        if let Some(Party::AllOf { held_by, .. }) = entry.and_then(|entry| entry.party.as_deref_mut()) {
            *held_by = Some(holder);
        }
    }
}
