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

use paceline_replica::Member;
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

/// Who has a seat for one term, in 31 bits: no two members ever are the same, but after 32,768 terms of one seat.
fn member(seat: u16, term: u32) -> Option<Member> {
    Member::of((term & 0x7fff) << 16 | (u32::from(seat) + 1))
}

/// The seat and the term of a member; none of what nobody here can be.
fn seat(member: Member) -> Option<(u16, u32)> {
    let (low, term) = ((member.word() & 0xffff) as u16, member.word() >> 16);
    let seat = low.checked_sub(1).filter(|seat| *seat < SEATS)?;
    (term <= 0x7fff).then_some((seat, term))
}

/// All members, seen by one of them.
#[derive(Debug)]
pub(crate) struct Members {
    place: Place,
    map: Mapping,
    me: Member,
    seat: u16,
    /// Held for as long as this lives.
    _file: File,
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
            let Some(me) = member(seat, term.wrapping_add(1)) else { continue };
            map.word(at(seat, PID)).store(u64::from(std::process::id()), Ordering::Relaxed);
            map.word(at(seat, ASLEEP)).store(0, Ordering::SeqCst);
            let others = Mutex::new((0..SEATS).map(|_| None).collect());
            return Ok(Self { place, map, me, seat, _file: file, others });
        }
        Err(Error::Full { path: place.path().to_owned(), most: SEATS })
    }

    pub(crate) fn me(&self) -> Member {
        self.me
    }

    pub(crate) fn pid(&self, member: Member) -> u64 {
        seat(member).map_or(0, |(seat, _)| self.map.word(at(seat, PID)).load(Ordering::Relaxed))
    }

    /// If `member` is gone, calls `then`, during which nobody can take its seat.
    pub(crate) fn if_gone<R>(&self, member: Member, then: impl FnOnce() -> R) -> Option<R> {
        if member == self.me {
            return None;
        }
        let taken = seat(member).filter(|(seat, term)| *seat != self.seat && self.term(*seat) == *term);
        let Some((seat, _)) = taken else { return Some(then()) };
        let mut others = self.others.lock();
        let file = &mut others[usize::from(seat)];
        if file.is_none() {
            *file = open(&self.place, seat).ok();
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
        let others = taken.filter_map(|seat| member(seat, self.term(seat))).filter(|member| *member != self.me);
        1 + others.filter(|member| self.if_gone(*member, || {}).is_none()).count()
    }

    fn term(&self, seat: u16) -> u32 {
        self.map.word(at(seat, TERM)).load(Ordering::Acquire) as u32 & 0x7fff
    }

    /// Has a member's thread look.
    pub(crate) fn ring(&self, member: Member) {
        let Some((seat, _)) = seat(member) else { return };
        let bell = self.map.half(at(seat, BELL));
        bell.fetch_add(1, Ordering::SeqCst);
        if self.map.word(at(seat, ASLEEP)).load(Ordering::SeqCst) != 0 {
            // A bell that cannot be rung is found out by looking again, which members do.
            let _ = futex::wake(bell, futex::Flags::empty(), 1);
        }
    }

    /// How often this member's bell was rung.
    pub(crate) fn rings(&self) -> u32 {
        self.map.half(at(self.seat, BELL)).load(Ordering::SeqCst)
    }

    /// Sleeps until the bell was rung more often than `heard`, or as long as `limit`.
    pub(crate) fn sleep(&self, heard: u32, limit: Duration) {
        let asleep = self.map.word(at(self.seat, ASLEEP));
        asleep.store(1, Ordering::SeqCst);
        wait(self.map.half(at(self.seat, BELL)), heard, limit);
        asleep.store(0, Ordering::SeqCst);
    }
}

/// The member that a word of a lock names, if it can be one.
pub(crate) fn named(word: u32) -> Option<Member> {
    Member::of(word).filter(|member| seat(*member).is_some())
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
