//! The service that the limits are laid around: one attempt, sent and counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use paceline::headers::Usage;
use paceline::{Attempt, Verdict};
use reqwest::Body;
use tokio::time::Instant;
use tower_service::Service;

use super::call::{Call, Outgoing};
use super::members::{Member, Members};
use crate::journal::record::Started;
use crate::journal::{Attempted, Journal};
use crate::send::{Flaw, Flawed, Sender, Unanswered, status_of};
use crate::stop::{Cause, Stop};
use crate::tally::Tally;
use crate::time::{epoch_ms, millis};
use crate::waits::{Waited, Waits};

/// Sends what is admitted.
#[derive(Clone)]
pub(crate) struct Attempts(Arc<Parts>);

pub(super) struct Parts {
    pub(super) senders: Arc<[Sender]>,
    pub(super) members: Arc<Members>,
    pub(super) tally: Arc<Tally>,
    pub(super) waits: Arc<Waits>,
    pub(super) journal: Arc<Journal>,
    pub(super) stop: Arc<Stop>,
}

impl Attempts {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Service<Request<Outgoing>> for Attempts {
    type Response = Response<Body>;
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Unanswered>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unanswered>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Outgoing>) -> Self::Future {
        let parts = Arc::clone(&self.0);
        let attempt = request.extensions_mut().remove::<Attempt>().expect("the limits are laid around it");
        Box::pin(async move { parts.make(&attempt, request.body()).await })
    }
}

impl Parts {
    async fn make(&self, attempt: &Attempt, outgoing: &Outgoing) -> Result<Response<Body>, Unanswered> {
        let Outgoing { request, call } = outgoing;
        let member = self.members.of(attempt.set());
        let turn = member.choose(attempt.admitted_at());
        let (sender, tally) = (&self.senders[turn.endpoint], &self.tally.endpoints[turn.endpoint]);
        let (flight, waited) = Flight::begin(self, call, member, turn.endpoint);
        let (line, custom_id, number) = (request.line, &request.custom_id, attempt.number());
        if number > 1 {
            self.tally.retries.add(1);
            tracing::info!(line, custom_id, number, endpoint = sender.name(), "sent again");
        }
        let recorded = self.record(outgoing, number, turn.endpoint, waited);
        // The loop that admits goes on from here; a task of the request's own sends it.
        tokio::task::yield_now().await;
        // What is admitted at the same time is written at once.
        tokio::task::yield_now().await;
        self.keep(&recorded)?;
        let (admitted, leaving, sent) = (attempt.clone(), call.take_leaving(), recorded.sent());
        let left = move || {
            admitted.sent();
            drop(leaving);
            sent();
        };
        let mut answer = sender.exchange(request, call.estimate(), left).await;
        drop(flight);
        let used = usage(&answer);
        if let (Ok(response), Some(used)) = (&mut answer, used) {
            // The limits are settled by it, and need not read the body again.
            response.extensions_mut().insert(used);
        }
        let status = answer.as_ref().map(|it| it.status().as_u16()).map_err(Unanswered::failure);
        self.journal.end(&recorded, status, used);
        let answer = answer.map(|response| looked_at(attempt, response));
        if used.is_some() || is_charged(&answer) {
            call.pay(line, used.as_ref(), &self.journal);
        }
        tally.note(answer.as_ref().ok().filter(|response| !is_false(response)).map(Response::status));
        member.note(turn, verdict(&answer), self.members.now());
        match &answer {
            Ok(response) => {
                let status = response.status();
                self.tally.answers.add(1);
                if status.is_server_error() {
                    // As much as a refusal, it is why there is a retry.
                    tracing::info!(line, custom_id, endpoint = sender.name(), status = status.as_u16(), "answered");
                } else {
                    tracing::debug!(line, custom_id, endpoint = sender.name(), status = status.as_u16(), "answered");
                }
                if status == StatusCode::TOO_MANY_REQUESTS {
                    self.tally.refusals.add(1);
                    tracing::info!(line, custom_id, "refused with 429");
                }
            }
            Err(why) => {
                tracing::info!(line, custom_id, endpoint = sender.name(), "{why}");
                match why {
                    Unanswered::TimedOut => attempt.report(Verdict::Overloaded),
                    Unanswered::TooLong(_) => attempt.report(Verdict::Permanent),
                    Unanswered::Unreachable(_) | Unanswered::Broken(_) | Unanswered::Unrecorded(_) => {}
                }
            }
        }
        answer
    }
}

