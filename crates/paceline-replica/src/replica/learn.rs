//! What all members' attempts have taught, and how carefully each would have quotas counted.

use paceline::backend::Report;
use paceline_core::{ChangeError, Events, Index, Limit, Quota, Time, Verdict};

use super::Replica;
use crate::member::Member;
use crate::op::Key;

impl Replica {
    /// An attempt ended: counted, learnt from and, where it was refused for a time, the gate closed, in one step.
    pub(super) fn report(&mut self, now: Time, began: Option<Time>, report: &Report, events: &mut Events<Key>) {
        self.learnt.update(report, began, self.active(), now);
        if let Verdict::RateLimited { retry_after: Some(pause) } = report.verdict {
            self.set.pause(now, pause, events);
        }
        self.resize(now, events);
    }

    /// Puts in force how much may be out, by what was learnt.
    pub(super) fn resize(&mut self, now: Time, events: &mut Events<Key>) {
        let Some((limit, capacity)) = self.learnt.capacity() else { return };
        if self.set.limits()[usize::from(limit)].capacity() != capacity {
            self.set.set_capacity(now, limit, capacity, events).expect("a resource, and at least one");
        }
    }

    /// Somebody states another capacity.
    pub(super) fn restate(
        &mut self,
        now: Time,
        limit: Index,
        capacity: u64,
        events: &mut Events<Key>,
    ) -> Result<(), ChangeError> {
        self.set.set_capacity(now, limit, self.learnt.restated(limit, capacity), events)
    }

    /// Somebody states another quota.
    pub(super) fn state(
        &mut self,
        now: Time,
        limit: Index,
        quota: Quota,
        events: &mut Events<Key>,
    ) -> Result<(), ChangeError> {
        if !self.stated.contains_key(&limit) {
            return self.set.set_quota(now, limit, quota, events);
        }
        quota.validate()?;
        self.stated.insert(limit, quota);
        self.count(now, limit, events);
        Ok(())
    }

    /// A member would have a quota counted so.
    pub(super) fn pace(
        &mut self,
        now: Time,
        member: Member,
        limit: Index,
        quota: Quota,
        events: &mut Events<Key>,
    ) -> Result<(), ChangeError> {
        quota.validate()?;
        let known = self.set.limits()[usize::from(limit)].quota().ok_or(ChangeError::NotARate)?;
        self.stated.entry(limit).or_insert(*known);
        self.rows.entry(member).or_default().words.insert(limit, quota);
        self.count(now, limit, events);
        Ok(())
    }

    /// Puts in force what was stated, counted as carefully as anybody who is there would have it.
    pub(super) fn count(&mut self, now: Time, limit: Index, events: &mut Events<Key>) {
        let Some(stated) = self.stated.get(&limit).copied() else { return };
        let mut words = self.rows.values().filter_map(|row| row.words.get(&limit)).copied().peekable();
        if words.peek().is_none() {
            self.stated.remove(&limit);
        }
        let quota = stated.counted_as(words);
        if self.set.limits()[usize::from(limit)].quota() != Some(&quota) {
            self.set.set_quota(now, limit, quota, events).expect("a rate, and a quota that can be kept");
        }
    }

    /// Whether what was read of it fits the set.
    pub(super) fn is_sound(&self) -> bool {
        let sized = self.learnt.capacity().and_then(|(limit, _)| self.set.limits().get(usize::from(limit)));
        self.learnt.capacity().is_none() || sized.is_some_and(Limit::is_resource)
    }
}
