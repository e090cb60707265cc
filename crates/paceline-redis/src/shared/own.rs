//! Demands and permits of this process.

use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use paceline::Priority;
use paceline::backend::{Answer, Ask, BackendError, PermitId};
use paceline_core::{Arrival, Demand, Grant, Order, Time};
use paceline_replica::{Asked, Key, Op, Patience};
use tokio::sync::oneshot;

use super::away::Alone;
use super::batch::{Done, Todo, Told};
use super::state::State;

/// A demand or permit of this process.
#[derive(Debug)]
pub(super) enum Permit {
    Waiting {
        place: Place,
        waker: Option<Waker>,
        /// Whether the store was asked, or is being asked.
        asked: bool,
    },
    /// Never, or too late.
    Over(Answer),
    Held {
        grant: Grant,
        told: bool,
        /// What is still to be settled.
        actual: Option<Demand>,
        returning: bool,
        /// Others have, or may have, what it was given.
        lost: bool,
    },
    /// Given here, while the store is away.
    Alone(Alone),
    /// The store could not be asked, or has not answered.
    Failed { error: BackendError, asked: bool },
}

/// What a demand waits for, and since when.
#[derive(Debug)]
pub(super) struct Place {
    demand: Demand,
    priority: Priority,
    /// When it was asked for here, and how long it had waited then and would wait on.
    pub(super) began: Instant,
    waited: Duration,
    within: Option<Duration>,
    /// The order in which this process has asked.
    pub(super) number: u64,
}

impl Place {
    pub(super) fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Its place in the queue of this client, where it is `at` now.
    pub(super) fn order(&self, at: Time, now: Instant) -> Order {
        let waited = self.waited.saturating_add(now.saturating_duration_since(self.began));
        let at = at.as_nanos().saturating_sub(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
        Order::new(Arrival { at: Time::from_nanos(at), number: self.number }, self.priority)
    }

    /// When it came here first.
    pub(super) fn arrived(&self) -> Instant {
        self.began.checked_sub(self.waited).unwrap_or(self.began)
    }

    /// How long ago the store is to take it for having come, asked at `now`, which is `at` there: as long as it has waited,
    /// but not before one that came here before it. What that one's batch took to the store nobody could tell, so `latest`
    /// is what became of the last: when it came here, and when there.
    pub(super) fn waited(&self, now: Instant, at: Time, latest: Option<(Instant, Time)>) -> Duration {
        let waited = self.waited.saturating_add(now.saturating_duration_since(self.began));
        match latest {
            Some((here, there)) if self.arrived() >= here => waited.min(at.since(there)),
            _ => waited,
        }
    }

    /// The demand, asked at `now`.
    pub(super) fn asked(&self, key: Key, waited: Duration, now: Instant) -> Op {
        let since = now.saturating_duration_since(self.began);
        let left = |within: Duration| Patience::Within(within.saturating_sub(since));
        Op::Ask(Asked {
            key,
            demand: self.demand.clone(),
            priority: self.priority,
            waited,
            patience: self.within.map_or(Patience::Endless, left),
        })
    }
}

impl Permit {
    pub(super) fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Held { grant, .. } => Some(grant),
            _ => None,
        }
    }

    pub(super) fn held(grant: Grant, told: bool) -> Self {
        Self::Held { grant, told, actual: None, returning: false, lost: false }
    }
}

impl State {
    /// Begins to wait, or goes on.
    pub(crate) fn begin(&mut self, ask: &Ask, now: Instant) {
        if !self.permits.contains_key(&ask.permit.0) && self.serve(ask, now) {
            return;
        }
        let asked = match self.permits.get(&ask.permit.0) {
            None => false,
            Some(Permit::Failed { asked, .. }) => *asked,
            Some(_) => return,
        };
        let number = self.asked;
        self.asked += 1;
        let (demand, priority) = (ask.demand.clone(), ask.priority);
        let place = Place { demand, priority, began: now, waited: ask.waited, within: ask.within, number };
        self.permits.insert(ask.permit.0, Permit::Waiting { place, waker: None, asked });
        self.give_up_stopped(now);
        self.decide_alone(ask.permit.0, now);
        if matches!(self.permits.get(&ask.permit.0), Some(Permit::Waiting { asked: false, .. })) {
            self.ask_for(Todo::Ask(ask.permit.0));
            self.foresee(&ask.demand);
        }
    }

