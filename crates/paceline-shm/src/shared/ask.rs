//! Demands of this process.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline::backend::{Answer, Ask, BackendError, PermitId};
use paceline_core::{Arrival, Time};

use super::{Permit, Shared, Step};
use crate::error::Error;
use crate::op::{Asked, Key, Op, Patience};
use crate::replica::{Effect, Verdict};

impl Shared {
    pub(super) fn try_now(&self, ask: &Ask) -> Result<Answer, Error> {
        self.step(|step| {
            let asked = step.asked(ask, Patience::None);
            let (answer, asked) = step.ask(asked);
            // Somebody who is gone may hold what it asks for.
            if matches!(answer, Answer::Wait(_)) && step.sweep_is_due() {
                step.sweep();
                return step.ask(asked).0;
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
                Some(within) => Patience::Until(step.now() + within),
            };
            let asked = step.asked(ask, patience);
            match step.ask(asked) {
                (Answer::Wait(_), _) if !roomy => Err(()),
                // A place in the queue; it may be decided by the end of this step.
                (Answer::Wait(_), asked) => {
                    let (waker, asked) = (Some(context.waker().clone()), Box::new(asked));
                    step.keep(ask.permit, Permit::Waiting { waker, asked });
                    Ok(None)
                }
                (answer, _) => Ok(Some(answer)),
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

impl Step<'_> {
    fn asked(&mut self, ask: &Ask, patience: Patience) -> Asked {
        let waited = u64::try_from(ask.waited.as_nanos()).unwrap_or(u64::MAX);
        let at = Time::from_nanos(self.now().as_nanos().saturating_sub(waited));
        Asked {
            key: Key { member: self.me(), permit: ask.permit.0 },
            demand: ask.demand.clone(),
            arrival: Arrival { at, number: self.next_arrival() },
            priority: ask.priority,
            patience,
        }
    }

    /// Asks, and gives back what was asked.
    fn ask(&mut self, asked: Asked) -> (Answer, Asked) {
        let permit = PermitId(asked.key.permit);
        let op = Op::Ask(asked);
        let answer = match self.execute(&op) {
            Effect::Granted(grant) => {
                self.keep(permit, Permit::Held { grant, told: true });
                Answer::Granted
            }
            Effect::Never(refusal) => Answer::Never(refusal),
            Effect::Wait(wait) => Answer::Wait(wait),
            Effect::Queued => Answer::Wait(Duration::MAX),
            _ => Answer::TooLate,
        };
        let Op::Ask(asked) = op else { unreachable!("made above") };
        (answer, asked)
    }
}
