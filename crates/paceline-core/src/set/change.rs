//! Everything that changes a set while it is in use: corrections, live reconfiguration, gate, close.

use std::time::Duration;

use super::share::before;
use super::{Events, Set};
use crate::decision::Refusal;
use crate::demand::{Demand, Grant, Index};
use crate::error::ChangeError;
use crate::limit::Limit;
use crate::quota::Quota;
use crate::server::ServerState;
use crate::time::Time;
use crate::view::View;

impl<W> Set<W> {
    /// Corrects what a grant is charged on `limit` to `actual`: the last call wins.
    ///
    /// Less is given back as far as the algorithm can; more is charged at the admission where the algorithm keeps
    /// that instant and it is still in the window, else now, and may leave a debt that later demands wait for. A limit
    /// that was not demanded is charged in full. Afterwards the grant says what really stands charged.
    pub fn settle(&mut self, now: Time, grant: &mut Grant, limit: Index, actual: u64, events: &mut Events<W>) {
        let part = grant.charged.part_mut(limit);
        self.limits[usize::from(limit)].settle(now, grant.at, part, actual);
        self.after_change(now, events);
    }

    /// Puts another quota in force. What stands charged stays.
    ///
    /// # Errors
    ///
    /// If the quota cannot be kept, or the limit is a resource; nothing has changed then.
    pub fn set_quota(
        &mut self,
        now: Time,
        limit: Index,
        quota: Quota,
        events: &mut Events<W>,
    ) -> Result<(), ChangeError> {
        self.limits[usize::from(limit)].set_quota(now, quota)?;
        self.refuse_too_large(events);
        self.after_change(now, events);
        Ok(())
    }

    /// Puts another capacity in force. Units out above it are a debt that returning permits pay.
    ///
    /// # Errors
    ///
    /// If the capacity is zero, or the limit is a rate; nothing has changed then.
    pub fn set_capacity(
        &mut self,
        now: Time,
        limit: Index,
        capacity: u64,
        events: &mut Events<W>,
    ) -> Result<(), ChangeError> {
        self.limits[usize::from(limit)].set_capacity(capacity)?;
        self.refuse_too_large(events);
        self.after_change(now, events);
        Ok(())
    }

    /// Takes the service's word on a limit; `grant` is the one whose answer carried it, if it is known.
    ///
    /// # Errors
    ///
    /// If the limit is a resource.
    pub fn sync(
        &mut self,
        now: Time,
        limit: Index,
        state: &ServerState,
        grant: Option<&Grant>,
        events: &mut Events<W>,
    ) -> Result<(), ChangeError> {
        let part = grant.and_then(|grant| grant.charged.parts().iter().find(|part| part.limit == limit));
        self.limits[usize::from(limit)].sync(now, state, part)?;
        self.refuse_too_large(events);
        self.after_change(now, events);
        Ok(())
    }

    /// Charges a rate what was spent on it before this set was made: units and how long ago each were, in any order. The
    /// limit then stands as if it had been there when they were, whether they fitted it or not; what it holds until
    /// completion counts from these instants. Costs a sort and a charge each.
    ///
    /// # Errors
    ///
    /// If the limit is a resource, or was charged already; nothing has changed then.
    pub fn recall(
        &mut self,
        now: Time,
        limit: Index,
        past: impl IntoIterator<Item = (Duration, u64)>,
        events: &mut Events<W>,
    ) -> Result<(), ChangeError> {
        let past = before(now, past);
        self.limits[usize::from(limit)].recall(now, &past)?;
        self.after_change(now, events);
        Ok(())
    }

    /// Grants nothing for `pause`; a longer pause that already runs stays. Returns when the gate opens.
    pub fn pause(&mut self, now: Time, pause: Duration, events: &mut Events<W>) -> Time {
        self.gate = self.gate.max(now + pause);
        self.after_change(now, events);
        self.gate
    }

    /// Opens the gate.
    pub fn resume(&mut self, now: Time, events: &mut Events<W>) {
        self.gate = Time::ZERO;
        self.after_change(now, events);
    }

    /// Forgets all that the rates were charged; what is out of a resource stays out.
    pub fn reset(&mut self, now: Time, events: &mut Events<W>) {
        self.limits.iter_mut().for_each(|limit| limit.reset(now));
        self.after_change(now, events);
    }

    /// Ends all waiting and refuses whatever comes; permits that are out can still be settled and released.
    pub fn close(&mut self, events: &mut Events<W>) {
        self.closed = true;
        self.refuse_where(events, |_, _| Some(Refusal::Closed));
    }

    /// What stands charged, free and waiting.
    pub fn view(&mut self, now: Time) -> View {
        View {
            limits: self.limits.iter_mut().map(|limit| limit.view(now)).collect(),
            waiting: self.waiting(),
            granted: self.granted,
            paused: (now < self.gate).then(|| self.gate.since(now)),
            closed: self.closed,
        }
    }

    /// A copy of which nobody waits: to look further ahead than the next operation may come. Looking moves time on, and what
    /// comes after at an earlier instant would be decided otherwise than where nobody looked.
    #[must_use]
    pub fn without_waiters<V>(&self) -> Set<V> {
        let Self { gate, closed, granted, .. } = *self;
        Set { gate, closed, granted, ..Set::new(self.id, self.limits.to_vec()) }
    }

    /// Its limits.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    pub(super) fn after_change(&mut self, now: Time, events: &mut Events<W>) {
        if self.waiting() > 0 {
            self.pump(now, events);
        }
    }

    fn refuse_too_large(&mut self, events: &mut Events<W>) {
        self.refuse_where(events, Self::too_large);
    }

    fn refuse_where(&mut self, events: &mut Events<W>, refusal: impl Fn(&Self, &Demand) -> Option<Refusal>) {
        let Some(queue) = self.queue.as_ref() else { return };
        let refused = queue.waiters().filter_map(|(ticket, entry)| Some((ticket, refusal(self, &entry.demand)?)));
        for (ticket, refusal) in refused.collect::<Vec<_>>() {
            self.decide(ticket, Err(Some(refusal)), events);
        }
    }
}
