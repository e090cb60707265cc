//! A set's state file: an image and what was done since.
//!
//! ```text
//! header │ lock │ tail, image │ the limits as described │ image A │ image B │ journal, a ring of records
//! ```
//!
//! The state is the current image with the records behind it applied, up to the tail. Two words commit: a record counts
//! once the tail is behind it, an image once the image word names it. Everything else is written ahead of one of these,
//! into places that do not count yet: a record behind the tail, an image in the half that is not current. So wherever a
//! process dies, the state is that before its operation or that after it, and there is nothing to repair.
//!
//! Positions count words since the beginning and never wrap; a record lies at its position modulo the ring. Records that
//! the current image covers may be overwritten; a new image is made before the ring would run out.

#[cfg(test)]
mod budget;
#[cfg(test)]
mod crashes;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use paceline::backend::LimitSpec;
use paceline_core::Time;
use paceline_core::image::{Image, Words};
use paceline_replica::limits::{self, Limits};
use paceline_replica::{Effect, Op, Replica};

use crate::error::Error;
use crate::file::{Era, Found, HEADER, Wanted};
use crate::link::Link;
use crate::map::Mapping;
use crate::seats::SEATS;

const KIND: u64 = u64::from_le_bytes(*b"limits\0\0");

const RING_AT: usize = HEADER;
const IMAGE_WORDS_AT: usize = HEADER + 1;
const DESCRIBED_WORDS_AT: usize = HEADER + 2;
const PLACES_AT: usize = HEADER + 3;
const BOND_AT: usize = HEADER + 4;
/// On cache lines of their own, since all members look at them.
const LOCK_AT: usize = 16;
const TAIL_AT: usize = 24;
const IMAGE_AT: usize = 25;
const DESCRIBED_AT: usize = 32;

/// Words of the ring: a power of two.
const RING: usize = 1 << 15;
/// No record is longer: a correction on all limits is the longest, but for claims, which are cut.
const RECORD: usize = 1_024;
/// The most permits that one record claims.
pub(crate) const CLAIMS: usize = 256;
/// Words before an image: its length and its checksum.
const IMAGE_HEAD: usize = 2;

/// The state file of one set, mapped.
#[derive(Debug)]
pub(crate) struct Journal {
    map: Mapping,
    link: Link,
    described: Vec<(Arc<str>, LimitSpec)>,
    images: [usize; 2],
    image_words: usize,
    ring: usize,
    places: usize,
    #[cfg(test)]
    budget: budget::Budget,
}

/// A replica and up to where it has followed the journal.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) replica: Replica,
    at: u64,
    /// Whether it was read from an image, and does not know what its owner knew.
    pub(crate) anew: bool,
}

/// What no process of ours can have written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage(pub(crate) &'static str);

impl Journal {
    /// The file of a set, made with `first` if there is none. One that is there keeps its own limits. It names members of
    /// one [`bond`](crate::members::Members::bond) only.
    pub(crate) fn open_or_make(
        path: &Path,
        era: Era,
        bond: u64,
        limits: &Limits,
        places: usize,
        first: &Replica,
    ) -> Result<Self, Error> {
        let mut described = Vec::new();
        limits::write(limits, &mut described);
        let image_words = image_words(limits.len(), places);
        let words = DESCRIBED_AT + described.len() + 2 * image_words + RING;
        let wanted = Wanted { path, kind: KIND, era };
        let found = wanted.open_or_make(words, |map| {
            let sizes = [
                (RING_AT, RING),
                (IMAGE_WORDS_AT, image_words),
                (DESCRIBED_WORDS_AT, described.len()),
                (PLACES_AT, places),
            ];
            sizes.into_iter().for_each(|(at, size)| map.word(at).store(size as u64, Ordering::Relaxed));
            map.word(BOND_AT).store(bond, Ordering::Relaxed);
            let mut image = Vec::new();
            first.write(&mut image);
            let start = DESCRIBED_AT + described.len();
            let words = described.iter().zip(DESCRIBED_AT..).chain(image.iter().zip(start + IMAGE_HEAD..));
            words.for_each(|(word, at)| map.word(at).store(*word, Ordering::Relaxed));
            map.word(start).store(image.len() as u64, Ordering::Relaxed);
            map.word(start + 1).store(checksum(&image), Ordering::Relaxed);
        })?;
        Self::of(found, bond).map_err(|Damage(why)| Error::Damaged { path: path.to_owned(), why })
    }

    /// The file of a set that is there.
    pub(crate) fn open(path: &Path, era: Era, bond: u64) -> Result<Self, Error> {
        let found = Wanted { path, kind: KIND, era }.open()?;
        Self::of(found, bond).map_err(|Damage(why)| Error::Damaged { path: path.to_owned(), why })
    }

