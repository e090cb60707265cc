//! What can be seen of a set, and hoped for, without doing anything to it.

use std::num::NonZeroU64;

use paceline::backend::Standing;
use paceline_core::{Decision, Demand, Refusal, Set, Time, View};

use super::Replica;
use super::row::Row;
use crate::member::Member;

impl Replica {
    /// The latest instant: time never goes back, whoever reads the clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// What a demand could hope for at `now`, were nobody waiting: never, room, or a wait. Costs a copy of the limits, since
    /// `now` is reckoned here, and an operation may come that was stamped before it.
    pub fn outlook(&self, now: Time, demand: &Demand) -> Decision {
        let mut ahead = self.set.without_waiters::<()>();
        match ahead.at_best(now, demand, false) {
            Decision::Wait(_) | Decision::Granted if ahead.view(now).closed => Decision::Never(Refusal::Closed),
            outlook => outlook,
        }
    }

    /// How many limits it has.
    #[must_use]
    pub fn limits(&self) -> usize {
        self.set.limits().len()
    }

    /// How many wait.
    #[must_use]
    #[inline]
    pub fn waiting(&self) -> usize {
        self.set.waiting()
    }

    /// When time alone decides something next, and whose wait is the first.
    #[must_use]
    #[inline]
    pub fn next(&self) -> Option<(Time, Member)> {
        if self.waiting() == 0 {
            return None;
        }
        let first = self.set.first()?;
        Some((self.set.next().unwrap_or(Time::MAX), first.member))
    }

    /// Everybody who holds something or waits, and who has held something since it was last [cleared](crate::Op::Clear).
    #[must_use]
    pub fn present(&self) -> Vec<Member> {
        let waiting = self.set.waiters().map(|(_, key)| key.member);
        let holding = self.rows.iter().filter(|(_, row)| **row != Row::default()).map(|(member, _)| *member);
        let unclaimed = self.unclaimed.values().map(|(member, _)| *member);
        let mut present: Vec<_> = waiting.chain(holding).chain(unclaimed).collect();
        present.sort_unstable();
        present.dedup();
        present
    }

    /// Permits that are out.
    pub(super) fn active(&self) -> u64 {
        self.rows.values().fold(0, |sum, row| sum.saturating_add(row.active))
    }

    /// What one of `members` can go on with alone while they cannot ask each other, holding `held` itself.
    #[must_use]
    pub fn share<V>(&self, now: Time, members: NonZeroU64, held: &Demand) -> Set<V> {
        self.set.share(now, members, held)
    }

    /// How it stands at `now`, which is not before the latest instant. Costs a copy of the limits, as
    /// [`outlook`](Self::outlook) does.
    #[must_use]
    pub fn standing(&self, now: Time) -> Standing {
        let view = View { waiting: self.waiting(), ..self.set.without_waiters::<()>().view(now) };
        Standing { view, active: self.active(), members: self.present().len(), feedback: self.learnt.feedback() }
    }
}
