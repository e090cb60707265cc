//! Demands of this process.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline::backend::{Answer, Ask, BackendError};
use paceline_core::Time;
use paceline_replica::{Asked, Effect, Key, Op, Patience, Verdict};

use super::{Permit, Place, Shared, Step};
use crate::error::Error;

impl Shared {
    pub(super) fn try_now(&self, ask: &Ask) -> Result<Answer, Error> {
        self.step(|step| {
            let answer = step.ask(ask, Patience::None);
            // Somebody who is gone may hold what it asks for.
            if matches!(answer, Answer::Wait(_)) && step.sweep_is_due() {
                step.sweep();
                return step.ask(ask, Patience::None);
            }
            answer
        })
    }

    /// Resolves once it is decided. This process's thread keeps the time, so it does not matter whether it is polled.
    pub(super) async fn wait_for(&self, ask: &Ask) -> Result<Answer, BackendError> {
        let mut begun = false;
        let answer = poll_fn(|context| {
            if std::mem::replace(&mut begun, true) {
                return self.look(ask, context);
            }
            self.begin(ask, context)
        });
        Ok(answer.await?)
    }

    fn begin(&self, ask: &Ask, context: &Context<'_>) -> Poll<Result<Answer, Error>> {
        let answer = self.step(|step| {
            if let Some(known) = step.permit(ask.permit) {
                return Ok(known.answer(context));
            }
            let roomy = step.places_left();
            let patience = match ask.within {
                _ if !roomy => Patience::None,
                None => Patience::Endless,
                Some(within) => Patience::Within(within),
            };
            match step.ask(ask, patience) {
                Answer::Wait(_) if !roomy => Err(()),
                // A place in the queue; it may be decided by the end of this step.
                Answer::Wait(_) => {
                    let (waker, place) = (Some(context.waker().clone()), Box::new(Place::of(ask, step.now())));
                    step.keep(ask.permit, Permit::Waiting { waker, place });
                    Ok(None)
                }
                answer => Ok(Some(answer)),
            }
        })?;
        match answer {
            Ok(None) => match self.membership.keeper.wake() {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(Error::NoThread(error))),
            },
            Ok(Some(answer)) => Poll::Ready(Ok(answer)),
            Err(()) => {
                let (set, most) = (self.name.to_string(), self.journal.places());
                Poll::Ready(Err(Error::TooManyWait { set, most }))
            }
        }
    }

    /// What has become of a wait. Nothing is asked of the others: whoever decided it has said so here.
    fn look(&self, ask: &Ask, context: &Context<'_>) -> Poll<Result<Answer, Error>> {
        if self.membership.fork.is_gone() {
            return Poll::Ready(Err(Error::Forked));
        }
        let answer = self.own.lock().permits.get_mut(&ask.permit.0).map(|permit| permit.answer(context));
        match answer {
            Some(None) => Poll::Pending,
            Some(Some(answer)) => Poll::Ready(Ok(answer)),
            // It was sent back to ask again.
            None => self.begin(ask, context),
        }
    }
}

impl Permit {
    /// What there is to say to whoever asks; to be woken later where that is nothing yet.
    fn answer(&mut self, context: &Context<'_>) -> Option<Answer> {
        match self {
            Self::Waiting { waker, .. } => {
                *waker = Some(context.waker().clone());
                None
            }
            Self::Held { told, .. } => {
                *told = true;
                Some(Answer::Granted)
            }
            Self::Over(Verdict::Refused(refusal)) => Some(Answer::Never(*refusal)),
            Self::Over(_) => Some(Answer::TooLate),
        }
    }
}

impl Place {
    fn of(ask: &Ask, now: Time) -> Self {
        let waited = u64::try_from(ask.waited.as_nanos()).unwrap_or(u64::MAX);
        Self {
            demand: ask.demand.clone(),
            priority: ask.priority,
            arrived: Time::from_nanos(now.as_nanos().saturating_sub(waited)),
            deadline: ask.within.map(|within| now + within),
        }
    }

    /// The same demand, asked at `now`.
    pub(super) fn again(self, key: Key, now: Time) -> Asked {
        let patience = self.deadline.map_or(Patience::Endless, |deadline| Patience::Within(deadline.since(now)));
        Asked { key, demand: self.demand, priority: self.priority, waited: now.since(self.arrived), patience }
    }
}

impl Step<'_> {
    fn ask(&mut self, ask: &Ask, patience: Patience) -> Answer {
        let key = Key { member: self.me(), permit: ask.permit.0 };
        let (demand, priority, waited) = (ask.demand.clone(), ask.priority, ask.waited);
        match self.execute(&Op::Ask(Asked { key, demand, priority, waited, patience })) {
            Effect::Granted(grant) => {
                self.keep(ask.permit, Permit::Held { grant, told: true });
                Answer::Granted
            }
            Effect::Never(refusal) => Answer::Never(refusal),
            Effect::Wait(wait) => Answer::Wait(wait),
            Effect::Queued => Answer::Wait(Duration::MAX),
            _ => Answer::TooLate,
        }
    }
}
