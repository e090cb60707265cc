//! Waiting: who keeps the time while demands wait, and how they are told.
//!
//! Decisions are made by whoever causes them (a permit that returns, a correction, a cancelled wait) in its own call.
//! Only time passing needs somebody: while futures wait, one task a set sleeps until the next instant at which
//! something can be decided; while threads wait, one of them does. So a waiter is woken once, when it is granted, and a
//! future that nobody polls holds up nobody. Where futures of several runtimes wait for one set, each runtime has such a
//! task, since any of them may stop being driven without a word.

mod blocking;
mod driver;
mod future;
mod hooks;

use std::sync::Arc;
use std::task::Waker;
use std::thread::Thread;
use std::time::Duration;

use paceline_core::{Ticket, Time};
use smallvec::SmallVec;

use crate::joint::JointWait;

pub(crate) use blocking::{block_on_set, on_a_thread};
pub(crate) use driver::{Driver, ensure_driver};
pub use future::Acquire;
pub(crate) use future::{Wait, WaitOutcome};
pub(crate) use hooks::Hooks;
pub use hooks::Waiting;

/// How a waiter is told.
#[derive(Clone, Debug)]
pub(crate) enum Wake {
    Task(Waker),
    Thread(Thread),
    Joint(Arc<JointWait>),
    /// The driver, to sleep anew.
    Driver(Arc<tokio::sync::Notify>),
}

impl Wake {
    pub(crate) fn wake(self) {
        match self {
            Self::Task(waker) => waker.wake(),
            Self::Thread(thread) => thread.unpark(),
            Self::Joint(wait) => wait.wake(),
            Self::Driver(notify) => notify.notify_one(),
        }
    }
}

/// What a set needs once somebody has had to wait: who keeps its time, and what waiting came to.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// The tasks that sleep for waiting futures, one a runtime.
    pub(crate) drivers: SmallVec<[Driver; 1]>,
    /// The thread that sleeps for waiting threads.
    pub(crate) leader: Option<Ticket>,
    /// Until when they sleep at most.
    pub(crate) armed: Time,
    /// Whether permits that come back have to say so: somebody waits.
    pub(crate) listening: bool,
    /// Waits that ended in a grant.
    pub(crate) waits: u64,
    /// How long those took together.
    pub(crate) waited: Duration,
}

impl Default for Keeper {
    fn default() -> Self {
        Self {
            drivers: SmallVec::new(),
            leader: None,
            armed: Time::MAX,
            listening: false,
            waits: 0,
            waited: Duration::ZERO,
        }
    }
}

impl Keeper {
    /// Whom to tell that something can be decided at `next`, if they would sleep longer.
    pub(crate) fn rearm(&mut self, next: Time, leader: impl FnOnce(Ticket) -> Option<Wake>) -> SmallVec<[Wake; 2]> {
        if next >= self.armed {
            return SmallVec::new();
        }
        self.armed = next;
        let drivers = self.drivers.iter().map(|driver| Wake::Driver(Arc::clone(&driver.notify)));
        drivers.chain(self.leader.and_then(leader)).collect()
    }

    /// One of them goes to sleep until `next`. Unless it is alone, an earlier instant than the others know of is left for
    /// [`rearm`](Self::rearm) to tell them.
    pub(crate) fn sleeps_until(&mut self, next: Time, alone: bool) {
        if alone || next > self.armed {
            self.armed = next;
        }
    }

    /// The set is gone.
    pub(crate) fn retire(&mut self) {
        self.drivers.drain(..).for_each(|driver| driver.notify.notify_one());
    }
}
