//! A joint demand that stands in several queues.

use std::sync::{Arc, OnceLock};
use std::task::Waker;

use paceline_core::{Arrival, Outcome, Ticket};
use parking_lot::Mutex;

use super::Granted;
use super::locked::{Member, with_all};
use crate::error::Error;
use crate::local::{After, Local};

/// A joint demand that waits, as its sets know it.
#[derive(Debug)]
pub(crate) struct JointWait {
    places: OnceLock<Vec<Place>>,
    pub(super) waker: Mutex<Waker>,
}

/// Its place in one set's queue.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) local: Arc<Local>,
    pub(super) ticket: Ticket,
    pub(super) arrival: Arrival,
}

impl JointWait {
    pub(super) fn new(waker: Waker) -> Self {
        Self { places: OnceLock::new(), waker: Mutex::new(waker) }
    }

    /// Says where it stands, once.
    pub(super) fn place(&self, places: Vec<Place>) {
        self.places.set(places).expect("a wait is placed once");
    }

    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.get().into_iter().flatten()
    }

    pub(crate) fn wake(&self) {
        // Not under its lock: a waker may poll at once.
        let waker = self.waker.lock().clone();
        waker.wake();
    }

    /// Asks all sets once more: grants on all of them, or notes who holds it.
    pub(crate) fn attempt(&self, after: &mut After) {
        let Some(places) = self.places.get() else { return };
        let locals: Vec<&Arc<Local>> = places.iter().map(|place| &place.local).collect();
        with_all(&locals, after, |members| {
            let mut each = members.iter_mut().zip(places);
            let holder = each.find_map(|(member, place)| {
                (!member.guard.set.joint_ready(member.now, place.ticket)).then_some(place.local.id)
            });
            for (Member { guard, now, events }, place) in members.iter_mut().zip(places) {
                match holder {
                    None => guard.set.grant_joint(*now, place.ticket, events),
                    Some(holder) => guard.set.hold_joint(place.ticket, holder),
                }
                guard.set.pump(*now, events);
            }
        });
    }

    /// What became of it: none while it lasts. All sets are looked at under all their locks, since a grant between two
    /// looks would be seen in half of them.
    pub(super) fn collect(&self) -> Option<Result<Vec<Granted>, Error>> {
        let places = self.places.get()?;
        let mut guards: Vec<_> = places.iter().map(|place| place.local.lock()).collect();
        let mut grants = Vec::with_capacity(places.len());
        for (guard, Place { local, ticket, arrival }) in guards.iter_mut().zip(places) {
            match guard.collect(*ticket, arrival.at) {
                Some(Outcome::Granted(grant)) => grants.push(Granted { grant, since: arrival.at, arrival: *arrival }),
                Some(Outcome::Refused(refusal)) => return Some(Err(local.refused(refusal))),
                Some(Outcome::TimedOut) | None => {}
            }
        }
        (!grants.is_empty()).then_some(Ok(grants))
    }
}
