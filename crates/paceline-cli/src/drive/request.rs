//! One request: admitted, taken through its attempts, and its result.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use paceline::headers::{Output, Usage};
use paceline::tower::{LimitBody, LimitError, Served};
use paceline::{Error, Verdict};
use reqwest::Body;
use tower_service::Service;

use super::attempts::Attempts;
use super::call::{Call, Outgoing};
use super::{Out, Shared};
use crate::daily;
use crate::estimate::Cost;
use crate::input::{Code, Request};
use crate::output::{Outcome, Reply, ResultLine};
use crate::send::{Flawed, Unanswered};
use crate::sharing::for_users;
use crate::stop::Cause;

/// What asking for a permit led to.
pub(super) enum Admission {
    Granted(Granted),
    /// It can never be granted.
    Refused(Outcome),
    /// Nothing more is to be sent.
    Stopped,
}

/// A request that was admitted for its first attempt.
pub(super) struct Granted {
    outgoing: Outgoing,
    sending: Sending,
}

type Sending = <paceline::tower::LimitService<Attempts, Outgoing> as Service<http::Request<Outgoing>>>::Future;
type Ended = Result<Response<LimitBody<Body>>, LimitError<Unanswered>>;

/// When a wait is first looked at, to say what it is for. Each look is as far from the last as that was from the beginning,
/// up to [`SELDOM`]: the longer it lasts already, the less is a moment.
const LOOK: Duration = Duration::from_millis(100);

/// How long after it could not be asked for a shared quota is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The longest time between looks.
const SELDOM: Duration = Duration::from_secs(2);

/// Waits until it is admitted. Requests are admitted in the order in which this is called, one after the other.
pub(super) async fn admit(shared: &Shared, request: Request) -> Admission {
    let leaving = tokio::select! {
        biased;
        () = shared.stop.draining() => return Admission::Stopped,
        leaving = Arc::clone(&shared.leaving).acquire_owned() => leaving.ok(),
    };
    let estimate = shared.estimate(&request);
    let quote = tokio::select! {
        biased;
        () = shared.stop.draining() => return Admission::Stopped,
        quote = shared.spend.reserve(&request, estimate) => match quote {
            Ok(quote) => quote,
            Err(broke) => {
                shared.stop.drain(broke.into());
                return Admission::Stopped;
            }
        },
    };
    let cost = shared.learnt.correct(estimate);
    let call = Arc::new(Call::new(cost, shared.demand(cost), quote, leaving));
    let outgoing = Outgoing { request: Arc::new(request), call };
    let mut sending = send(shared, &outgoing);
    let mut look = LOOK;
    let ended = loop {
        tokio::select! {
            biased;
            () = shared.stop.draining() => return stopped(shared),
            ended = begun(&mut sending, &outgoing.call) => break ended,
            () = tokio::time::sleep(look) => {
                shared.look(&outgoing.call.demand);
                shared.leave_out_used_up();
                look_where_quotas_are_shared(shared);
                look = (look * 2).min(SELDOM);
            }
        }
    };
    if outgoing.call.has_begun() {
        shared.tally.admitted.add(1);
        shared.quota_away.store(false, Relaxed);
    }
    match ended {
        None => Admission::Granted(Granted { outgoing, sending }),
        Some(ended) => {
            shared.waits.end();
            match over(shared, &outgoing, ended).await {
                Some(outcome) => Admission::Refused(outcome),
                None => Admission::Granted(Granted { sending: send(shared, &outgoing), outgoing }),
            }
        }
    }
}

fn send(shared: &Shared, outgoing: &Outgoing) -> Sending {
    shared.service.clone().call(http::Request::new(outgoing.clone()))
}

