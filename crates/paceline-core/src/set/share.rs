//! Going on alone for a while, where several share a set that they cannot reach.

use std::num::NonZeroU64;
use std::time::Duration;

use super::{Events, Set};
use crate::demand::{Demand, Grant, Index};
use crate::error::ChangeError;
use crate::limit::Limit;
use crate::time::Time;

impl<W> Set<W> {
    /// What one of `members` can keep alone, if all of them know this set as it is here, and none can ask the others: all
    /// that they grant by their shares, together with what stands charged, is within the limits.
    ///
    /// Of a rate that is `amount / members`, rounded down, and as much of a burst; all that is in the window counts,
    /// whoever used it, so the sum stays within the amount. Of a resource it is what this one holds, which is `held`,
    /// and an equal part of what is free. A share of nothing grants nothing; so does that of a leaky bucket, of which two
    /// could grant at once. Nobody waits in what is returned.
    #[must_use]
    pub fn share<V>(&self, now: Time, members: NonZeroU64, held: &Demand) -> Set<V> {
        let limits = (0..).zip(&self.limits);
        let limits: Vec<Limit> =
            limits.map(|(index, limit)| limit.share(now, members, held.units(index).unwrap_or(0))).collect();
        Set { gate: self.gate, closed: self.closed, ..Set::new(self.id, limits) }
    }

    /// Takes up again what [`release`](Self::release) gives back, room or not: resources, and what a rate holds until a
    /// permit comes back.
    pub fn take_up(&mut self, now: Time, grant: &Grant) {
        for part in grant.charged.parts() {
            self.limits[usize::from(part.limit)].take_up(now, part);
        }
    }

    /// Charges a rate what was used without asking: units and how long ago each were, in any order. They are charged whether
    /// they fit or not, where they lie; a bucket knows only whether they may still be in it, and is never more than full
    /// by them. What has left the window is not charged. If it was used by [shares](Self::share), the set then stands
    /// as if it had been asked, or nearer to its limit. Costs a sort and a charge each.
    ///
    /// # Errors
    ///
    /// If the limit is a resource; nothing has changed then.
    pub fn charge_past(
        &mut self,
        now: Time,
        limit: Index,
        past: impl IntoIterator<Item = (Duration, u64)>,
        events: &mut Events<W>,
    ) -> Result<(), ChangeError> {
        let past = before(now, past);
        self.limits[usize::from(limit)].charge_past(now, &past)?;
        self.after_change(now, events);
        Ok(())
    }
}

/// The instants so long before now, the oldest first.
pub(super) fn before(now: Time, past: impl IntoIterator<Item = (Duration, u64)>) -> Vec<(Time, u64)> {
    let ago = |age: Duration| Time::from_nanos(now.as_nanos().saturating_sub(crate::time::nanos(age)));
    let mut past: Vec<_> = past.into_iter().map(|(age, units)| (ago(age), units)).collect();
    past.sort_by_key(|(at, _)| *at);
    past
}
