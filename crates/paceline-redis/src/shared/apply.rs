//! What the store tells, applied in its order.

use std::time::Instant;

use paceline::backend::Answer;
use paceline_core::image::{Image as _, Words};
use paceline_core::{LimitKind, Time};
use paceline_replica::{Effect, Op, Replica, Verdict};

use super::batch::{Tag, Todo, tell};
use super::own::Permit;
use super::state::{Seen, State, somebody};
use crate::entry::{self, Entry, News};
use crate::scripts::Told;
use crate::store_time::StoreTime;

/// Why what was told cannot be used.
type Damage = &'static str;

/// How many entries may come after an image before there is to be another.
const IMAGE_AFTER: u64 = 2_048;
/// Whoever has written an entry with such a number makes it.
const IMAGE_EACH: u64 = 256;

impl State {
    /// Becomes a member of what the store tells of.
    pub(super) fn enter(
        &mut self,
        incarnation: Vec<u8>,
        told: &Told,
        asked: Instant,
        now: Instant,
    ) -> Result<(), Damage> {
        let replica = self.read(&told.image)?;
        let stamp = entry::instant(told.now).ok_or("its time makes no sense")?;
        let mut time = StoreTime::new();
        time.answered(asked, now, stamp);
        let (number, image_at, members) = (told.image_at, told.image_at, told.members);
        self.seen = Some(Seen { replica, incarnation, number, mark: None, image_at, members, time });
        self.apply_all(told)?;
        (self.joined, self.known) = (true, true);
        self.renewed = asked;
        Ok(())
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self, told: &Told, asked: Instant, now: Instant) -> Result<(), Damage> {
        let stamp = entry::instant(told.now).ok_or("its time makes no sense")?;
        let Some(seen) = &mut self.seen else { return Ok(()) };
        seen.time.answered(asked, now, stamp);
        (seen.image_at, seen.members) = (told.image_at, told.members);
        self.renewed = asked;
        if !told.image.is_empty() && told.image_at > seen.number {
            let replica = self.read(&told.image)?;
            if let Some(seen) = &mut self.seen {
                (seen.replica, seen.number, seen.mark) = (replica, told.image_at, None);
            }
            self.catch_up();
        }
        self.apply_all(told)?;
        self.behind = false;
        Ok(())
    }

    fn apply_all(&mut self, told: &Told) -> Result<(), Damage> {
        let count = u64::try_from(told.entries.len()).map_err(|_| "it is too long")?;
        let first = told.tail.checked_sub(count).ok_or("its numbers make no sense")? + 1;
        (first..).zip(&told.entries).try_for_each(|(number, bytes)| self.apply(number, bytes))?;
        // An answer has all that was missing: to ask again would tell the same.
        if self.seen.as_ref().is_some_and(|seen| seen.number < told.tail) {
            return Err("entries of its journal are missing");
        }
        Ok(())
    }

    fn read(&self, image: &[u8]) -> Result<Replica, Damage> {
        let words = entry::words(image).ok_or("its image is cut short")?;
        let mut words = Words::new(&words);
        let replica = Replica::read(&mut words).filter(|_| words.left() == 0).ok_or("its image cannot be read")?;
        if replica.limits() == self.rules.len() { Ok(replica) } else { Err("its image is of other limits") }
    }

    /// Takes note of news.
    pub(super) fn hear(&mut self, payload: &[u8], now: Instant) {
        let Some(news) = News::read(payload) else { return };
        let Some(seen) = self.seen.as_mut().filter(|seen| seen.incarnation == news.incarnation) else { return };
        if let Some(stamp) = news.entry.first_chunk().map(|word| u64::from_le_bytes(*word)).and_then(entry::instant) {
            seen.time.heard(now, stamp);
        }
        if let Err(damage) = self.apply(news.number, news.entry) {
            self.damage = Some(damage);
        }
        // Others' doings are most of the news, and seldom give us something to do.
        let first = self.due().is_some_and(|(_, first)| first);
        if self.behind || self.damage.is_some() || first || self.has_for_others() {
            self.work();
        }
    }

