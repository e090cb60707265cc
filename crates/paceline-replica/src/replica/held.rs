//! What members hold: corrected, given back, told anew.

use paceline_core::{Demand, Events, Grant, Index, Time};

use super::row::Row;
use super::{Effect, Replica};
use crate::member::Member;
use crate::op::Key;

impl Replica {
    pub(super) fn settle(
        &mut self,
        now: Time,
        member: Member,
        mut grant: Grant,
        actual: &Demand,
        events: &mut Events<Key>,
    ) -> Effect {
        let before = grant.charged.clone();
        for part in actual.parts() {
            self.set.settle(now, &mut grant, part.limit, part.units, events);
        }
        let row = self.rows.entry(member).or_default();
        row.subtract(&before);
        row.add(&grant.charged);
        Effect::Settled(grant)
    }

    pub(super) fn clear(&mut self, now: Time, member: Member, events: &mut Events<Key>) {
        self.unclaimed.retain(|_, (owner, _)| *owner != member);
        self.passed.retain(|_, (owner, _)| *owner != member);
        self.cancel_all(now, member, events);
        if let Some(row) = self.rows.remove(&member) {
            self.release_row(now, &row, events);
            row.words.keys().for_each(|limit| self.count(now, *limit, events));
        }
    }

    pub(super) fn release_row(&mut self, now: Time, row: &Row, events: &mut Events<Key>) {
        let sums = row.held.iter().enumerate().map(|(limit, units)| (limit as Index, *units));
        let grant = self.set.grant_of(now, sums.filter(|(_, units)| *units > 0));
        self.set.release(now, &grant, events);
    }

    pub(super) fn hold(&mut self, now: Time, member: Member, grants: &[Grant], events: &mut Events<Key>) {
        self.unclaimed.retain(|_, (owner, _)| *owner != member);
        self.passed.retain(|_, (owner, _)| *owner != member);
        self.cancel_all(now, member, events);
        let before = self.rows.remove(&member);
        grants.iter().for_each(|grant| self.take_up(now, member, grant));
        // Last, so that nobody is granted what is held before and after.
        if let Some(mut row) = before {
            if !row.words.is_empty() {
                self.rows.entry(member).or_default().words = std::mem::take(&mut row.words);
            }
            self.release_row(now, &row, events);
        }
    }

    pub(super) fn take_up(&mut self, now: Time, member: Member, grant: &Grant) {
        self.set.take_up(now, grant);
        self.give(member, &grant.charged);
    }

    pub(super) fn give(&mut self, member: Member, charged: &Demand) {
        let row = self.rows.entry(member).or_default();
        row.active = row.active.saturating_add(1);
        row.add(charged);
    }

    pub(super) fn take(&mut self, member: Member, charged: &Demand) {
        if let Some(row) = self.rows.get_mut(&member) {
            row.active = row.active.saturating_sub(1);
            row.subtract(charged);
        }
    }
}
