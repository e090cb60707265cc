//! A body that tells when it leaves.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Calls `tell` when the connection takes the bytes to write them.
pub(super) struct Told<F> {
    bytes: Option<Bytes>,
    tell: Option<F>,
}

impl<F> Told<F> {
    pub(super) fn new(bytes: Bytes, tell: F) -> Self {
        Self { bytes: Some(bytes), tell: Some(tell) }
    }
}

impl<F: FnOnce() + Unpin> Body for Told<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(tell) = self.tell.take() {
            tell();
        }
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
