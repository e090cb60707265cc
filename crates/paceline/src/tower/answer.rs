//! Reading an answer: its head at once, of an error the body too, and telling whoever learns from it.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, response};
use http_body::Body;
use paceline_core::Verdict;
use paceline_core::headers::{Answer, Dialect, Facts};

use super::body::{Buffered, LimitBody};
use super::builder::Rules;
use super::limits;
use super::usage::Meter;
use crate::pipeline::Attempt;
use crate::set::Snapshot;

impl<B> Rules<B> {
    /// Tells the attempt, and its set, what the answer says; `before` is how the set stood when the attempt was admitted.
    /// The answer of a success keeps the attempt.
    pub(super) async fn read<R>(
        &self,
        attempt: Attempt,
        before: Option<&Snapshot>,
        response: Response<R>,
    ) -> Response<LimitBody<R>>
    where
        R: Body<Data = Bytes> + Unpin,
    {
        let (mut head, body) = response.into_parts();
        let (dialect, charges) = self.of(attempt.set());
        let mut facts = self.facts(dialect, &head, None);
        let body = if facts.verdict == Verdict::Success {
            let usage = charges.map(|charges| Meter::new(charges, &head));
            LimitBody::kept(body, attempt.clone(), usage, self.body_time)
        } else if dialect == Dialect::Plain {
            LimitBody::rest(body, self.body_time)
        } else {
            if let Verdict::RateLimited { retry_after: Some(wait) } = facts.verdict {
                // Not after the body, which may take its time. A set that lives elsewhere has no gate.
                let _ = attempt.set().pause_for(wait);
            }
            let read = Buffered::read(body, self.error_bytes, self.error_time).await;
            facts = self.facts(dialect, &head, Some(read.bytes()));
            LimitBody::buffered(read, self.body_time)
        };
        for note in &facts.notes {
            tracing::debug!(set = attempt.set().name(), "{note}");
        }
        if let Some(before) = before {
            for (key, state) in limits::of(attempt.set(), &facts.limits) {
                self.ahead.sync(&attempt, before, key, state);
            }
            for step in self.finding.learn(&attempt, &facts.limits, self.on_found.as_deref()) {
                if step.fresh {
                    // Nothing is known here that it could be held against.
                    let _ = attempt.sync(&*step.key, step.state);
                } else {
                    self.ahead.sync(&attempt, before, &step.key, step.state);
                }
            }
        }
        // A rate limit's wait goes with the verdict: it is the set's, and another member of a pool may have room.
        if let (Some(wait), false) = (facts.retry_after, matches!(facts.verdict, Verdict::RateLimited { .. })) {
            attempt.retry_after(wait);
        }
        attempt.report(facts.verdict);
        head.extensions.insert(facts);
        Response::from_parts(head, body)
    }

    fn facts(&self, dialect: Dialect, head: &response::Parts, body: Option<&[u8]>) -> Facts {
        let headers: Vec<_> = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let answer = Answer { status: head.status.as_u16(), headers: &headers, body, received: SystemTime::now() };
        dialect.read(&answer, self.longest_wait)
    }
}