    fn apply(&mut self, number: u64, bytes: &[u8]) -> Result<(), Damage> {
        let Some(seen) = &mut self.seen else { return Ok(()) };
        if number <= seen.number {
            return Ok(());
        }
        if number != seen.number + 1 {
            self.behind = true;
            return Ok(());
        }
        let Entry { mark, now, member, batch, ops } = Entry::read(bytes).ok_or("an entry cannot be read")?;
        let me = self.me;
        let by_us = member == u64::from(me.word());
        let own = self.sent.take_if(|sent| by_us && batch == sent.batch);
        if own.is_some() && number % IMAGE_EACH == 0 && number.saturating_sub(seen.image_at) >= IMAGE_AFTER {
            self.image_due = true;
        }
        let began = own.as_ref().map_or_else(Instant::now, |sent| sent.began);
        let mut tags = own.into_iter().flat_map(|sent| sent.tags);
        let mut cleared = false;
        for op in &ops {
            let Some(seen) = self.seen.as_mut().filter(|seen| seen.replica.can_apply(now, op)) else {
                return Err("its journal holds what cannot be");
            };
            let effect = seen.replica.apply(now, op);
            if let Some(tag) = tags.next() {
                self.came_of(tag, effect, began);
            }
            cleared |= !by_us && *op == Op::Clear(me);
        }
        if let Some(seen) = &mut self.seen {
            (seen.number, seen.mark) = (number, Some(mark));
        }
        self.note();
        // While it is about to join, what it finds is what was.
        if cleared && self.joined {
            self.lose();
        }
        Ok(())
    }

    /// One's own operation has come to this.
    fn came_of(&mut self, tag: Tag, effect: Effect, began: Instant) {
        match (tag, effect) {
            (Tag::Ask(permit), Effect::Granted(grant)) => self.decide(permit, Verdict::Granted(grant)),
            (Tag::Ask(permit), Effect::Never(refusal)) => self.decide(permit, Verdict::Refused(refusal)),
            (Tag::Ask(permit), Effect::TooLate) => self.decide(permit, Verdict::TooLate),
            (Tag::Settle(permit, _), Effect::Settled(settled)) => {
                if let Some(Permit::Held { grant, .. }) = self.permits.get_mut(&permit) {
                    *grant = settled;
                }
            }
            (Tag::Done(done), _) => tell(done, Ok(())),
            (Tag::Hold(permits), _) => self.find_lost(permits),
            (Tag::Stock(shelf), effect) => {
                let grant = if let Effect::Granted(grant) = effect { Some(grant) } else { None };
                if let Some(grant) = self.stock.came(shelf, grant, began) {
                    self.later(Todo::Undo(grant));
                }
            }
            (Tag::Change(op), Effect::Refused(why)) => {
                tracing::warn!(set = %self.name, ?op, %why, "a change of shared limits was refused");
            }
            _ => {}
        }
    }

    /// Of permits that the store was told of anew, the latest are lost that others have been given the room of.
    fn find_lost(&mut self, mut permits: Vec<u128>) {
        let Some(seen) = &mut self.seen else { return };
        let mut debts: Vec<_> = seen.replica.standing(seen.replica.now()).view.limits;
        let since = |permit: &u128| self.permits.get(permit).and_then(Permit::grant).map(|grant| grant.at);
        permits.sort_by_key(|permit| std::cmp::Reverse(since(permit)));
        let mut count = 0;
        for permit in permits {
            let Some(Permit::Held { grant, lost, .. }) = self.permits.get_mut(&permit) else { continue };
            *lost = false;
            for part in grant.charged.parts() {
                let limit = &mut debts[usize::from(part.limit)];
                if limit.kind == LimitKind::Resource && limit.debt > 0 {
                    limit.debt = limit.debt.saturating_sub(part.units);
                    *lost = true;
                }
            }
            count += usize::from(*lost);
        }
        if count > 0 {
            tracing::warn!(set = %self.name, lost = count, "others have been given what permits of this process held");
        }
    }

    /// Takes note of what became of waits.
    fn note(&mut self) {
        let Some(seen) = &mut self.seen else { return };
        let me = self.me;
        let decided = std::mem::take(seen.replica.decided());
        for key in decided.into_iter().filter(|key| key.member == me) {
            // In the order in which they were decided: so they are woken.
            self.note_one(key.permit);
        }
    }