/// Returns when the first attempt has begun, or it is over without one.
async fn begun(sending: &mut Sending, call: &Call) -> Option<Ended> {
    poll_fn(|context| match Pin::new(&mut *sending).poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if call.has_begun() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn stopped(shared: &Shared) -> Admission {
    shared.waits.end();
    Admission::Stopped
}

impl Granted {
    /// Sends it until that leads somewhere. A stop lets an attempt in flight end and cuts every wait short.
    pub(super) async fn run(self, shared: &Shared) -> Outcome {
        let Self { outgoing, mut sending } = self;
        let cut_short = async {
            shared.stop.draining().await;
            if outgoing.call.is_in_flight() {
                pending().await
            }
        };
        tokio::pin!(cut_short);
        loop {
            let ended = tokio::select! {
                biased;
                ended = &mut sending => ended,
                () = &mut cut_short => return abandon(shared),
            };
            match over(shared, &outgoing, ended).await {
                Some(outcome) => return outcome,
                None if shared.stop.is_draining() => return abandon(shared),
                // Whoever could not serve it is asked no more.
                None => sending = send(shared, &outgoing),
            }
        }
    }
}

fn abandon(shared: &Shared) -> Outcome {
    shared.tally.abandoned.add(1);
    Outcome::Abandoned
}

/// The result; none if it is for somebody else to serve.
async fn over(shared: &Shared, outgoing: &Outgoing, ended: Ended) -> Option<Outcome> {
    match ended {
        Ok(response) => answered(shared, outgoing, response).await,
        Err(LimitError::NotAdmitted(Error::Backend { message, retryable, .. })) => {
            no_quota(shared, message, retryable).await
        }
        Err(LimitError::NotAdmitted(error)) => Some(not_admitted(shared, &outgoing.request, &error)),
        Err(LimitError::Failed(why)) => Some(unanswered(shared, outgoing, &why)),
    }
}

async fn answered(shared: &Shared, outgoing: &Outgoing, mut response: Response<LimitBody<Body>>) -> Option<Outcome> {
    let served = response.extensions_mut().remove::<Served>();
    let back = served.as_ref().and_then(|served| served.facts.retry_after);
    let (verdict, spent) = served.map_or((Verdict::Permanent, false), |it| (it.facts.verdict, it.facts.quota_spent));
    let flawed = response.extensions_mut().remove::<Flawed>();
    let (head, body) = response.into_parts();
    let (body, usage) = read(body).await;
    let endpoint = outgoing.call.endpoint();
    let sender = &shared.senders[endpoint];
    let status = flawed.as_ref().map_or(head.status, |flawed| flawed.status);
    let reply = sender.reply(status, &head.headers, body);
    let elsewhere = is_redirect(head.status).then(|| sender.location(&head.headers));
    let out = match (verdict, head.status, &elsewhere) {
        (_, StatusCode::PAYMENT_REQUIRED, _) => Some(Out::Spent(reply.body.words())),
        _ if spent => {
            let back = back.map(|wait| format!(" (back {})", daily::back_in(wait))).unwrap_or_default();
            Some(Out::Spent(reply.body.words() + &back))
        }
        (Verdict::Permanent, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
            Some(Out::Refused(head.status.as_u16()))
        }
        (_, _, Some(to)) if shared.tally.endpoints[endpoint].only_redirects() => Some(Out::Redirected(to.clone())),
        _ => None,
    };
    if let Some(out) = out {
        return if shared.leave_out(endpoint, out) { None } else { Some(abandon(shared)) };
    }
    Some(match (verdict, head.status) {
        (Verdict::Success, _) if flawed.is_none() => {
            if let Some(usage) = usage {
                shared.tally.used(shared.members.serving(endpoint), endpoint, outgoing.call.cost, &usage);
            }
            let Request { line, custom_id, .. } = &*outgoing.request;
            if let (Some(usage), true) = (usage, outgoing.call.cost != Cost::default()) {
                // Where the service reserves what is asked for, what was used is no better estimate.
                let reserved = shared.members.serving(endpoint).speech.charges.output == Output::Reserved;
                let usage = Usage { output: usage.output.filter(|_| !reserved), ..usage };
                shared.learnt.learn(&shared.estimate, outgoing.request.body_text(), &usage);
            }
            Outcome::Succeeded(ResultLine::answered(shared.id(*line), custom_id, &reply, None).to_bytes())
        }
        (verdict, _) if verdict.is_retryable() && shared.stop.is_draining() => abandon(shared),
        (_, status) => match flawed {
            Some(flawed) => misled(shared, &outgoing.request, &reply, &flawed),
            None => failed(shared, &outgoing.request, &reply, status, elsewhere.as_deref()),
        },
    })
}

fn is_redirect(status: StatusCode) -> bool {
    status.is_redirection() && status != StatusCode::NOT_MODIFIED
}

/// The whole body, which is here already, and what it says of usage.
async fn read(mut body: LimitBody<Body>) -> (Bytes, Option<Usage>) {
    let mut all = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            all.extend_from_slice(data);
        }
    }
    (all.into(), body.usage())
}

