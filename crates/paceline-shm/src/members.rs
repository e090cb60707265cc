//! Who shares: a seat for each, that the kernel clears.
//!
//! A member takes a seat by an exclusive lock on its file (`flock(2)`), which the kernel drops when the last process that
//! has it open is gone, however it went: no pids that are used again or mean something else in another namespace. Each
//! time a seat is taken its *term* rises, so what a former holder left is told from what the present one has.
//!
//! The file of members has for each seat the term, the pid (for people to read), and a *bell*: a futex that the
//! member's thread sleeps on and that others ring when one of its waiters is decided.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use rustix::thread::futex;

use crate::error::Error;
use crate::file::{Era, HEADER, Wanted};
use crate::map::Mapping;
use crate::place::{Place, failed};

/// How many can share.
pub(crate) const SEATS: u16 = 256;

const KIND: u64 = u64::from_le_bytes(*b"members\0");

/// A cache line a seat.
const STRIDE: usize = 8;
const BELL: usize = 0;
const ASLEEP: usize = 1;
const TERM: usize = 2;
const PID: usize = 3;

/// A seat for one term: no two members ever have the same, but after 32,768 terms of one seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Member(u32);

impl Member {
    fn new(seat: u16, term: u32) -> Self {
        Self((term & 0x7fff) << 16 | (u32::from(seat) + 1))
    }

    /// None for what no member is.
    pub(crate) fn of(word: u32) -> Option<Self> {
        let seat = (word & 0xffff) as u16;
        (word >> 31 == 0 && (1..=SEATS).contains(&seat)).then_some(Self(word))
    }

    /// Never zero, and 31 bits long.
    pub(crate) fn word(self) -> u32 {
        self.0
    }

    fn seat(self) -> u16 {
        (self.0 & 0xffff) as u16 - 1
    }

    fn term(self) -> u32 {
        self.0 >> 16
    }
}

/// All members, seen by one of them.
#[derive(Debug)]
pub(crate) struct Members {
    place: Place,
    map: Mapping,
    me: Member,
    /// Held for as long as this lives.
    _seat: File,
    /// The lock files of others, opened when they were first asked about.
    others: Mutex<Vec<Option<File>>>,
}

impl Members {
    /// Takes a seat.
    pub(crate) fn join(place: Place, era: Era) -> Result<Self, Error> {
        let wanted = Wanted { path: &place.members(), kind: KIND, era };
        let map = wanted.open_or_make(HEADER + usize::from(SEATS) * STRIDE, |_| {})?;
        for seat in 0..SEATS {
            let Some(file) = take(&place, seat)? else { continue };
            let term = map.word(at(seat, TERM)).fetch_add(1, Ordering::AcqRel) as u32;
            let me = Member::new(seat, term.wrapping_add(1));
            map.word(at(seat, PID)).store(u64::from(std::process::id()), Ordering::Relaxed);
            map.word(at(seat, ASLEEP)).store(0, Ordering::SeqCst);
            let others = Mutex::new((0..SEATS).map(|_| None).collect());
            return Ok(Self { place, map, me, _seat: file, others });
        }
        Err(Error::Full { path: place.path().to_owned(), most: SEATS })
    }

    pub(crate) fn me(&self) -> Member {
        self.me
    }

    pub(crate) fn pid(&self, member: Member) -> u64 {
        self.map.word(at(member.seat(), PID)).load(Ordering::Relaxed)
    }

    /// If `member` is gone, calls `then`, during which nobody can take its seat.
    pub(crate) fn if_gone<R>(&self, member: Member, then: impl FnOnce() -> R) -> Option<R> {
        if member == self.me {
            return None;
        }
        if member.seat() == self.me.seat() || self.term(member.seat()) != member.term() {
            return Some(then());
        }
        let mut others = self.others.lock();
        let file = &mut others[usize::from(member.seat())];
        if file.is_none() {
            *file = open(&self.place, member.seat()).ok();
        }
        let file = file.as_ref()?;
        if flock(file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return None;
        }
        let result = then();
        // Cannot fail on a lock that is held; were it to, the seat stays taken, which harms nobody.
        let _ = flock(file, FlockOperation::Unlock);
        Some(result)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        let taken = (0..SEATS).filter(|seat| self.map.word(at(*seat, TERM)).load(Ordering::Acquire) != 0);
        let others = taken.map(|seat| Member::new(seat, self.term(seat))).filter(|member| *member != self.me);
        1 + others.filter(|member| self.if_gone(*member, || {}).is_none()).count()
    }

    fn term(&self, seat: u16) -> u32 {
        self.map.word(at(seat, TERM)).load(Ordering::Acquire) as u32 & 0x7fff
    }

    /// Has a member's thread look.
    pub(crate) fn ring(&self, member: Member) {
        let bell = self.map.half(at(member.seat(), BELL));
        bell.fetch_add(1, Ordering::SeqCst);
        if self.map.word(at(member.seat(), ASLEEP)).load(Ordering::SeqCst) != 0 {
            // A bell that cannot be rung is found out by looking again, which members do.
            let _ = futex::wake(bell, futex::Flags::empty(), 1);
        }
    }

    /// How often this member's bell was rung.
    pub(crate) fn rings(&self) -> u32 {
        self.map.half(at(self.me.seat(), BELL)).load(Ordering::SeqCst)
    }

    /// Sleeps until the bell was rung more often than `heard`, or as long as `limit`.
    pub(crate) fn sleep(&self, heard: u32, limit: Duration) {
        let asleep = self.map.word(at(self.me.seat(), ASLEEP));
        asleep.store(1, Ordering::SeqCst);
        wait(self.map.half(at(self.me.seat(), BELL)), heard, limit);
        asleep.store(0, Ordering::SeqCst);
    }
}

/// Waits on a futex that other processes wake; whyever it returns, the caller looks.
pub(crate) fn wait(word: &std::sync::atomic::AtomicU32, seen: u32, limit: Duration) {
    let limit =
        rustix::time::Timespec { tv_sec: limit.as_secs().min(1 << 30) as i64, tv_nsec: limit.subsec_nanos().into() };
    // No flag: the futex is not private to this process.
    let _ = futex::wait(word, futex::Flags::empty(), seen, Some(&limit));
}

/// How many seats of a place are taken.
pub(crate) fn census(place: &Place) -> Result<usize, Error> {
    let mut count = 0;
    for seat in (0..SEATS).filter(|seat| seat_path(place, *seat).exists()) {
        count += usize::from(take(place, seat)?.is_none());
    }
    Ok(count)
}

fn at(seat: u16, field: usize) -> usize {
    HEADER + usize::from(seat) * STRIDE + field
}

fn seat_path(place: &Place, seat: u16) -> std::path::PathBuf {
    place.seats().join(format!("{seat:03}"))
}

fn open(place: &Place, seat: u16) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(seat_path(place, seat))
}

/// The locked file of a free seat.
fn take(place: &Place, seat: u16) -> Result<Option<File>, Error> {
    let path = seat_path(place, seat);
    let file = open(place, seat).map_err(failed("opening", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(failed("locking", &path)(error.into())),
    }
    Ok(Some(file))
}