    /// What counts is how it stands now.
    fn note_one(&mut self, permit: u128) {
        let Some(seen) = &self.seen else { return };
        if let Some(verdict) = seen.replica.unclaimed(permit).cloned() {
            if !self.claims.contains(&permit) {
                self.claims.push(permit);
                self.decide(permit, verdict);
                self.linger();
            }
        } else if !seen.replica.is_waiting(permit) {
            // Others went first while this process stood still.
            match self.permits.get_mut(&permit) {
                // It takes its old place again.
                Some(Permit::Waiting { asked, .. }) => {
                    *asked = false;
                    self.later(Todo::Ask(permit));
                }
                // The grant was taken back before we claimed it. It is used all the same: who claims it holds it again.
                Some(Permit::Held { .. }) => {
                    self.claims.push(permit);
                    self.linger();
                }
                _ => {}
            }
        }
    }

    /// After an image, looks what became of those who were waiting before it.
    fn catch_up(&mut self) {
        let Some(seen) = &self.seen else { return };
        let in_flight: Vec<u128> = self
            .sent
            .iter()
            .flat_map(|sent| &sent.tags)
            .filter_map(|tag| match tag {
                Tag::Ask(permit) => Some(*permit),
                _ => None,
            })
            .collect();
        let mut all: Vec<u128> = seen.replica.unclaimed_of(self.me).collect();
        all.extend(
            self.permits
                .iter()
                .filter_map(|(permit, what)| matches!(what, Permit::Waiting { asked: true, .. }).then_some(*permit)),
        );
        all.retain(|permit| !in_flight.contains(permit));
        all.sort_unstable();
        all.dedup();
        all.into_iter().for_each(|permit| self.note_one(permit));
    }

    fn decide(&mut self, permit: u128, verdict: Verdict) {
        if !matches!(self.permits.get(&permit), Some(Permit::Waiting { .. })) {
            return self.decline(permit, verdict);
        }
        let decided = match verdict {
            Verdict::Granted(grant) => Permit::held(grant, false),
            Verdict::Refused(refusal) => Permit::Over(Answer::Never(refusal)),
            Verdict::TooLate => Permit::Over(Answer::TooLate),
        };
        self.end_wait(permit, decided);
        // While the store is away for this client, an answer can come through: it waits in the share as well.
        self.cancel_alone(permit, Instant::now());
    }

    /// Nobody here waits for it.
    fn decline(&mut self, permit: u128, verdict: Verdict) {
        // An image tells again what is known and on its way to be claimed.
        let known = matches!(self.permits.get(&permit), Some(Permit::Held { .. }));
        if let (Verdict::Granted(grant), false) = (verdict, known) {
            // Whoever wanted it is gone, or has been told that it failed.
            if let Some(Permit::Failed { asked, .. }) = self.permits.get_mut(&permit) {
                *asked = false;
            }
            self.later(Todo::Undo(grant));
        }
    }

    /// Whoever has not heard of the store for a lease takes it for lost by its own clock, before others have it by the
    /// store's.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.known && now >= self.renewed + self.lease {
            self.lose();
        }
    }

    /// The lease has ended: what was held may be others' by now. It is held again by somebody new, as far as there is room,
    /// and beyond that it is a debt of the set, since its holder may go on with it.
    pub(super) fn lose(&mut self) {
        let before = self.me;
        (self.me, self.known) = (somebody(), false);
        // Whoever was not told yet asks again.
        self.permits.retain(|_, permit| !matches!(permit, Permit::Held { told: false, .. }));
        let mut count = 0;
        for permit in self.permits.values_mut() {
            if let Permit::Held { lost, .. } = permit {
                *lost = true;
                count += 1;
            }
        }
        if count > 0 {
            tracing::warn!(set = %self.name, permits = count, "the lease on shared limits has ended");
        }
        self.begin_anew();
        self.todo.insert(0, Todo::Op(Op::Clear(before)));
    }

    /// The replica as an image, if it is on this member to make it.
    pub(super) fn image(&mut self) -> Option<(u64, entry::Mark, Vec<u8>)> {
        let seen = self.seen.as_ref().filter(|_| std::mem::take(&mut self.image_due))?;
        Some((seen.number, seen.mark?, written(&seen.replica)))
    }

    /// When time decides something next, and whether it is on this member to be in time.
    pub(super) fn due(&self) -> Option<(Time, bool)> {
        let seen = self.seen.as_ref()?;
        let (then, first) = seen.replica.next()?;
        Some((then, first == self.me))
    }
}

pub(super) fn written(replica: &Replica) -> Vec<u8> {
    let mut words = Vec::new();
    replica.write(&mut words);
    entry::bytes(&words)
}
