//! What the store tells, applied in its order.

use std::time::Instant;

use paceline_core::Time;
use paceline_core::image::{Image as _, Words};
use paceline_replica::{Effect, Op, Replica, Verdict};

use super::batch::{Tag, Todo, tell};
use super::own::Permit;
use super::state::{Seen, State};
use crate::entry::{self, Entry, News, What};
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
        let (number, mark, image_at, members) = (told.image_at, told.mark, told.image_at, told.members);
        let before =
            self.seen.replace(Seen { replica, incarnation, number, mark, image_at, members, joined: None, time });
        if let Err(damage) = self.apply_all(told) {
            // Should it be removed, this is what it is made anew with.
            self.seen = before;
            return Err(damage);
        }
        (self.joined, self.known, self.worked) = (true, true, true);
        self.renewed = asked;
        Ok(())
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self, told: &Told, asked: Instant, now: Instant) -> Result<(), Damage> {
        let stamp = entry::instant(told.now).ok_or("its time makes no sense")?;
        let Some(seen) = &mut self.seen else { return Ok(()) };
        seen.time.answered(asked, now, stamp);
        if seen.time.stands_still(asked, now, stamp) {
            let set = &self.name;
            tracing::warn!(%set, "the clock of the store was set back: until it has caught up, no time passes for shared limits");
        }
        // An answer can be read after news that came behind it.
        let joined = seen.joined.take_if(|(heard, _)| *heard >= asked).map_or(0, |(_, count)| count);
        (seen.image_at, seen.members) = (told.image_at, told.members.max(joined));
        self.renewed = asked;
        if !told.image.is_empty() && told.image_at > seen.number {
            let replica = self.read(&told.image)?;
            if let Some(seen) = &mut self.seen {
                (seen.replica, seen.number, seen.mark) = (replica, told.image_at, told.mark);
            }
            self.catch_up();
        }
        self.apply_all(told)?;
        self.behind = false;
        // Entries were lost that no image has, and all of them were seen here.
        self.image_due |= told.image_at < told.base;
        Ok(())
    }

    /// After an answer: what was sent must be among what it told.
    pub(super) fn arrived(&mut self) {
        if self.sent.is_some() {
            // It came long ago, and what it led to is in an image by now, which does not tell. So it is given up, and what is
            // held is told again.
            self.begin_anew();
        }
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
        // What is none calls who has seen all.
        let Some(news) = News::read(payload) else { return self.fetch() };
        let Some(seen) = self.seen.as_mut().filter(|seen| seen.incarnation == news.incarnation) else { return };
        let (number, entry) = match news.what {
            What::Entry(number, entry) => (number, entry),
            What::Members(count) => {
                (seen.members, seen.joined) = (count, Some((now, count)));
                return;
            }
        };
        if let Some(stamp) = entry.first_chunk().map(|word| u64::from_le_bytes(*word)).and_then(entry::instant) {
            seen.time.heard(now, stamp);
        }
        if let Err(damage) = self.apply(number, entry) {
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
        if let Some((arrived, waited)) = own.as_ref().and_then(|sent| sent.latest) {
            if self.latest.is_none_or(|(before, _)| before <= arrived) {
                let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
                self.latest = Some((arrived, Time::from_nanos(now.as_nanos().saturating_sub(waited))));
            }
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
            (Tag::Done(done) | Tag::Mark(done), _) => tell(done, Ok(())),
            (Tag::Hold(permits), _) => self.find_lost(permits),
            (Tag::Stock(shelf), effect) => {
                let grant = if let Effect::Granted(grant) = effect { Some(grant) } else { None };
                if let Some(grant) = self.stock.came(shelf, grant, began) {
                    self.later(Todo::Undo(grant));
                }
            }
            (Tag::Change(op, _), Effect::Refused(why)) => {
                tracing::warn!(set = %self.name, ?op, %why, "a change of shared limits was refused");
            }
            _ => {}
        }
    }

    /// The replica as an image, if it is on this member to make it.
    pub(super) fn image(&mut self) -> Option<(u64, entry::Mark, Vec<u8>)> {
        let seen = self.seen.as_ref().filter(|_| std::mem::take(&mut self.image_due))?;
        Some((seen.number, seen.mark?, written(&seen.replica)))
    }
}

pub(super) fn written(replica: &Replica) -> Vec<u8> {
    let mut words = Vec::new();
    replica.write(&mut words);
    entry::bytes(&words)
}
