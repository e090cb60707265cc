//! Waiting for a set that lives elsewhere.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_core::{Demand, LimitKind, Part};
use tracing::{Level, Span};

use super::{Answer, BoxFuture, RemotePermit, RemoteSet, Standing};
use crate::error::Error;
use crate::permit::Permit;
use crate::request::Terms;
use crate::set::LimitSet;
use crate::telemetry;
use crate::wait::Waiting;

/// Waits for a permit that lives elsewhere.
pub(crate) struct RemoteAcquire<'a>(BoxFuture<'a, Result<Permit<'a>, Error>>);

impl<'a> RemoteAcquire<'a> {
    pub(crate) fn new(set: &'a LimitSet, remote: &'a Arc<RemoteSet>, demand: Demand, terms: &Terms) -> Self {
        let terms = *terms;
        Self(Box::pin(async move {
            let wait = Self::wait(set, remote, demand, &terms);
            match terms.deadline {
                None => wait.await,
                Some(deadline) => {
                    timed(remote)?;
                    let late = |_| Err(Error::DeadlineExceeded { set: Arc::clone(&remote.name), deadline });
                    tokio::time::timeout(deadline, wait).await.unwrap_or_else(late)
                }
            }
        }))
    }

    async fn wait(set: &'a LimitSet, remote: &RemoteSet, demand: Demand, terms: &Terms) -> Result<Permit<'a>, Error> {
        let home = remote.home()?;
        let asked = remote.plan.clock.now();
        let mut ask = remote.ask(demand, terms);
        let waited = ask.waited;
        // Made before the answer is known, so that a lost answer or a dropped wait is given back too.
        let mut permit = RemotePermit::new(home, ask.permit, ask.demand.clone(), asked);
        // Of the wait, once there is one.
        let mut span = None;
        loop {
            let mut asking = home.acquire(&ask);
            let answer = poll_fn(|context| {
                let polled = asking.as_mut().poll(context);
                if polled.is_pending() {
                    span.get_or_insert_with(|| tell(remote, &ask.demand));
                }
                polled
            });
            let answer = answer.await.map_err(|error| error.of(set))?;
            drop(asking);
            match answer {
                Answer::Granted => {
                    permit.admitted = remote.plan.clock.now();
                    let permit = Permit::remote(set, permit, asked, terms.arrived(asked));
                    if let Some(span) = span {
                        telemetry::granted(&span, [(&remote.name, permit.waited())]);
                    }
                    return Ok(permit);
                }
                Answer::Wait(wait) => {
                    timed(remote)?;
                    span.get_or_insert_with(|| tell(remote, &ask.demand));
                    tokio::time::sleep(wait).await;
                }
                Answer::Never(refusal) => return Err(remote.refused(refusal)),
                Answer::TooLate => {
                    let deadline = terms.deadline.unwrap_or_default();
                    return Err(Error::DeadlineExceeded { set: Arc::clone(&remote.name), deadline });
                }
            }
            let since = remote.plan.clock.now().since(asked);
            ask.waited = waited + since;
            ask.within = terms.deadline.map(|deadline| deadline.saturating_sub(since));
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Permit<'a>, Error>> {
        self.0.as_mut().poll(context)
    }
}

/// Tells whoever wants to know that a demand waits, if it does: on its way to a store and back it waits for nothing.
fn tell(remote: &RemoteSet, demand: &Demand) -> Span {
    let hooks = &remote.plan.hooks;
    let wanted = !hooks.is_empty() || tracing::enabled!(Level::DEBUG);
    let Some(Ok(Standing { view, .. })) = remote.home().ok().filter(|_| wanted).map(|home| home.standing()) else {
        return Span::none();
    };
    let lacks = |part: &&Part| view.limits.get(usize::from(part.limit)).is_some_and(|it| it.available < part.units);
    // What comes back at any moment is not what is waited for if a rate is, too.
    let period = |part: &&Part| match view.limits[usize::from(part.limit)].kind {
        LimitKind::Rate(quota) => quota.period(),
        LimitKind::Resource => Duration::ZERO,
    };
    let lacking = demand.parts().iter().filter(lacks).max_by_key(period);
    if lacking.is_none() && view.paused.is_none() {
        return Span::none();
    }
    let lacking = lacking.filter(|_| view.paused.is_none());
    let waiting = Waiting {
        set: Arc::clone(&remote.name),
        limit: lacking.map(|part| Arc::clone(&remote.plan.keys()[usize::from(part.limit)])),
        expected: view.paused,
        // Its own place is taken already.
        ahead: view.waiting.saturating_sub(1),
    };
    let span = telemetry::wait(&waiting);
    hooks.call(&waiting);
    span
}

/// Whether there is somebody to keep the time.
fn timed(remote: &RemoteSet) -> Result<(), Error> {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map(|_| ()).map_err(|_| Error::NoRuntime { set: Arc::clone(&remote.name) })
}