    /// Ends a wait by what has become of it: what was waited for, and whether the store was asked. None where nobody waits.
    pub(super) fn end_wait(&mut self, permit: u128, by: Permit) -> Option<(Place, bool)> {
        let there = self.permits.get_mut(&permit)?;
        match std::mem::replace(there, by) {
            Permit::Waiting { place, waker, asked } => {
                self.wake(waker);
                Some((place, asked))
            }
            other => {
                *there = other;
                None
            }
        }
    }

    /// What has become of a wait.
    pub(crate) fn look(&mut self, permit: PermitId, context: &Context<'_>) -> Poll<Result<Answer, BackendError>> {
        match self.permits.get_mut(&permit.0) {
            Some(Permit::Waiting { waker, .. }) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            Some(Permit::Held { told, .. }) => {
                *told = true;
                Poll::Ready(Ok(Answer::Granted))
            }
            Some(Permit::Alone(alone)) => {
                alone.told = true;
                Poll::Ready(Ok(Answer::Granted))
            }
            Some(Permit::Over(answer)) => Poll::Ready(Ok(answer.clone())),
            Some(Permit::Failed { error, .. }) => Poll::Ready(Err(error.clone())),
            // Only a lost lease takes a permit away that nobody has given back.
            None => {
                let message = format!("the lease on `{}` ended while it was granted; ask again", self.name);
                Poll::Ready(Err(BackendError { message, retryable: true }))
            }
        }
    }

    pub(crate) fn settle(&mut self, permit: PermitId, more: &Demand) {
        self.settle_alone(permit.0, more, Instant::now());
        let Some(Permit::Held { actual, returning: false, .. }) = self.permits.get_mut(&permit.0) else { return };
        if let Some(actual) = actual {
            // The later word counts.
            let kept = actual.parts().iter().filter(|part| more.units(part.limit).is_none());
            *actual = kept.chain(more.parts()).map(|part| (part.limit, part.units)).collect();
        } else {
            *actual = Some(more.clone());
            self.later(Todo::Settle(permit.0));
        }
    }

    /// Gives a permit back; where there is something to give, tells of its arrival.
    pub(crate) fn release(&mut self, permit: PermitId, now: Instant) -> Option<Told> {
        let Some(Permit::Held { returning: returning @ false, grant, .. }) = self.permits.get_mut(&permit.0) else {
            self.forget(permit);
            return None;
        };
        *returning = true;
        let grant = grant.clone();
        self.free_alone(&grant, now);
        let (tell, told) = oneshot::channel();
        self.later(Todo::Back(permit.0, Some(Done { tell, began: now })));
        self.give_up_stopped(now);
        Some(told)
    }

    pub(crate) fn forget(&mut self, permit: PermitId) {
        match self.permits.get_mut(&permit.0) {
            Some(Permit::Held { returning: true, .. }) | None => {}
            Some(Permit::Held { returning, grant, .. }) => {
                *returning = true;
                let grant = grant.clone();
                self.free_alone(&grant, Instant::now());
                self.later(Todo::Back(permit.0, None));
            }
            Some(Permit::Waiting { asked, .. } | Permit::Failed { asked, .. }) => {
                let asked = *asked;
                self.permits.remove(&permit.0);
                if asked {
                    self.later(Todo::Cancel(permit.0));
                } else {
                    // While the store cannot be used, nothing else takes it from there.
                    self.todo.retain(|todo| !matches!(todo, Todo::Ask(other) if *other == permit.0));
                }
                self.cancel_alone(permit.0, Instant::now());
            }
            Some(Permit::Alone(_)) => {
                if let Some(Permit::Alone(alone)) = self.permits.remove(&permit.0) {
                    self.back_alone(alone, Instant::now());
                }
            }
            Some(Permit::Over(_)) => drop(self.permits.remove(&permit.0)),
        }
    }

    pub(crate) fn is_lost(&mut self, permit: PermitId, now: Instant) -> bool {
        self.expire(now);
        match self.permits.get(&permit.0) {
            Some(Permit::Held { lost, .. }) => *lost,
            Some(_) => false,
            None => true,
        }
    }

    /// Whether somebody here waits.
    pub(super) fn waits(&self) -> bool {
        self.permits.values().any(|permit| matches!(permit, Permit::Waiting { .. }))
    }

    /// Those who wait, in the order in which they came.
    pub(super) fn waiting(&self) -> Vec<u128> {
        let waiting = self.permits.iter().filter_map(|(permit, what)| match what {
            Permit::Waiting { place, .. } => Some((place.number, *permit)),
            _ => None,
        });
        let mut waiting: Vec<_> = waiting.collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, permit)| permit).collect()
    }
}
