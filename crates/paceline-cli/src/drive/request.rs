//! One request: granted, sent, and once more if that may help.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use paceline::{Arrival, Error, Key, Permit};

use super::Shared;
use crate::estimate::Cost;
use crate::input::{Code, Request};
use crate::output::{Outcome, ResultLine};
use crate::retry::{ATTEMPTS, NO_ANSWER, Verdict, Wait};
use crate::send::Attempt;
use crate::stop::Cause;
use crate::time;

/// What asking for a permit led to.
pub(super) enum Admission {
    Granted(Box<Granted>),
    /// It can never be granted.
    Refused(Outcome),
    /// Nothing more is to be sent.
    Stopped,
}

/// A request with the permit for its first attempt.
pub(super) struct Granted {
    request: Request,
    cost: Cost,
    demand: Vec<(Key, u64)>,
    permit: Permit<'static>,
    leaving: Leaving,
}

/// Held until the request is on its way. A request that is sent again needs none.
type Leaving = Option<OwnedSemaphorePermit>;

/// Waits for a permit.
pub(super) async fn admit(shared: &Shared, request: Request) -> Admission {
    let cost = shared.cost(&request);
    let demand = shared.demand(cost);
    let leaving = tokio::select! {
        biased;
        () = shared.stop.draining() => return Admission::Stopped,
        leaving = Arc::clone(&shared.leaving).acquire_owned() => leaving.ok(),
    };
    match acquire(shared, &demand, None).await {
        Some(Ok(permit)) => {
            shared.tally.admitted.add(1);
            Admission::Granted(Box::new(Granted { request, cost, demand, permit, leaving }))
        }
        Some(Err(error)) => Admission::Refused(refused(shared, &request, &error)),
        None => Admission::Stopped,
    }
}

/// How often a wait is looked at, to say what it is for.
const LOOK: Duration = Duration::from_millis(100);

/// None where nothing more is to be sent.
async fn acquire(
    shared: &Shared,
    demand: &[(Key, u64)],
    arrival: Option<Arrival>,
) -> Option<Result<Permit<'static>, Error>> {
    let request = shared.set.request(demand);
    let request = match arrival {
        Some(arrival) => request.arrived(arrival),
        None => request,
    };
    let mut acquire = pin!(request.acquire());
    let granted = loop {
        tokio::select! {
            biased;
            () = shared.stop.draining() => break None,
            permit = &mut acquire => break Some(permit.map(Permit::into_owned)),
            () = tokio::time::sleep(LOOK) => shared.look(demand),
        }
    };
    shared.waits.end();
    granted
}

fn refused(shared: &Shared, request: &Request, error: &Error) -> Outcome {
    let message = match error {
        Error::TooLarge { key, asked, capacity, .. } => format!(
            "the request is estimated at {asked} {key}, and the limit never grants more than {capacity} at once; \
             ask for fewer tokens or raise the limit"
        ),
        error => error.to_string(),
    };
    tracing::info!(line = request.line, custom_id = request.custom_id, "{message}");
    let id = Some(&*request.custom_id);
    shared.tally.note_failure(|| format!("{}: {message}", request.custom_id));
    Outcome::Failed(ResultLine::failed(shared.id(request.line), id, Code::TooLarge, &message).to_bytes())
}

impl Granted {
    /// Sends it until that leads somewhere.
    pub(super) async fn run(self: Box<Self>, shared: &Shared) -> Outcome {
        let Self { request, cost, demand, mut permit, mut leaving } = *self;
        let arrival = permit.arrival();
        for attempts in 1.. {
            let answers = shared.tally.answers.get();
            let attempt = send(shared, &request, cost, permit, leaving.take()).await;
            let last = attempts == ATTEMPTS;
            let wait = match &attempt {
                Attempt::Answered { verdict: Verdict::KeyRefused, reply, .. } => {
                    shared.stop.drain(Cause::Refused(reply.status));
                    return abandon(shared);
                }
                Attempt::Answered { verdict: Verdict::Again { wait }, .. } if !last => *wait,
                Attempt::Unanswered { .. } if !last => NO_ANSWER,
                Attempt::Unanswered { unreachable: true, message, .. } if shared.tally.answers.get() == answers => {
                    // Nobody was answered since this attempt began: not its fault, and not worth a result.
                    shared.stop.drain(Cause::Unreachable(message.clone()));
                    return abandon(shared);
                }
                attempt => return over(shared, &request, attempt),
            };
            if !pause(shared, &request, wait).await {
                return abandon(shared);
            }
            permit = match acquire(shared, &demand, Some(arrival)).await {
                Some(Ok(permit)) => permit,
                Some(Err(error)) => return refused(shared, &request, &error),
                None => return abandon(shared),
            };
            shared.tally.retries.add(1);
        }
        unreachable!("the last attempt is the end of it")
    }
}

