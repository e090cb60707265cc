//! The first moments after the store is back, in which others may not have found out yet.
//!
//! Whoever is back asks the store, which does not know yet what those use who are not. So for as long as it may take them,
//! a demand of a local limit has to fit this client's share as well; all of them together then stay within the limits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline_core::Demand;

use super::away::{Kept, Share};
use super::batch::Todo;
use super::own::Permit;
use super::state::State;
use crate::options::Outage;

/// How often those are looked at whom the share has no room for.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Grace {
    pub(super) share: Share,
    until: Instant,
    /// Who is to be asked for once there is room.
    waiting: VecDeque<u128>,
}

impl State {
    /// The store is back; `longest` after now all others know it too.
    pub(super) fn begin_grace(&mut self, share: Option<Share>, longest: Duration, now: Instant) {
        let some = self.rules.iter().any(|rule| rule.outage == Outage::Local);
        let Some(share) = share.filter(|_| some) else { return };
        self.grace = Some(Grace { share, until: now + longest, waiting: VecDeque::new() });
        let (asks, todo) = std::mem::take(&mut self.todo).into_iter().partition(|todo| matches!(todo, Todo::Ask(_)));
        self.todo = todo;
        asks.into_iter().for_each(|ask| self.ask_for(ask));
        self.pump_grace(now);
    }

    /// Has the store asked, as soon as that is safe.
    pub(super) fn ask_for(&mut self, ask: Todo) {
        match (&mut self.grace, ask) {
            (Some(grace), Todo::Ask(permit)) => {
                grace.waiting.push_back(permit);
                self.work();
            }
            (_, ask) => self.later(ask),
        }
    }

    /// Has the store asked for whom there is room; when to look again.
    pub(super) fn pump_grace(&mut self, now: Instant) -> Option<Instant> {
        let at = self.store_time(now);
        let mut grace = self.grace.take()?;
        let is_over = now >= grace.until;
        while let Some(permit) = grace.waiting.front().copied() {
            if let Some(Permit::Waiting { place, asked: false, .. }) = self.permits.get(&permit) {
                let local = place.demand().parts().iter().filter(|part| self.outage(part) == Outage::Local);
                let local: Demand = local.map(|part| (part.limit, part.units)).collect();
                if !is_over && !matches!(grace.share.try_now(at, local, place.order(at, now)), Kept::Granted(_)) {
                    break;
                }
                self.later(Todo::Ask(permit));
            }
            grace.waiting.pop_front();
        }
        if is_over {
            return None;
        }
        let next = if grace.waiting.is_empty() { grace.until } else { now + LOOK };
        self.grace = Some(grace);
        Some(next)
    }
}