    fn of(Found { map, link, .. }: Found, bond: u64) -> Result<Self, Damage> {
        let size = |at: usize| usize::try_from(map.checked(at).ok_or(SHORT)?).map_err(|_| SHORT);
        let (ring_words, image_words, described_words) =
            (size(RING_AT)?, size(IMAGE_WORDS_AT)?, size(DESCRIBED_WORDS_AT)?);
        let places = size(PLACES_AT)?;
        let first = DESCRIBED_AT.checked_add(described_words).ok_or(SHORT)?;
        let second = first.checked_add(image_words).ok_or(SHORT)?;
        let ring = second.checked_add(image_words).ok_or(SHORT)?;
        let end = ring.checked_add(ring_words).ok_or(SHORT)?;
        if end != map.words().len() || ring_words != RING || image_words <= IMAGE_HEAD {
            return Err(SHORT);
        }
        if map.word(BOND_AT).load(Ordering::Relaxed) != bond {
            return Err(Damage("`members` beside it was replaced: it knows others"));
        }
        let words: Vec<_> = (DESCRIBED_AT..first).map(|at| map.word(at).load(Ordering::Relaxed)).collect();
        let described = limits::read(&mut Words::new(&words)).ok_or(Damage("its limits make no sense"))?;
        Ok(Self {
            map,
            link,
            described,
            images: [first, second],
            image_words,
            ring,
            places,
            #[cfg(test)]
            budget: budget::Budget::default(),
        })
    }

    /// The limits that it was made with.
    pub(crate) fn described(&self) -> &Limits {
        &self.described
    }

