//! Granting all that can be granted, in order.

use super::{Events, Set};
use crate::decision::{Ready, Refusal};
use crate::queue::{Party, Ticket};
use crate::time::Time;

impl<W> Set<W> {
    /// Decides every wait that can be decided at `now` and works out when to look again.
    ///
    /// Costs a decision a grant, and with each grant one for every line whose head stands before it and has to go on
    /// waiting.
    pub fn pump(&mut self, now: Time, events: &mut Events<W>) {
        // What was due before is granted as of then: whoever keeps the time may come late.
        let due = self.next().map_or(now, |next| next.min(now));
        self.time_out(now.minus_nanos(1), events);
        let next = loop {
            let next = if now < self.gate { Some(self.gate) } else { self.grant_heads(now, due, events) };
            // A deadline that comes now is missed only by those who cannot be granted now.
            if !self.time_out(now, events) {
                break next;
            }
        };
        if let Some(queue) = &mut self.queue {
            queue.next = match (next, queue.first_deadline()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// Ends the waits whose deadline is not after `then`; says whether there was one.
    fn time_out(&mut self, then: Time, events: &mut Events<W>) -> bool {
        let mut any = false;
        while let Some(ticket) = self.queue.as_ref().and_then(|queue| queue.overdue(then)) {
            self.decide(ticket, Err(None), events);
            any = true;
        }
        any
    }

    fn grant_heads(&mut self, now: Time, due: Time, events: &mut Events<W>) -> Option<Time> {
        'again: loop {
            events.joint.clear();
            let mut next = None::<Time>;
            for head in self.queue.as_ref()?.heads() {
                if self.is_gone(head) {
                    self.queue.iter_mut().for_each(|queue| queue.forget(head));
                    continue 'again;
                }
                match self.head_ready(now, head) {
                    Ready::Now if self.is_joint(head) => {
                        if self.may_try_joint(head) {
                            events.joint.push(head);
                        }
                    }
                    Ready::Now => {
                        self.grant_head(now, due, head, events);
                        continue 'again;
                    }
                    Ready::Never => {
                        let refusal = self.too_large(&self.queue.as_ref()?.at(head.slot()).demand);
                        self.decide(head, Err(Some(refusal.unwrap_or(Refusal::Closed))), events);
                        continue 'again;
                    }
                    Ready::At(then) => next = Some(next.map_or(then, |next| next.min(then))),
                    Ready::OnReturn => {}
                }
            }
            return next;
        }
    }

    /// When a head may be granted, by its limits and by those who stand before it.
    pub(super) fn head_ready(&mut self, now: Time, head: Ticket) -> Ready {
        // The queue steps aside so that the limits can be asked; a box moves, its contents do not.
        let Some(queue) = self.queue.take() else { return Ready::OnReturn };
        let entry = queue.at(head.slot());
        let mut ready = self.room(now, &entry.demand);
        if ready == Ready::Now && queue.lines().len() > 1 {
            ready = self.passing_in(&queue, now, &entry.demand, entry.order);
        }
        self.queue = Some(queue);
        ready
    }

    /// Whether another of several sets has taken a demand, or its owner withdrew it.
    fn is_gone(&self, ticket: Ticket) -> bool {
        let entry = self.queue.as_ref().map(|queue| queue.at(ticket.slot()));
        let party = entry.and_then(|entry| entry.party.as_deref());
        matches!(party, Some(Party::AnyOf { claim, .. }) if !claim.is_open())
    }

    fn is_joint(&self, ticket: Ticket) -> bool {
        let entry = self.queue.as_ref().map(|queue| queue.at(ticket.slot()));
        entry.is_some_and(|entry| matches!(entry.party.as_deref(), Some(Party::AllOf { .. })))
    }

    /// While another set holds a joint demand, that set's changes decide when to try again.
    fn may_try_joint(&self, ticket: Ticket) -> bool {
        let entry = self.queue.as_ref().map(|queue| queue.at(ticket.slot()));
        entry.is_some_and(|entry| self.held_elsewhere(entry).is_none())
    }

    fn grant_head(&mut self, now: Time, due: Time, head: Ticket, events: &mut Events<W>) {
        let Some(entry) = self.queue.as_mut().and_then(|queue| queue.get(head)) else { return };
        let taken_elsewhere = match entry.party.as_deref() {
            Some(Party::AnyOf { claim, member }) => !claim.take(*member),
            _ => false,
        };
        if taken_elsewhere {
            self.queue.iter_mut().for_each(|queue| queue.forget(head));
        } else {
            self.grant(now, due, head, events);
        }
    }

    /// Charges a waiter that was due at `due` and ends its wait.
    pub(super) fn grant(&mut self, now: Time, due: Time, ticket: Ticket, events: &mut Events<W>) {
        let Some(mut queue) = self.queue.take() else { return };
        if let Some(entry) = queue.get(ticket) {
            self.charge_since(now, due, &mut entry.demand);
        }
        self.queue = Some(queue);
        self.decide(ticket, Ok(now), events);
    }

    pub(super) fn decide(&mut self, ticket: Ticket, outcome: Result<Time, Option<Refusal>>, events: &mut Events<W>) {
        let Some(queue) = &mut self.queue else { return };
        // Out of time here is out of time everywhere; a refusal is this set's alone, and another may still grant.
        let party = queue.get(ticket).and_then(|entry| entry.party.as_deref());
        if let (Some(Party::AnyOf { claim, member }), Err(None)) = (party, &outcome) {
            if !claim.take(*member) {
                return queue.forget(ticket);
            }
        }
        events.woken.extend(queue.decide(ticket, outcome));
    }
}