fn failed(shared: &Shared, request: &Request, reply: &Reply, status: StatusCode, elsewhere: Option<&str>) -> Outcome {
    let (id, custom_id) = (shared.id(request.line), &*request.custom_id);
    let mut message =
        format!("the service answered {} {}", reply.status, status.canonical_reason().unwrap_or_default());
    message.truncate(message.trim_end().len());
    if let Some(to) = elsewhere {
        message += &format!(" and points to {to}; redirects are not followed: correct the base URL");
    }
    shared.tally.note_failure(|| format!("{custom_id}: {message}"));
    Outcome::Failed(ResultLine::answered(id, custom_id, reply, Some(&message)).to_bytes())
}

/// A success that is none.
fn misled(shared: &Shared, request: &Request, reply: &Reply, Flawed { status, flaw }: &Flawed) -> Outcome {
    let (id, custom_id) = (shared.id(request.line), &*request.custom_id);
    let message = format!("the service answered {} with {flaw}", status.as_u16());
    shared.tally.note_failure(|| format!("{custom_id}: {message}"));
    Outcome::Failed(ResultLine::flawed(id, custom_id, reply, &message).to_bytes())
}

fn unanswered(shared: &Shared, outgoing: &Outgoing, why: &Unanswered) -> Outcome {
    let Outgoing { request, call } = outgoing;
    if shared.stop.is_draining() {
        return abandon(shared);
    }
    if let (Unanswered::Unreachable(why), true) = (why, shared.tally.answers.get() == call.answers_before()) {
        // Nobody was answered since its last attempt began: not its fault, and not worth a result.
        shared.stop.drain(Cause::Unreachable { endpoint: call.endpoint(), why: why.clone() });
        return abandon(shared);
    }
    without_answer(shared, request, why.code(), &why.to_string())
}

/// The place where the quotas are shared could not be asked: nothing that the request has done, and nothing is sent without.
async fn no_quota(shared: &Shared, why: String, retryable: bool) -> Option<Outcome> {
    if !retryable {
        shared.stop.drain(Cause::Shared(for_users(&why)));
        return Some(abandon(shared));
    }
    say_away(shared, &why);
    tokio::select! {
        () = shared.stop.draining() => {}
        () = tokio::time::sleep(ASK_AGAIN) => {}
    }
    None
}

/// Whoever waits for a place that is away waits until it is back, and hears nothing of it.
fn look_where_quotas_are_shared(shared: &Shared) {
    for member in shared.members.iter() {
        if let Err(Error::Backend { message, retryable: true, .. }) = member.set.try_snapshot() {
            say_away(shared, &message);
        }
    }
}

fn say_away(shared: &Shared, why: &str) {
    if !shared.quota_away.swap(true, Relaxed) {
        shared.screen.say(&format!("nothing is sent for now: {}", for_users(why)));
    }
}

fn not_admitted(shared: &Shared, request: &Request, error: &Error) -> Outcome {
    let (code, message) = match error {
        // All endpoints fail: nothing that this request has done.
        Error::BreakerOpen { .. } => {
            shared.stop.drain(Cause::AllFail);
            return abandon(shared);
        }
        // Whoever could have served it is asked no more, and may be again in another run.
        Error::Closed { .. } => return abandon(shared),
        Error::TooLarge { key, asked, capacity, .. } => (
            Code::TooLarge,
            format!(
                "the request is estimated at {asked} {key}, and the limit never grants more than {capacity} at once; \
                 ask for fewer tokens or raise the limit"
            ),
        ),
        Error::DeadlineExceeded { .. } => (Code::Elapsed, "not admitted again within --retry-elapsed".to_owned()),
        error => (Code::TooLarge, error.to_string()),
    };
    without_answer(shared, request, code, &message)
}

fn without_answer(shared: &Shared, request: &Request, code: Code, message: &str) -> Outcome {
    let (line, custom_id) = (request.line, &*request.custom_id);
    tracing::info!(line, custom_id, "{message}");
    shared.tally.note_failure(|| format!("{custom_id}: {message}"));
    Outcome::Failed(ResultLine::failed(shared.id(line), Some(custom_id), code, message).to_bytes())
}
