//! The body of an answer, and the permit that goes with it.

mod buffered;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use paceline_core::Verdict;
use paceline_core::headers::Usage;
use tokio::time::{Instant, Sleep, sleep_until};

use super::usage::Meter;
use crate::pipeline::Attempt;

pub(super) use buffered::Buffered;

/// The body of an answer. That of a success holds the permit of its call until it has been read to its end or is
/// dropped, and settles the call by its [usage](Self::usage) where that was asked for.
///
/// The attempt ended well if the body did. One that breaks off is a transient failure, one that takes longer than the
/// [timeout](super::LimitLayerBuilder::body_timeout) is overload, one that is dropped before its end was cancelled. None of
/// these is tried again: the answer is the caller's already.
pub struct LimitBody<R: Body> {
    /// What was read ahead, of an error.
    ahead: Option<Bytes>,
    /// What ended the reading ahead.
    broken: Option<R::Error>,
    rest: Option<R>,
    time: Duration,
    until: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    hold: Option<Hold>,
    usage: Option<Usage>,
}

// Its error is never pinned.
impl<R: Body + Unpin> Unpin for LimitBody<R> {}

/// The attempt of a success, until its body has ended.
#[derive(Debug)]
struct Hold {
    attempt: Attempt,
    meter: Option<Meter>,
    ended: Option<Verdict>,
}

/// Why a body broke off.
#[derive(Debug)]
pub enum BodyError<E> {
    /// The inner service's body failed.
    Failed(E),
    /// It took longer than this.
    TimedOut(Duration),
}

impl<R: Body<Data = Bytes>> LimitBody<R> {
    /// The body of a success, which keeps its attempt.
    pub(super) fn kept(body: R, attempt: Attempt, meter: Option<Meter>, time: Duration) -> Self {
        let hold = Hold { attempt, meter, ended: None };
        let mut kept = Self { hold: Some(hold), ..Self::rest(body, time) };
        if kept.rest.as_ref().is_none_or(Body::is_end_stream) {
            kept.usage = kept.hold.take().and_then(Hold::complete);
        }
        kept
    }

    /// Any other body, of which nothing was read.
    pub(super) fn rest(body: R, time: Duration) -> Self {
        let until = Instant::now().checked_add(time).unwrap_or_else(far);
        Self { ahead: None, broken: None, rest: Some(body), time, until, timer: None, hold: None, usage: None }
    }

    /// A body whose beginning was read.
    pub(super) fn buffered(read: Buffered<R>, time: Duration) -> Self {
        let Buffered { bytes, broken, rest } = read;
        let until = Instant::now().checked_add(time).unwrap_or_else(far);
        let ahead = (!bytes.is_empty()).then_some(bytes);
        Self { ahead, broken, rest, time, until, timer: None, hold: None, usage: None }
    }

    /// What the call used, by its answer's own count: once the body was read to its end, if
    /// [asked for](super::LimitLayerBuilder::settle_usage).
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

/// As far off as timers go.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}

impl Hold {
    /// The body was read to its end.
    fn complete(mut self) -> Option<Usage> {
        self.ended = Some(Verdict::Success);
        self.meter.take().and_then(|meter| meter.settle(&self.attempt))
    }

    fn fail(mut self, verdict: Verdict) {
        self.ended = Some(verdict);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self.ended.unwrap_or(Verdict::Cancelled) {
            Verdict::Success => {}
            verdict => self.attempt.report(verdict),
        }
    }
}

impl<R: Body<Data = Bytes> + Unpin> LimitBody<R> {
    /// It is over, well.
    fn end(&mut self) {
        self.rest = None;
        self.usage = self.hold.take().and_then(Hold::complete);
    }

    /// It is over, with an error.
    fn fail(&mut self, verdict: Verdict, error: BodyError<R::Error>) -> BodyError<R::Error> {
        self.rest = None;
        if let Some(hold) = self.hold.take() {
            hold.fail(verdict);
        }
        error
    }

    fn is_late(&mut self, frame: &Poll<Frames<R::Error>>, context: &mut Context<'_>) -> bool {
        match frame {
            Poll::Ready(None) => false,
            Poll::Ready(_) => Instant::now() >= self.until,
            Poll::Pending => {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.until)));
                timer.as_mut().poll(context).is_ready()
            }
        }
    }
}

type Frames<E> = Option<Result<Frame<Bytes>, E>>;

impl<R: Body<Data = Bytes> + Unpin> Body for LimitBody<R> {
    type Data = Bytes;
    type Error = BodyError<R::Error>;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Frames<Self::Error>> {
        let this = self.get_mut();
        if let Some(ahead) = this.ahead.take() {
            return Poll::Ready(Some(Ok(Frame::data(ahead))));
        }
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(BodyError::Failed(error))));
        }
        let Some(rest) = &mut this.rest else { return Poll::Ready(None) };
        let frame = Pin::new(&mut *rest).poll_frame(context);
        let ends = rest.is_end_stream();
        if this.is_late(&frame, context) {
            let error = this.fail(Verdict::Overloaded, BodyError::TimedOut(this.time));
            return Poll::Ready(Some(Err(error)));
        }
        let Poll::Ready(frame) = frame else { return Poll::Pending };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let meter = this.hold.as_mut().and_then(|hold| hold.meter.as_mut());
                if let (Some(data), Some(meter)) = (frame.data_ref(), meter) {
                    meter.push(data);
                }
                if ends {
                    this.end();
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => Some(Err(this.fail(Verdict::Transient, BodyError::Failed(error)))),
            None => {
                this.end();
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        let over = self.rest.as_ref().is_none_or(Body::is_end_stream);
        self.ahead.is_none() && self.broken.is_none() && over
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint
    }
}

impl<R: Body> fmt::Debug for LimitBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitBody").field("hold", &self.hold).field("usage", &self.usage).finish_non_exhaustive()
    }
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::TimedOut(time) => write!(f, "the body did not end within {time:?}; give it longer by `body_timeout`"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for BodyError<E> {}
