//! One shared set, as this process has it: its replica, and its own demands and permits.
//!
//! Every step takes this process's lock, then the set's, catches up with what others did, does its own, and lets both go;
//! only then are wakers called and bells rung. Every permit and wait holds on to it, and the keeper while something could
//! not be done, so it goes once nothing of it is out.

mod ask;
mod step;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use paceline::backend::{Answer, Ask, BackendError, BoxFuture, Change, Home, PermitId, Report, Standing};
use paceline::{Clock, Priority, Time};
use paceline_core::{Demand, Grant};
use paceline_replica::{Effect, Op, Verdict};
use parking_lot::Mutex;

use crate::error::Error;
use crate::journal::{Journal, Seen};
use crate::keeper::Keeper;
use crate::link::Link;
use crate::map::ForkMark;
use crate::members::Members;

pub(crate) use step::Step;

/// What all sets of one member share.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) members: Arc<Members>,
    pub(crate) fork: ForkMark,
    pub(crate) clock: Clock,
    pub(crate) patience: Duration,
    pub(crate) keeper: Keeper,
}

impl Drop for Membership {
    fn drop(&mut self) {
        // At once: its thread may have it for a moment longer. In a child it would be the parent's.
        if !self.fork.is_gone() {
            self.members.leave();
        }
    }
}

pub(crate) struct Shared {
    this: Weak<Self>,
    pub(crate) name: Arc<str>,
    path: PathBuf,
    journal: Journal,
    pub(crate) membership: Arc<Membership>,
    own: Mutex<Own>,
}

/// What only this process knows.
#[derive(Debug)]
struct Own {
    /// None until the first step, during one, and after damage.
    seen: Option<Box<Seen>>,
    permits: HashMap<u128, Permit, BuildHasherDefault<Plain>>,
    /// How many of these wait.
    waiting: usize,
    /// What could not be done while the lock was not to be had.
    owed: Vec<Owed>,
    /// When members were last looked after; by whoever comes, at once.
    swept: Option<Instant>,
    scratch: Vec<u64>,
}

/// What a demand of this process waits for, and since when.
#[derive(Clone, Debug)]
struct Place {
    demand: Demand,
    priority: Priority,
    arrived: Time,
    deadline: Option<Time>,
}

/// A demand or permit of this process.
#[derive(Debug)]
enum Permit {
    Waiting {
        waker: Option<Waker>,
        /// To ask again, should others have gone first while this process stood still.
        place: Box<Place>,
    },
    Over(Verdict),
    Held {
        grant: Grant,
        told: bool,
    },
}

#[derive(Debug)]
enum Owed {
    Forget(PermitId),
    Settle(PermitId, Demand),
    Report(Option<Time>, Report),
}

impl Permit {
    fn waits(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }
}

impl Own {
    fn put(&mut self, permit: u128, new: Permit) -> Option<Permit> {
        self.waiting += usize::from(new.waits());
        let old = self.permits.insert(permit, new);
        self.waiting -= usize::from(old.as_ref().is_some_and(Permit::waits));
        old
    }

    fn grant(&self, permit: PermitId) -> Option<&Grant> {
        match self.permits.get(&permit.0) {
            Some(Permit::Held { grant, .. }) => Some(grant),
            _ => None,
        }
    }

    fn is_busy(&self) -> bool {
        self.waiting > 0 || !self.owed.is_empty()
    }

    fn take(&mut self, permit: PermitId) -> Option<Permit> {
        let old = self.permits.remove(&permit.0);
        self.waiting -= usize::from(old.as_ref().is_some_and(Permit::waits));
        old
    }
}

/// The lower halves of ids are spread evenly over all bits, which is all that a hash is for.
#[derive(Debug, Default)]
struct Plain(u64);

impl Hasher for Plain {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = id as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(name: Arc<str>, path: PathBuf, journal: Journal, membership: Arc<Membership>) -> Arc<Self> {
        let (permits, owed, scratch) = (HashMap::default(), Vec::new(), Vec::new());
        let own = Own { seen: None, permits, waiting: 0, owed, swept: None, scratch };
        let own = Mutex::new(own);
        Arc::new_cyclic(|this| Self { this: Weak::clone(this), name, path, journal, membership, own })
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether somebody here waits, or something is still to be done.
    pub(crate) fn waits(&self) -> bool {
        !self.membership.fork.is_gone() && self.own.lock().is_busy()
    }

