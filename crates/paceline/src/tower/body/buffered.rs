//! The beginning of a body, read ahead within bounds.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use tokio::time::timeout;

/// What was read of a body, and what comes after it.
pub(in crate::tower) struct Buffered<R: Body> {
    pub(super) bytes: Bytes,
    /// The error that ended it.
    pub(super) broken: Option<R::Error>,
    /// The body itself, where it has not ended.
    pub(super) rest: Option<R>,
}

impl<R: Body<Data = Bytes> + Unpin> Buffered<R> {
    /// Reads `body` until it ends, has more than `most` bytes, or `time` is over.
    pub(in crate::tower) async fn read(body: R, most: usize, time: Duration) -> Self {
        let (mut rest, mut broken) = (Some(body), None);
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        // Cancelled between two frames at most: what was read is kept outside.
        let reading = async {
            while let (Some(body), true) = (&mut rest, first.len() + more.len() <= most) {
                match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if first.is_empty() => first = data,
                        Ok(data) => more.extend_from_slice(&data),
                        // Trailers say nothing of limits.
                        Err(_) => {}
                    },
                    Some(Err(error)) => (broken, rest) = (Some(error), None),
                    None => rest = None,
                }
            }
        };
        let _ = timeout(time, reading).await;
        let bytes = if more.is_empty() {
            first
        } else {
            let mut all = BytesMut::from(&first[..]);
            all.extend_from_slice(&more);
            all.freeze()
        };
        Self { bytes, broken, rest }
    }

    pub(in crate::tower) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
