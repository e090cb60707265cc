//! The future of a joint acquisition.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use paceline_core::Demand;
use tracing::Span;

use super::ask::Asked;
use super::{Joint, JointPermit, JointWait};
use crate::error::Error;
use crate::telemetry;
use crate::wait::ensure_driver;

/// Waits for several sets. Made by [`Joint::acquire`].
///
/// # Cancel safety
///
/// Dropping it takes the demand out of every queue; if it was granted in the meantime, the grant goes back.
#[must_use = "futures do nothing unless polled"]
pub struct JointAcquire {
    joint: Joint,
    state: State,
    span: Span,
}

enum State {
    Asking(Result<Vec<Demand>, Error>),
    Waiting(Arc<JointWait>),
    Done,
}

impl JointAcquire {
    pub(super) fn new(joint: &Joint, demands: Result<Vec<Demand>, Error>) -> Self {
        Self { joint: joint.clone(), state: State::Asking(demands), span: Span::none() }
    }

    fn look(&mut self, context: &Context<'_>, wait: &Arc<JointWait>) -> Poll<Result<JointPermit, Error>> {
        let replaced = std::mem::replace(&mut *wait.waker.lock(), context.waker().clone());
        drop(replaced);
        match wait.collect() {
            Some(Ok(grants)) => {
                self.state = State::Done;
                let permit = self.joint.permit(grants);
                telemetry::granted(
                    &self.span,
                    permit.permits.iter().map(|part| (part.set().shared_name(), part.waited())),
                );
                Poll::Ready(Ok(permit))
            }
            Some(Err(refused)) => {
                self.leave();
                Poll::Ready(Err(refused))
            }
            None => {
                let places = wait.places();
                places.map(|place| &place.local).try_for_each(ensure_driver)?;
                Poll::Pending
            }
        }
    }
}

impl JointAcquire {
    /// Takes it out of every queue.
    fn leave(&mut self) {
        if let State::Waiting(wait) = std::mem::replace(&mut self.state, State::Done) {
            for place in wait.places() {
                place.local.give_back(place.ticket);
            }
        }
    }
}

impl Future for JointAcquire {
    type Output = Result<JointPermit, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match std::mem::replace(&mut this.state, State::Done) {
            State::Asking(demands) => match this.joint.ask(&mut demands?, Some(context.waker()))? {
                Asked::Granted(grants) => Poll::Ready(Ok(this.joint.permit(grants))),
                Asked::Blocked(error) => Poll::Ready(Err(error)),
                Asked::Waiting(wait, _, waiting) => {
                    this.state = State::Waiting(Arc::clone(&wait));
                    this.span = telemetry::wait(&waiting);
                    this.look(context, &wait)
                }
            },
            State::Waiting(wait) => {
                this.state = State::Waiting(Arc::clone(&wait));
                this.look(context, &wait)
            }
            State::Done => panic!("polled after it was done"),
        }
    }
}

impl Drop for JointAcquire {
    fn drop(&mut self) {
        self.leave();
    }
}