    /// Whether something could not be done yet.
    pub(crate) fn owes(&self) -> bool {
        !self.membership.fork.is_gone() && !self.own.lock().owed.is_empty()
    }

    /// Looks whether time or somebody's death has decided something; when to look again, if anybody here waits.
    pub(crate) fn tick(&self) -> Result<Option<(Time, bool)>, Error> {
        self.step(|step| {
            if step.sweep_is_due() {
                step.sweep();
            }
            step.pump();
            step.waits_here().then(|| step.next())
        })
    }

    /// Has all that wait here ask again, to hear of an error that is there to stay.
    pub(crate) fn send_back(&self) {
        let mut own = self.own.lock();
        let waiting = own.permits.iter().filter(|(_, permit)| permit.waits());
        let waiting: Vec<u128> = waiting.map(|(permit, _)| *permit).collect();
        let wakers = waiting.into_iter().filter_map(|permit| match own.take(PermitId(permit)) {
            Some(Permit::Waiting { waker, .. }) => waker,
            _ => None,
        });
        let wakers: Vec<Waker> = wakers.collect();
        drop(own);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Why nothing decided here would bind others, or them here. Asks the system for nothing.
    fn cut_off(&self) -> Option<Error> {
        let members = &self.membership.members;
        let gone = [self.journal.link(), members.link()].into_iter().find(|link| link.is_gone());
        let unknown = || (!members.is_known()).then(|| Error::Unseated { path: members.link().path().to_owned() });
        gone.map(Link::removed).or_else(unknown)
    }

    fn owe(&self, owed: Owed) {
        if self.membership.fork.is_gone() {
            return;
        }
        self.own.lock().owed.push(owed);
        if let Some(this) = self.this.upgrade() {
            self.membership.keeper.pay_for(this);
        }
    }

    fn settle_now(&self, permit: PermitId, actual: &Demand) -> Result<(), Error> {
        self.step(|step| step.settle(permit, actual))
    }

    fn forget_now(&self, permit: PermitId) -> Result<(), Error> {
        self.step(|step| step.give_back(permit))
    }
}

impl Home for Shared {
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>> {
        Box::pin(self.wait_for(ask))
    }

    fn try_acquire(&self, ask: &Ask) -> Result<Answer, BackendError> {
        Ok(self.try_now(ask)?)
    }

    fn settle(&self, permit: PermitId, actual: Demand) {
        if self.settle_now(permit, &actual).is_err() {
            self.owe(Owed::Settle(permit, actual));
        }
    }

    fn report(&self, permit: PermitId, report: Report) {
        if self.step(|step| step.report(permit, report)).is_err() && !self.membership.fork.is_gone() {
            let began = self.own.lock().grant(permit).map(|grant| grant.at);
            self.owe(Owed::Report(began, report));
        }
    }

    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            let given = self.forget_now(permit);
            if given.is_err() {
                self.owe(Owed::Forget(permit));
            }
            Ok(given?)
        })
    }

    fn forget(&self, permit: PermitId) {
        if self.forget_now(permit).is_err() {
            self.owe(Owed::Forget(permit));
        }
    }

    fn is_lost(&self, permit: PermitId) -> bool {
        self.membership.fork.is_gone() || self.cut_off().is_some() || !self.own.lock().permits.contains_key(&permit.0)
    }

    fn change(&self, change: Change) -> Result<(), BackendError> {
        let effect = self.step(|step| {
            let op = match change {
                Change::Quota(limit, quota) => Op::Quota(limit, quota),
                Change::Capacity(limit, capacity) => Op::Capacity(limit, capacity),
                Change::Sync(limit, state, permit) => {
                    Op::Sync(limit, state, permit.and_then(|permit| step.grant(permit)))
                }
                Change::Pace(limit, quota) => Op::Pace(step.me(), limit, quota),
                Change::Unlearn => Op::Unlearn,
                Change::Pause(pause) => Op::Pause(pause),
                Change::Resume => Op::Resume,
                Change::Reset => Op::Reset,
                Change::Close => Op::Close,
                _ => return Effect::Nothing,
            };
            step.execute(&op)
        })?;
        match effect {
            Effect::Refused(why) => Err(BackendError { message: why.to_string(), retryable: false }),
            _ => Ok(()),
        }
    }

    fn standing(&self) -> Result<Standing, BackendError> {
        Ok(self.step(|step| {
            step.sweep();
            step.pump();
            step.standing()
        })?)
    }
}
