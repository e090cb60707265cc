//! The service that the limits are laid around: one attempt, sent and counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::{Request, Response, StatusCode};
use paceline::{Attempt, Verdict};
use reqwest::Body;
use tower_service::Service;

use super::call::{Call, Outgoing};
use crate::limits::Limit;
use crate::send::{Sender, Unanswered};
use crate::tally::Tally;
use crate::waits::Waits;

/// Sends what is admitted.
#[derive(Clone)]
pub(crate) struct Attempts(Arc<Parts>);

pub(super) struct Parts {
    pub(super) sender: Arc<Sender>,
    pub(super) limits: Arc<[Limit]>,
    pub(super) tally: Arc<Tally>,
    pub(super) waits: Arc<Waits>,
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
        let flight = Flight::begin(self, call);
        let (line, custom_id, number) = (request.line, &request.custom_id, attempt.number());
        if number > 1 {
            self.tally.retries.add(1);
            tracing::info!(line, custom_id, number, "sent again");
        }
        // The loop that admits goes on from here; a task of the request's own sends it.
        tokio::task::yield_now().await;
        let (admitted, leaving) = (attempt.clone(), call.take_leaving());
        let left = move || {
            admitted.sent();
            drop(leaving);
        };
        let answer = self.sender.exchange(request, left).await;
        drop(flight);
        match &answer {
            Ok(response) => {
                let status = response.status();
                self.tally.answers.add(1);
                tracing::debug!(line, custom_id, status = status.as_u16(), "answered");
                if status == StatusCode::TOO_MANY_REQUESTS {
                    self.tally.refusals.add(1);
                    tracing::info!(line, custom_id, "refused with 429");
                }
            }
            Err(why) => {
                tracing::debug!(line, custom_id, "{why}");
                if matches!(why, Unanswered::TimedOut) {
                    attempt.report(Verdict::Overloaded);
                }
            }
        }
        answer
    }
}

/// Counts an attempt as in flight, however it ends.
struct Flight<'a> {
    parts: &'a Parts,
    call: &'a Call,
    since: Instant,
}

impl<'a> Flight<'a> {
    fn begin(parts: &'a Parts, call: &'a Call) -> Self {
        parts.waits.end();
        parts.tally.admit(&parts.limits, call.cost);
        call.begin(parts.tally.answers.get());
        Self { parts, call, since: Instant::now() }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.call.end();
        self.parts.tally.finish(self.since.elapsed());
    }
}
