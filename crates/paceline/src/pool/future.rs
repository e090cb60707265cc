//! Waiting in the queues of all members at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_core::{Arrival, Claim, Decision, Demand, Order, Outcome, Party, Ticket, Time, Waiter};
use tracing::Span;

use super::{LimitPool, local};
use crate::error::Error;
use crate::local::arrive;
use crate::permit::Permit;
use crate::request::Terms;
use crate::telemetry;
use crate::wait::{Waiting, Wake, ensure_driver};

/// Waits for whichever member has room first. Made by [`LimitPool::acquire`].
///
/// # Cancel safety
///
/// Dropping it takes the demand out of every queue; if it was granted in the meantime, the grant goes back.
#[must_use = "futures do nothing unless polled"]
pub struct PoolAcquire<'a> {
    pool: &'a LimitPool,
    terms: Terms,
    state: State,
    span: Span,
}

enum State {
    Asking(Result<Vec<Demand>, Error>),
    Waiting(Vec<Place>),
    Done,
}

/// A place in one member's queue.
struct Place {
    member: usize,
    ticket: Ticket,
    since: Time,
    arrival: Arrival,
    refused: Option<Error>,
}

impl<'a> PoolAcquire<'a> {
    pub(crate) fn new(pool: &'a LimitPool, demands: Result<Vec<Demand>, Error>, terms: Terms) -> Self {
        Self { pool, terms, state: State::Asking(demands), span: Span::none() }
    }

    /// A place in every queue, and what there is to tell of the one that is expected to end first.
    fn enqueue(&self, demands: Vec<Demand>, context: &Context<'_>) -> (Vec<Place>, Option<Waiting>) {
        let claim = Arc::new(Claim::new());
        let Terms { priority, deadline, arrival: first } = self.terms;
        let mut arrival = first.unwrap_or_else(|| arrive(Time::ZERO));
        let mut places = Vec::with_capacity(demands.len());
        let mut soonest: Option<Waiting> = None;
        let expected = |waiting: &Waiting| waiting.expected.unwrap_or(Duration::MAX);
        for (member, demand) in demands.into_iter().enumerate() {
            let number = u32::try_from(member).expect("fewer than 2^32 members");
            let party = Party::AnyOf { claim: Arc::clone(&claim), member: number };
            let local = local(&self.pool.members()[member]);
            let (place, waiting) = local.step(|guard, now, events| {
                if first.is_none() {
                    arrival.at = now;
                }
                let wait = match guard.set.at_best(now, &demand, false) {
                    Decision::Wait(wait) => wait,
                    Decision::Granted | Decision::Never(_) => Duration::MAX,
                };
                let waiting = local.waiting(guard, now, &demand, wait);
                let waiter = Waiter {
                    demand,
                    order: Order::new(arrival, priority),
                    deadline: deadline.map(|deadline| now + deadline),
                    party: Some(Box::new(party)),
                    waker: Some(Wake::Task(context.waker().clone())),
                };
                local.listen(guard);
                let ticket = guard.set.enqueue(now, waiter, events);
                (Place { member, ticket, since: now, arrival, refused: None }, waiting)
            });
            local.plan.hooks.call(&waiting);
            places.push(place);
            if soonest.as_ref().is_none_or(|soonest| expected(&waiting) < expected(soonest)) {
                soonest = Some(waiting);
            }
        }
        (places, soonest.map(|soonest| Waiting { set: Arc::clone(&self.pool.0.name), ..soonest }))
    }

    fn look(&mut self, context: &Context<'_>) -> Poll<Result<Permit<'a>, Error>> {
        let State::Waiting(places) = &mut self.state else { return Poll::Pending };
        let (mut granted, mut late) = (None, false);
        for place in places.iter_mut().filter(|place| place.refused.is_none()) {
            let set = &self.pool.members()[place.member];
            let mut guard = local(set).lock();
            match guard.collect(place.ticket, place.since) {
                None => guard.set.set_waker(place.ticket, Wake::Task(context.waker().clone())),
                Some(Outcome::Granted(grant)) => {
                    granted = Some(Permit::local(set, grant, place.since, place.arrival));
                }
                Some(Outcome::Refused(refusal)) => place.refused = Some(local(set).refused(refusal)),
                Some(Outcome::TimedOut) => late = true,
            }
        }
        if let Some(permit) = granted {
            self.leave();
            telemetry::granted(&self.span, [(permit.set().shared_name(), permit.waited())]);
            return Poll::Ready(Ok(permit));
        }
        if late {
            // The deadline is everybody's.
            self.leave();
            return Poll::Ready(Err(self.deadline_exceeded()));
        }
        if places.iter().all(|place| place.refused.is_some()) {
            let refused = places.iter_mut().find_map(|place| place.refused.take());
            return refused.map_or(Poll::Pending, |error| Poll::Ready(Err(error)));
        }
        for place in places.iter().filter(|place| place.refused.is_none()) {
            ensure_driver(local(&self.pool.members()[place.member]))?;
        }
        Poll::Pending
    }

    fn deadline_exceeded(&self) -> Error {
        let deadline = self.terms.deadline.unwrap_or_default();
        Error::DeadlineExceeded { set: self.pool.name().into(), deadline }
    }

    fn leave(&mut self) {
        if let State::Waiting(places) = std::mem::replace(&mut self.state, State::Done) {
            for place in places {
                local(&self.pool.members()[place.member]).give_back(place.ticket);
            }
        }
    }
}

impl<'a> Future for PoolAcquire<'a> {
    type Output = Result<Permit<'a>, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let State::Asking(demands) = &mut this.state {
            let demands = std::mem::replace(demands, Ok(Vec::new()))?;
            match this.pool.try_now(&demands, &this.terms) {
                Err(Error::NotNow { .. }) => {}
                answer => return Poll::Ready(answer),
            }
            let (places, waiting) = this.enqueue(demands, context);
            this.state = State::Waiting(places);
            this.span = waiting.as_ref().map_or_else(Span::none, telemetry::wait);
        }
        this.look(context)
    }
}

impl Drop for PoolAcquire<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