/// One attempt. What it held is given back before it is judged, so that whoever waits to try again holds nothing.
async fn send(shared: &Shared, request: &Request, cost: Cost, permit: Permit<'static>, leaving: Leaving) -> Attempt {
    shared.tally.admit(&shared.limits, cost);
    let flight = Flight { shared, since: Instant::now() };
    let (guards, admitted) = (Arc::clone(&shared.guards), permit.admitted_at());
    let left = move || {
        guards.left(admitted);
        drop(leaving);
    };
    let attempt = shared.sender.attempt(request, left).await;
    drop(flight);
    match &attempt {
        Attempt::Answered { verdict, reply, usage } => {
            shared.tally.answers.add(1);
            if reply.status == 429 {
                shared.tally.refusals.add(1);
                shared.guards.refused();
            }
            tracing::debug!(line = request.line, custom_id = request.custom_id, status = reply.status, "answered");
            if *verdict == Verdict::Success {
                let named = shared.keys.iter().zip(&shared.limits);
                let actual = named.filter_map(|(key, limit)| Some(((*key)?, usage.units(limit.counted)?)));
                permit.settle(actual.collect::<Vec<_>>()).expect("the set's own keys");
                shared.tally.used(&shared.limits, cost, *usage);
            }
            if let Verdict::Again { wait: Wait::Everyone(wait) } = *verdict {
                // Before the permit goes back, or its place would be taken at once.
                tracing::info!(custom_id = request.custom_id, "429: everything pauses for {}", time::rounded(wait));
                shared.set.pause_for(wait).expect("the set is of this process");
            }
        }
        Attempt::Unanswered { message, .. } => {
            tracing::debug!(line = request.line, custom_id = request.custom_id, "{message}");
        }
    }
    attempt
}

/// Counts an attempt as in flight, however it ends.
struct Flight<'a> {
    shared: &'a Shared,
    since: Instant,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.shared.tally.finish(self.since.elapsed());
    }
}

/// Waits before another attempt; false where nothing more is to be sent.
async fn pause(shared: &Shared, request: &Request, wait: Wait) -> bool {
    let Wait::Alone(alone) = wait else {
        // Everyone's pause is the gate's, and acquiring waits for that.
        return !shared.stop.is_draining();
    };
    tracing::info!(custom_id = request.custom_id, "tried again in {}", time::rounded(alone));
    tokio::select! {
        biased;
        () = shared.stop.draining() => false,
        () = tokio::time::sleep(alone) => true,
    }
}

fn abandon(shared: &Shared) -> Outcome {
    shared.tally.abandoned.add(1);
    Outcome::Abandoned
}

fn over(shared: &Shared, request: &Request, attempt: &Attempt) -> Outcome {
    let (id, custom_id) = (shared.id(request.line), &*request.custom_id);
    match attempt {
        Attempt::Answered { verdict: Verdict::Success, reply, .. } => {
            Outcome::Succeeded(ResultLine::answered(id, custom_id, reply, None).to_bytes())
        }
        Attempt::Answered { reply, .. } => {
            let reason = reqwest::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
            let message = format!("the service answered {} {}", reply.status, reason.unwrap_or_default());
            shared.tally.note_failure(|| format!("{custom_id}: {}", message.trim_end()));
            Outcome::Failed(ResultLine::answered(id, custom_id, reply, Some(message.trim_end())).to_bytes())
        }
        Attempt::Unanswered { code, message, .. } => {
            shared.tally.note_failure(|| format!("{custom_id}: {message}"));
            Outcome::Failed(ResultLine::failed(id, Some(custom_id), *code, message).to_bytes())
        }
    }
}
