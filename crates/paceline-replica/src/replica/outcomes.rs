//! What became of waits, until their owners have taken note, and what becomes of owners who do not.

use paceline::Anchor;
use paceline_core::{Events, Time};

use super::{Key, Member, Replica, Verdict};

impl Replica {
    pub(super) fn claim(&mut self, now: Time, permit: u128, events: &mut Events<Key>) {
        self.unclaimed.remove(&permit);
        if let Some((member, grant)) = self.passed.remove(&permit) {
            self.take_up(now, member, &grant);
            let age = now.since(grant.at);
            for part in grant.charged.parts() {
                let quota = self.set.limits()[usize::from(part.limit)].quota();
                // What counts from its completion is held again, as a resource is.
                if quota.is_some_and(|quota| quota.anchored_at() != Anchor::Completion) {
                    let _ = self.set.charge_past(now, part.limit, [(age, part.units)], events);
                }
            }
        }
    }

    /// Its owner is told that nothing has become of these demands.
    pub(super) fn pass_by(&mut self, now: Time, member: Member, events: &mut Events<Key>) {
        let granted = self
            .unclaimed
            .iter()
            .filter(|(_, (owner, verdict))| *owner == member && matches!(verdict, Verdict::Granted(_)));
        let granted: Vec<u128> = granted.map(|(permit, _)| *permit).collect();
        let mut passed = self.cancel_all(now, member, events);
        for permit in granted {
            if let Some((_, Verdict::Granted(grant))) = self.unclaimed.remove(&permit) {
                self.take(member, &grant.charged);
                self.set.undo(now, grant.clone());
                self.passed.insert(permit, (member, grant));
                passed.push(permit);
            }
        }
        self.set.pump(now, events);
        self.decided.extend(passed.into_iter().map(|permit| Key { member, permit }));
    }

    /// Ends all waiting of a member.
    pub(super) fn cancel_all(&mut self, now: Time, member: Member, events: &mut Events<Key>) -> Vec<u128> {
        let waiting = self.set.waiters().filter(|(_, key)| key.member == member);
        let mut waiting: Vec<_> = waiting.map(|(ticket, key)| (ticket, key.permit)).collect();
        // Where they lie in the queue differs between replicas, and each gives room to others.
        waiting.sort_unstable_by_key(|(_, permit)| *permit);
        for (ticket, permit) in &waiting {
            self.tickets.remove(permit);
            // What it is granted meanwhile, for those before it are gone, goes back with it.
            self.set.cancel(now, *ticket, events);
        }
        waiting.into_iter().map(|(_, permit)| permit).collect()
    }

    /// Whose waits were decided since this was last emptied.
    pub fn decided(&mut self) -> &mut Vec<Key> {
        &mut self.decided
    }

    /// How a wait ended, if it did and its owner has not claimed it.
    #[must_use]
    pub fn unclaimed(&self, permit: u128) -> Option<&Verdict> {
        self.unclaimed.get(&permit).map(|(_, verdict)| verdict)
    }

    /// Whether a demand is in the queue.
    #[must_use]
    pub fn is_waiting(&self, permit: u128) -> bool {
        self.tickets.contains_key(&permit)
    }

    /// Members that were granted something at `then` or before and have not taken note.
    #[must_use]
    pub fn slow(&self, then: Time) -> Vec<Member> {
        let slow = self
            .unclaimed
            .values()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Granted(grant) if grant.at <= then));
        let mut slow: Vec<_> = slow.map(|(member, _)| *member).collect();
        slow.sort_unstable();
        slow.dedup();
        slow
    }

    /// The permits of a member whose waits have ended.
    pub fn unclaimed_of(&self, member: Member) -> impl Iterator<Item = u128> {
        let own = self.unclaimed.iter().filter(move |(_, (owner, _))| *owner == member);
        own.map(|(permit, _)| *permit)
    }

    /// Places of the queue that are taken.
    #[must_use]
    pub fn places(&self) -> usize {
        self.tickets.len() + self.unclaimed.len() + self.passed.len()
    }
}
