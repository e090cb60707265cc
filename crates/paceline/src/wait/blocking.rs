//! Waiting on a thread, without a runtime.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use paceline_core::{Demand, Outcome, Ticket, Time};
use tracing::Span;

use super::{Wait, WaitOutcome, Wake};
use crate::error::Error;
use crate::local::{Guarded, Local};
use crate::permit::Permit;
use crate::request::Terms;
use crate::set::LimitSet;
use crate::telemetry;

/// Blocks the thread until `set`, which is `local`, grants `demand`.
pub(crate) fn block_on_set<'a>(
    set: &'a LimitSet,
    local: &Arc<Local>,
    demand: Demand,
    terms: &Terms,
) -> Result<Permit<'a>, Error> {
    let (wait, span) = match local.ask(demand, terms, || Wake::Thread(thread::current()))? {
        WaitOutcome::Granted(grant, arrival) => {
            let asked = grant.at;
            return Ok(Permit::local(set, grant, asked, arrival));
        }
        WaitOutcome::Wait(wait, waiting) => {
            let place = Place { local, ticket: wait.ticket };
            let span = telemetry::wait(&waiting);
            local.plan.hooks.call(&waiting);
            place.hold();
            (wait, span)
        }
    };
    let Wait { ticket, since, arrival } = wait;
    let place = Place { local, ticket };
    loop {
        let step = local.step(|guard, now, events| {
            guard.set.pump(now, events);
            match guard.collect(ticket, since) {
                Some(outcome) => Step::Leave(outcome, hand_over(guard, ticket)),
                None => Step::Sleep(lead(guard, ticket, now)),
            }
        });
        match step {
            Step::Sleep(Some(time)) if local.plan.clock.manual().is_none() => thread::park_timeout(time),
            Step::Sleep(_) => thread::park(),
            Step::Leave(outcome, successor) => {
                place.hold();
                successor.into_iter().for_each(Wake::wake);
                let permit = Permit::local(set, local.finish(outcome, terms)?, since, arrival);
                telemetry::granted(&span, [(&local.name, permit.waited())]);
                return Ok(permit);
            }
        }
    }
}

/// What a waiting thread does next.
enum Step {
    Sleep(Option<Duration>),
    Leave(Outcome, Option<Wake>),
}

/// One of the waiting threads sleeps until something can be decided, the others until they are woken: `Some(time)` for
/// the one, none for the others.
fn lead(guard: &mut Guarded, ticket: Ticket, now: Time) -> Option<Duration> {
    let next = guard.set.next();
    let led = guard.keeper().leader.is_some_and(|leader| leader != ticket);
    if led && guard.keeper().leader.is_some_and(|leader| guard.set.is_waiting(leader)) {
        return None;
    }
    let keeper = guard.keeper();
    keeper.leader = Some(ticket);
    keeper.sleeps_until(next.unwrap_or(Time::MAX), keeper.drivers.is_empty());
    next.map(|next| next.since(now))
}

/// One of them leaves: where nobody leads now, another waiting thread is woken to. That also where somebody was woken to
/// lead and is granted before it could.
fn hand_over(guard: &mut Guarded, ticket: Ticket) -> Option<Wake> {
    let leader = guard.keeper().leader.filter(|leader| *leader != ticket);
    if leader.is_some_and(|leader| guard.set.is_waiting(leader)) {
        return None;
    }
    let keeper = guard.keeper();
    keeper.leader = None;
    if keeper.drivers.is_empty() {
        keeper.armed = Time::MAX;
    }
    guard.set.wakers().find(|wake| matches!(wake, Wake::Thread(_))).cloned()
}

/// A thread's place in the queue, given back should a hook or clock panic while it waits.
struct Place<'a> {
    local: &'a Arc<Local>,
    ticket: Ticket,
}

impl Place<'_> {
    fn hold(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.local.give_back(self.ticket);
    }
}

/// Blocks on a wait that only futures can do (several sets at once, or a set that lives elsewhere): on a thread and a
/// runtime of its own, so that it works wherever it is called from.
pub(crate) fn on_a_thread<F: Future<Output = Result<T, Error>>, T: Send>(
    wait: impl FnOnce() -> F + Send,
) -> Result<T, Error> {
    let span = Span::current();
    let run = || {
        let _within = span.enter();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(|error| Error::NoThread(error.to_string()))?.block_on(wait())
    };
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name("paceline-wait".into()).spawn_scoped(scope, run);
        let joined = spawned.map_err(|error| Error::NoThread(error.to_string()))?.join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
