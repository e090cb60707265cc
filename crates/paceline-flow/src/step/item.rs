//! One item: its attempts, and what it comes to.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline::{Arrival, CallError, Verdict};

use super::{Step, hit};
use crate::call::Call;
use crate::context::Context;
use crate::event::Event;
use crate::failure::{Cause, Failure, Result};
use crate::lane::{Demand, Lane};
use crate::node::Node;
use crate::panics::{guarded, guarded_now};

/// A panic is the node's own and says nothing of the service.
const PANICKED: Verdict = Verdict::Cancelled;

/// What an item is tried with.
struct Try<'a, N: Node> {
    lane: &'a Lane,
    cx: Context<'a, N::Shared, N::Params>,
    index: usize,
    item: &'a N::Item,
    demand: Demand,
    /// The place in the order that a retry keeps.
    arrival: OnceLock<Arrival>,
}

/// How an attempt failed.
struct Fault {
    cause: Cause,
    verdict: Verdict,
}

impl<N: Node> Step<N> {
    pub(super) async fn item<'a>(
        &'a self,
        lane: &'a Lane,
        cx: Context<'a, N::Shared, N::Params>,
        index: usize,
        item: &'a N::Item,
    ) -> (usize, Result<N::Output, Failure>) {
        self.counters.items.add(1);
        let demand = guarded_now(|| {
            let (cost, sets) = (self.node.cost(cx, item), self.node.sets(cx, item)?);
            Ok(lane.demand(cost, sets)?)
        });
        let result = match demand.and_then(|demand| demand.map_err(Cause::Error)) {
            Ok(demand) => self.result(&Try { lane, cx, index, item, demand, arrival: OnceLock::new() }).await,
            Err(cause) => Err(cause),
        };
        let result = match result {
            Ok(output) => {
                self.counters.completed.add(1);
                cx.tell(Event::ItemDone { instance: cx.instance(), node: cx.node(), item: index });
                Ok(output)
            }
            Err(cause) => {
                self.counters.failed.add(1);
                Err(Failure::new(&self.plan.name, Some(index), cause))
            }
        };
        (index, result)
    }

    async fn result(&self, tried: &Try<'_, N>) -> Result<N::Output, Cause> {
        let Fault { cause, verdict } = match self.attempts(tried).await {
            Ok(output) => return Ok(output),
            Err(fault) => fault,
        };
        match (verdict, cause) {
            (_, cause @ Cause::Panicked(_)) => Err(cause),
            (Verdict::RateLimited { retry_after }, cause) if self.plan.limits.propagates => {
                Err(Cause::RateLimited(hit(cause.into_error(), retry_after)))
            }
            (_, cause) => {
                let (text, kind) = (cause.to_string(), kept(&cause));
                let output = guarded(|| self.node.fallback(tried.cx, tried.item, cause.into_error())).await;
                match output {
                    Ok(output) => {
                        self.counters.fallbacks.add(1);
                        Ok(output)
                    }
                    // One that hands on what it was given says no more than that.
                    Err(Cause::Error(error)) => match kind {
                        Some(kind) if error.to_string() == text => Err(kind),
                        _ => Err(Cause::of(error)),
                    },
                    Err(cause) => Err(cause),
                }
            }
        }
    }

    /// All attempts: the result, or how the last one failed.
    async fn attempts(&self, tried: &Try<'_, N>) -> Result<N::Output, Fault> {
        let Some(retries) = &self.plan.retries else { return self.attempt(tried, 1).await.0 };
        let propagates = self.plan.limits.propagates;
        let again = move |verdict| !(propagates && matches!(verdict, Verdict::RateLimited { .. }));
        let call = retries.call(()).retry_if(again);
        let outcome = call
            .run(
                |attempt| async move {
                    let (result, retry_after) = self.attempt(tried, attempt.number()).await;
                    if let Err(Fault { verdict, .. }) = &result {
                        attempt.report(quiet(*verdict));
                    }
                    if let Some(wait) = retry_after {
                        attempt.retry_after(wait);
                    }
                    result
                },
                |result| result.as_ref().map_or_else(|fault| quiet(fault.verdict), |_| Verdict::Success),
            )
            .await;
        outcome.result.map_err(|error| match error {
            CallError::Failed(fault) => fault,
            CallError::NotAdmitted(error) => Fault { cause: Cause::NotAdmitted(error), verdict: Verdict::Permanent },
            CallError::Panicked(message) => Fault { cause: Cause::Panicked(message), verdict: PANICKED },
            CallError::Rejected(_) | CallError::Stopped => {
                Fault { cause: Cause::Rejected, verdict: Verdict::Permanent }
            }
        })
    }

    /// One attempt within the limits, and how long to wait before the next if the service told.
    async fn attempt(&self, tried: &Try<'_, N>, number: u32) -> (Result<N::Output, Fault>, Option<Duration>) {
        let Try { lane, cx, index, item, demand, arrival } = tried;
        if number > 1 {
            cx.tell(Event::Retrying { instance: cx.instance(), node: cx.node(), item: *index, attempt: number });
        }
        let held = match lane.acquire(demand, arrival.get().copied()).await {
            Ok(held) => held,
            Err(error) => {
                let verdict = if error.is_retryable() { Verdict::Transient } else { Verdict::Permanent };
                return (Err(Fault { cause: Cause::NotAdmitted(error), verdict }), None);
            }
        };
        if let Some(first) = held.arrival() {
            arrival.get_or_init(|| first);
        }
        let call = Call::new(number, held);
        let in_flight = self.counters.attempt(call.waited());
        let mut result = self.exec(*cx, &call, item).await;
        drop(in_flight);
        let (verdict, retry_after) = call.end(|| {
            let judged = match &result {
                Ok(result) => guarded_now(|| self.node.verdict(result)),
                Err(Cause::Panicked(_)) => return PANICKED,
                Err(_) => return Verdict::Overloaded,
            };
            judged.unwrap_or_else(|cause| {
                result = Err(cause);
                PANICKED
            })
        });
        self.counters.ended(verdict);
        let floor = match verdict {
            // Another member may have room.
            Verdict::RateLimited { .. } if lane.chooses() => None,
            Verdict::RateLimited { retry_after } => retry_after,
            _ => None,
        };
        let result = match result {
            Ok(Ok(output)) if verdict == Verdict::Success => Ok(output),
            Ok(Ok(_)) => Err(Fault { cause: Cause::Rejected, verdict }),
            Ok(Err(error)) => Err(Fault { cause: Cause::Error(error), verdict }),
            Err(cause) => Err(Fault { cause, verdict }),
        };
        (result, floor.max(retry_after))
    }

    /// The node's own part, with its panics and its timeout.
    async fn exec(
        &self,
        cx: Context<'_, N::Shared, N::Params>,
        call: &Arc<Call>,
        item: &N::Item,
    ) -> Result<Result<N::Output>, Cause> {
        let exec = guarded(|| self.node.exec(cx.calling(call), item));
        let result = match self.plan.limits.timeout {
            None => exec.await,
            Some(longest) => match tokio::time::timeout(longest, exec).await {
                Ok(result) => result,
                Err(_) => return Err(Cause::TimedOut(longest)),
            },
        };
        match result {
            Ok(output) => Ok(Ok(output)),
            Err(Cause::Error(error)) => Ok(Err(error)),
            Err(cause) => Err(cause),
        }
    }
}

/// The pipeline of retries has no limits of its own; a pause of all slots is not its to make.
fn quiet(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::RateLimited { .. } => Verdict::RateLimited { retry_after: None },
        verdict => verdict,
    }
}

/// What a cause that is no error of the node's own says again, once a fallback has had it.
fn kept(cause: &Cause) -> Option<Cause> {
    match cause {
        Cause::NotAdmitted(error) => Some(Cause::NotAdmitted(error.clone())),
        Cause::TimedOut(longest) => Some(Cause::TimedOut(*longest)),
        Cause::Rejected => Some(Cause::Rejected),
        _ => None,
    }
}