impl Parts {
    /// Notes that an attempt is about to be sent.
    fn record(
        &self,
        Outgoing { request, call }: &Outgoing,
        attempt: u32,
        endpoint: usize,
        waited: Option<Waited>,
    ) -> Attempted {
        self.journal.begin(Started {
            line: request.line,
            id: request.id,
            content: request.content,
            at: epoch_ms(),
            attempt,
            endpoint,
            input_tokens: call.cost.input_tokens,
            output_tokens: call.cost.output_tokens,
            waited_ms: waited.as_ref().map_or(0, |waited| millis(waited.time)),
            waited_for: waited.map(|waited| waited.limit.to_string()),
        })
    }

    /// Writes that it is; what cannot be recorded is not sent.
    fn keep(&self, recorded: &Attempted) -> Result<(), Unanswered> {
        self.journal.keep(recorded).map_err(|error| {
            self.stop.drain(Cause::Journal(error.to_string()));
            Unanswered::Unrecorded(error)
        })
    }
}

/// What a success says that it used.
fn usage(answer: &Result<Response<Body>, Unanswered>) -> Option<Usage> {
    let answer = answer.as_ref().ok().filter(|answer| answer.status().is_success())?;
    Usage::read(answer.body().as_bytes()?)
}

/// A success that is none is judged as what it is: one with an error in it by the status that goes with that error.
fn looked_at(attempt: &Attempt, mut response: Response<Body>) -> Response<Body> {
    let status = response.status();
    let body = response.body().as_bytes().unwrap_or_default();
    let flaw = status.is_success().then(|| Flaw::of(status, response.headers(), body)).flatten();
    let Some(flaw) = flaw else { return response };
    match flaw {
        Flaw::Error(_) => *response.status_mut() = status_of(response.body().as_bytes().unwrap_or_default()),
        _ => attempt.report(flaw.verdict(attempt.number())),
    }
    response.extensions_mut().insert(Flawed { status, flaw });
    response
}

/// Whether its status is still one of a success that it is not.
fn is_false(response: &Response<Body>) -> bool {
    response.status().is_success() && response.extensions().get::<Flawed>().is_some()
}

/// Whether an answer without figures costs money, as far as anybody knows: what broke off may have been written to its end.
fn is_charged(answer: &Result<Response<Body>, Unanswered>) -> bool {
    match answer {
        Ok(response) => match response.extensions().get::<Flawed>() {
            Some(Flawed { flaw, .. }) => *flaw == Flaw::Cut,
            None => response.status().is_success(),
        },
        Err(Unanswered::TimedOut | Unanswered::Broken(_) | Unanswered::TooLong(_)) => true,
        Err(Unanswered::Unreachable(_) | Unanswered::Unrecorded(_)) => false,
    }
}

/// How the endpoint did, as far as it says whether it works at all.
fn verdict(answer: &Result<Response<Body>, Unanswered>) -> Verdict {
    match answer {
        Ok(response) if !response.status().is_server_error() && !is_false(response) => Verdict::Success,
        Ok(_) | Err(_) => Verdict::Transient,
    }
}

/// Counts an attempt as in flight, however it ends.
struct Flight<'a> {
    parts: &'a Parts,
    call: &'a Call,
    endpoint: usize,
    since: Instant,
}

impl<'a> Flight<'a> {
    fn begin(parts: &'a Parts, call: &'a Call, member: &Member, endpoint: usize) -> (Self, Option<Waited>) {
        let waited = parts.waits.end();
        parts.tally.admit(member.first_limit, &member.limits, call.cost, endpoint);
        call.begin(parts.tally.answers.get(), endpoint);
        (Self { parts, call, endpoint, since: Instant::now() }, waited)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.call.end();
        self.parts.tally.finish(self.since.elapsed(), self.endpoint);
    }
}
