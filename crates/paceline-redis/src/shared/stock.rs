//! Permits that are held before somebody asks for them.

use std::time::{Duration, Instant};

use paceline::Priority;
use paceline::backend::{Answer, Ask, BackendError};
use paceline_core::{Decision, Demand, Grant};
use paceline_replica::{Asked, Key, Member, Op, Patience};

use super::batch::Todo;
use super::own::Permit;
use super::state::State;
use crate::error::Error;

/// How long one is held that nobody takes.
const KEPT: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Stock {
    most: usize,
    /// The demand that was last tried.
    shape: Demand,
    granted: Vec<(Grant, Instant)>,
    /// How many are being asked for.
    coming: usize,
}

impl Stock {
    pub(super) fn new(most: usize) -> Self {
        Self { most, shape: Demand::default(), granted: Vec::new(), coming: 0 }
    }

    fn take(&mut self, demand: &Demand) -> Option<Grant> {
        let at = self.granted.iter().position(|(grant, _)| is_alike(&grant.charged, demand))?;
        Some(self.granted.swap_remove(at).0)
    }

    /// How many to ask for now.
    fn missing(&self) -> usize {
        let have = self.granted.iter().filter(|(grant, _)| is_alike(&grant.charged, &self.shape)).count();
        self.most.saturating_sub(have + self.coming)
    }

    /// One more, asked for at once and without a place in the queue.
    pub(super) fn ask(&self, member: Member) -> Op {
        let key = Key { member, permit: rand::random() };
        let (demand, priority) = (self.shape.clone(), Priority::Normal);
        Op::Ask(Asked { key, demand, priority, waited: Duration::ZERO, patience: Patience::None })
    }

    pub(super) fn came(&mut self, grant: Option<Grant>, now: Instant) {
        self.coming = self.coming.saturating_sub(1);
        self.granted.extend(grant.map(|grant| (grant, now)));
    }

    /// Forgets all of it: it was lost with the lease.
    pub(super) fn lose(&mut self) {
        self.granted.clear();
        self.coming = 0;
    }

    /// When the next is to go back.
    pub(super) fn next(&self) -> Option<Instant> {
        self.granted.iter().map(|(_, since)| *since + KEPT).min()
    }

    pub(super) fn stale(&mut self, now: Instant) -> Vec<Grant> {
        let (stale, kept) = std::mem::take(&mut self.granted).into_iter().partition(|(_, since)| *since + KEPT <= now);
        self.granted = kept;
        Vec::into_iter(stale).map(|(grant, _)| grant).collect()
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.granted.iter().map(|(grant, _)| grant)
    }

    pub(super) fn all(&mut self) -> Vec<Grant> {
        std::mem::take(&mut self.granted).into_iter().map(|(grant, _)| grant).collect()
    }
}

fn is_alike(one: &Demand, other: &Demand) -> bool {
    one.parts().len() == other.parts().len()
        && one.parts().iter().all(|part| other.units(part.limit) == Some(part.units))
}

impl State {
    pub(crate) fn try_now(&mut self, ask: &Ask, now: Instant) -> Result<Answer, BackendError> {
        if self.stock.most == 0 {
            return Err(Error::NotAhead { set: self.name.to_string() }.into());
        }
        if let Some(answer) = self.try_alone(ask, now) {
            return Ok(answer);
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.lasts(now, self.response)) {
            return Err(trouble.error.clone());
        }
        if let Some(grant) = self.stock.take(&ask.demand) {
            self.permits.insert(ask.permit.0, Permit::held(grant, true));
            self.restock(&ask.demand);
            return Ok(Answer::Granted);
        }
        let outlook = self.seen.as_mut().map(|seen| {
            let now = seen.now(now);
            seen.replica.outlook(now, &ask.demand)
        });
        if let Some(Decision::Never(refusal)) = outlook {
            return Ok(Answer::Never(refusal));
        }
        self.restock(&ask.demand);
        // What has room is there after a round trip.
        Ok(Answer::Wait(match outlook {
            Some(Decision::Wait(wait)) => wait,
            _ => Duration::from_millis(1),
        }))
    }

    fn restock(&mut self, demand: &Demand) {
        self.stock.shape = demand.clone();
        for _ in 0..self.stock.missing() {
            self.stock.coming += 1;
            self.later(Todo::Stock);
        }
    }
}
