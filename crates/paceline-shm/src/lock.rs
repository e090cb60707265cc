//! The lock of one set, which outlives whoever holds it.
//!
//! A word says who holds it. Free, it is taken by one compare-and-swap, without a system call. Who finds it taken spins
//! for a moment, then sleeps on the futex for 2 ms at a time, and looks each time whether the owner is gone. If so, the
//! word is swapped to the new owner *while the old one's seat is locked*: were that lock given up first, the seat could be
//! taken, and its new holder take and lose this lock, in between. What the dead owner was doing is no matter here: the
//! journal is such that nothing half done is ever seen.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use paceline_replica::Member;
use rustix::thread::futex;

use crate::members::{Members, named, wait};

const FREE: u32 = 0;
/// Somebody sleeps.
const CONTENDED: u32 = 1 << 31;

const SPINS: u32 = 100;
const NAP: Duration = Duration::from_millis(2);

/// Held until it is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a AtomicU32);

/// Why it was not to be had.
#[derive(Debug)]
pub(crate) enum NotHeld {
    /// This one lives and does not let go.
    By(Member),
    /// Nobody can have written that.
    Damaged,
}

/// Takes the lock, waiting for `patience` if its owner lives.
pub(crate) fn take<'a>(word: &'a AtomicU32, members: &Members, patience: Duration) -> Result<Held<'a>, NotHeld> {
    let me = members.me().word();
    let swap = |old, new| word.compare_exchange(old, new, Ordering::Acquire, Ordering::Relaxed).is_ok();
    if swap(FREE, me) {
        return Ok(Held(word));
    }
    for _ in 0..SPINS {
        std::hint::spin_loop();
        if word.load(Ordering::Relaxed) == FREE && swap(FREE, me) {
            return Ok(Held(word));
        }
    }
    let began = Instant::now();
    loop {
        let seen = word.load(Ordering::Relaxed);
        if seen == FREE {
            // There may be others who sleep.
            if swap(FREE, me | CONTENDED) {
                return Ok(Held(word));
            }
            continue;
        }
        if seen & CONTENDED == 0 && !swap(seen, seen | CONTENDED) {
            continue;
        }
        let nap = Instant::now();
        wait(word, seen | CONTENDED, NAP);
        if nap.elapsed() < NAP {
            continue;
        }
        let owner = named(seen & !CONTENDED).ok_or(NotHeld::Damaged)?;
        // Threads of one member do not meet here, so what it finds in its own name is not its own.
        let taken = || swap(seen | CONTENDED, me | CONTENDED);
        let taken = if owner == members.me() { Some(taken()) } else { members.if_gone(owner, taken) };
        match taken {
            Some(true) => return Ok(Held(word)),
            None if began.elapsed() >= patience => return Err(NotHeld::By(owner)),
            _ => {}
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.0.swap(FREE, Ordering::Release) & CONTENDED != 0 {
            // Who is not woken looks by itself, a nap later.
            let _ = futex::wake(self.0, futex::Flags::empty(), 1);
        }
    }
}
