//! Who shares: a seat for each, that the kernel clears.
//!
//! A member takes a [seat](crate::seats) by a lock that the kernel drops when its process is gone, however it went: no
//! pids that are used again or mean something else in another namespace. Each time a seat is taken its *term* rises, so
//! what a former holder left is told from what the present one has.
//!
//! The file of members has for each seat the term, the pid (for people to read), and a *bell*: a futex that the
//! member's thread sleeps on and that others ring when one of its waiters is decided. Its *bond* is a random number that
//! state files repeat: they name members by seat and term, which mean something else in another file of members.

use std::sync::atomic::Ordering;
use std::time::Duration;

use paceline_replica::Member;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use rustix::thread::futex;

use crate::error::Error;
use crate::file::{Era, Found, HEADER, Wanted};
use crate::link::Link;
use crate::map::Mapping;
use crate::place::{Place, failed};
use crate::seats::{SEATS, Seats};

const KIND: u64 = u64::from_le_bytes(*b"members\0");

/// A cache line a seat.
const STRIDE: usize = 8;
const BELL: usize = 0;
const ASLEEP: usize = 1;
const TERM: usize = 2;
const PID: usize = 3;
/// Behind the seats.
const BOND_AT: usize = HEADER + SEATS as usize * STRIDE;

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
    map: Mapping,
    link: Link,
    seats: Seats,
    me: Member,
    seat: u16,
}

impl Members {
    /// Takes a seat.
    pub(crate) fn join(place: &Place, era: Era) -> Result<Self, Error> {
        let path = place.members();
        let Found { map, file, link } = Wanted { path: &path, kind: KIND, era }.open_or_make(BOND_AT + 1, |map| {
            let bond = OsRng.try_next_u64().unwrap_or_else(|_| rand::random());
            map.word(BOND_AT).store(bond, Ordering::Relaxed);
        })?;
        let seats = Seats::new(file);
        for seat in 0..SEATS {
            if !seats.take(seat).map_err(failed("locking", &path))? {
                continue;
            }
            let term = map.word(at(seat, TERM)).fetch_add(1, Ordering::AcqRel) as u32;
            let Some(me) = member(seat, term.wrapping_add(1)) else { continue };
            map.word(at(seat, PID)).store(u64::from(std::process::id()), Ordering::Relaxed);
            map.word(at(seat, ASLEEP)).store(0, Ordering::SeqCst);
            return Ok(Self { map, link, seats, me, seat });
        }
        Err(Error::Full { path: place.path().to_owned(), most: SEATS })
    }

    /// What state files whose members these are repeat.
    pub(crate) fn bond(&self) -> u64 {
        self.map.word(BOND_AT).load(Ordering::Relaxed)
    }

    /// Where they were found.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Whether the others still know this member by its seat and term: else they take it for gone.
    #[inline]
    pub(crate) fn is_known(&self) -> bool {
        self.term(self.seat) == self.me.word() >> 16
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
        self.seats.if_free(seat, then)
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
        let mine = u64::from(self.me.word());
        asleep.store(mine, Ordering::SeqCst);
        wait(self.map.half(at(self.seat, BELL)), heard, limit);
        // The seat may be another's by now, who sleeps.
        let _ = asleep.compare_exchange(mine, 0, Ordering::SeqCst, Ordering::Relaxed);
    }

    /// Gives the seat up. First its thread is sent on: it must not sleep on another's bell.
    pub(crate) fn leave(&self) {
        self.ring(self.me);
        self.seats.leave(self.seat);
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

fn at(seat: u16, field: usize) -> usize {
    HEADER + usize::from(seat) * STRIDE + field
}
