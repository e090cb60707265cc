//! Waiting for a set that lives elsewhere.

use std::sync::Arc;
use std::task::{Context, Poll};

use paceline_core::Demand;

use super::{Answer, BoxFuture, RemotePermit, RemoteSet};
use crate::error::Error;
use crate::permit::Permit;
use crate::request::Terms;
use crate::set::LimitSet;

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
        loop {
            match home.acquire(&ask).await.map_err(|error| error.of(set))? {
                Answer::Granted => {
                    permit.admitted = remote.plan.clock.now();
                    return Ok(Permit::remote(set, permit, asked, terms.arrived(asked)));
                }
                Answer::Wait(wait) => {
                    timed(remote)?;
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

/// Whether there is somebody to keep the time.
fn timed(remote: &RemoteSet) -> Result<(), Error> {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map(|_| ()).map_err(|_| Error::NoRuntime { set: Arc::clone(&remote.name) })
}