    /// Where it was found.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// How many can wait.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    pub(crate) fn lock(&self) -> &AtomicU32 {
        self.map.half(LOCK_AT)
    }

    fn store(&self, at: usize, word: u64, order: Ordering) {
        self.put(self.map.word(at), word, order);
    }

    /// Stores all of `words` from `at` on.
    fn store_all(&self, at: usize, words: &[u64]) {
        for (word, to) in words.iter().zip(&self.map.words()[at..at + words.len()]) {
            self.put(to, *word, Ordering::Relaxed);
        }
    }

    #[inline]
    fn put(&self, to: &AtomicU64, word: u64, order: Ordering) {
        #[cfg(test)]
        if !self.budget.spend() {
            return;
        }
        to.store(word, order);
    }

    fn tail(&self) -> u64 {
        self.map.word(TAIL_AT).load(Ordering::Acquire)
    }

    /// Which image is current, and up to where it covers the journal.
    fn current(&self) -> (usize, u64) {
        let word = self.map.word(IMAGE_AT).load(Ordering::Acquire);
        ((word & 1) as usize, word >> 1)
    }

    /// A replica at the tail: the one given, if it has not been away for too long. Under the lock, as all that follows.
    pub(crate) fn catch_up(&self, seen: Option<Box<Seen>>, scratch: &mut Vec<u64>) -> Result<Box<Seen>, Damage> {
        let tail = self.tail();
        let kept = |at: u64| tail.checked_sub(at).is_some_and(|behind| behind as usize <= RING - RECORD);
        let mut seen = match seen.filter(|seen| kept(seen.at)) {
            Some(seen) => seen,
            None => {
                let (which, at) = self.current();
                if !kept(at) {
                    return Err(Damage("its journal is longer than it can be"));
                }
                Box::new(Seen { replica: self.read_image(which, scratch)?, at, anew: true })
            }
        };
        while seen.at < tail {
            let ((now, op), after) = self.read_record(seen.at, tail, scratch)?;
            if !seen.replica.can_apply(now, &op) {
                return Err(Damage("its journal holds what cannot be"));
            }
            seen.replica.apply(now, &op);
            seen.at = after;
        }
        Ok(seen)
    }

    /// Does an operation, for which there is [room](Self::make_room), on a replica that is up to date and writes it down for
    /// everybody. What changed nothing is not written.
    pub(crate) fn execute(&self, seen: &mut Seen, now: Time, op: &Op, scratch: &mut Vec<u64>) -> Effect {
        let waiting = seen.replica.waiting() > 0;
        let effect = seen.replica.apply(now, op);
        // Where others wait, even a refusal may have come after what time decided.
        let nothing = matches!(effect, Effect::Wait(_) | Effect::Never(_) | Effect::TooLate) && !waiting;
        if !nothing && !matches!(effect, Effect::Refused(_)) {
            seen.at = self.append(seen.at, now, op, scratch);
        }
        effect
    }

    /// Makes sure that a record fits behind the tail. Before the operation, since the image is of the state before it.
    #[inline]
    pub(crate) fn make_room(&self, seen: &Seen, scratch: &mut Vec<u64>) -> Result<(), Damage> {
        let (which, covered) = self.current();
        if (seen.at.saturating_sub(covered) as usize) < RING / 2 {
            return Ok(());
        }
        self.write_image(seen, 1 - which, scratch)
    }

    /// Makes the image that is not current the current one.
    fn write_image(&self, seen: &Seen, other: usize, scratch: &mut Vec<u64>) -> Result<(), Damage> {
        scratch.clear();
        seen.replica.write(scratch);
        if scratch.len() + IMAGE_HEAD > self.image_words {
            return Err(Damage("its state is larger than it can be"));
        }
        let start = self.images[other];
        self.store(start, scratch.len() as u64, Ordering::Relaxed);
        self.store(start + 1, checksum(scratch), Ordering::Relaxed);
        self.store_all(start + IMAGE_HEAD, scratch);
        self.store(IMAGE_AT, seen.at << 1 | other as u64, Ordering::Release);
        Ok(())
    }

    /// Writes a record at the tail and commits it; where the tail is then.
    fn append(&self, at: u64, now: Time, op: &Op, scratch: &mut Vec<u64>) -> u64 {
        scratch.clear();
        scratch.extend([0, now.as_nanos()]);
        op.write(scratch);
        debug_assert!(scratch.len() <= RECORD, "{} words for {op:?}", scratch.len());
        scratch[0] = scratch.len() as u64;
        let start = within_ring(at);
        let (front, wrapped) = scratch.split_at(scratch.len().min(RING - start));
        self.store_all(self.ring + start, front);
        self.store_all(self.ring, wrapped);
        let after = at + scratch.len() as u64;
        self.store(TAIL_AT, after, Ordering::Release);
        after
    }

    fn read_record(&self, at: u64, tail: u64, scratch: &mut Vec<u64>) -> Result<((Time, Op), u64), Damage> {
        const WRONG: Damage = Damage("its journal cannot be read");
        let ring = &self.map.words()[self.ring..self.ring + RING];
        let start = within_ring(at);
        let length = ring[start].load(Ordering::Relaxed);
        let after = at.checked_add(length).filter(|after| *after <= tail && length <= RECORD as u64).ok_or(WRONG)?;
        let end = start + length as usize;
        scratch.clear();
        scratch.extend(ring[..end.min(RING)].iter().skip(start + 1).map(|word| word.load(Ordering::Relaxed)));
        scratch.extend(ring[..end.saturating_sub(RING)].iter().map(|word| word.load(Ordering::Relaxed)));
        let mut words = Words::new(scratch);
        let record = words.past().and_then(|now| Some((now, Op::read(&mut words)?)));
        Ok((record.filter(|_| words.left() == 0 && length > 0).ok_or(WRONG)?, after))
    }

    fn read_image(&self, which: usize, scratch: &mut Vec<u64>) -> Result<Replica, Damage> {
        const WRONG: Damage = Damage("its state cannot be read");
        let start = self.images[which];
        let word = |at: usize| self.map.word(at).load(Ordering::Relaxed);
        let length = usize::try_from(word(start)).ok().filter(|length| *length <= self.image_words - IMAGE_HEAD);
        let first = start + IMAGE_HEAD;
        scratch.clear();
        scratch.extend((first..first + length.ok_or(WRONG)?).map(word));
        if checksum(scratch) != word(start + 1) {
            return Err(WRONG);
        }
        let mut words = Words::new(scratch);
        let replica = Replica::read(&mut words).ok_or(WRONG)?;
        let fits = words.left() == 0 && replica.limits() == self.described.len();
        if fits { Ok(replica) } else { Err(WRONG) }
    }
}

/// Where in the ring a position lies.
fn within_ring(position: u64) -> usize {
    (position % RING as u64) as usize
}

const SHORT: Damage = Damage("its sizes make no sense");

/// The most words that an image can take: logs are full, all places are taken, and all seats hold something and have a word
/// on everything.
fn image_words(limits: usize, places: usize) -> usize {
    let (learnt, limit, quota) = (40, 40 + 2 * 1_024, 13);
    let demand = 1 + 3 * limits;
    let row = 4 + limits + limits * quota;
    IMAGE_HEAD + 18 + learnt + limits * (limit + quota) + places * (demand + 8) + usize::from(SEATS) * row
}

/// To tell an image from anything else; against malice there is the check of every value.
fn checksum(words: &[u64]) -> u64 {
    words.iter().fold(words.len() as u64, |sum, word| (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}
