//! The service that the layer makes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::body::LimitBody;
use super::builder::Rules;
use super::call;
use super::error::LimitError;

/// A service whose requests are limited: what [`LimitLayer`](super::LimitLayer) makes of another.
///
/// Always ready, since what a request waits for depends on the request. Each attempt has a clone of the inner service,
/// waits until that is ready and calls it, in this order and holding its permit. The attempt is in the request's
/// extensions as an [`Attempt`](crate::Attempt): whoever is further in can settle it, report a verdict of its own (a
/// timeout as overload, say), or hold the permit longer by keeping a clone.
///
/// An answer comes back as it is, success or not, with a [`Served`](super::Served) in its extensions. Errors of the inner
/// service count [by what they are](crate::by_error).
///
/// # Cancel safety
///
/// Dropping the future leaves nothing behind while it waits, and ends an attempt as [cancelled](crate::Verdict::Cancelled):
/// what its rates were charged stands, its resources are free. So does dropping a body before its end.
///
/// # Cost
///
/// What [`Call::run`](crate::Call::run) costs, a boxed future a request, and a scan of the answer's headers.
pub struct LimitService<S, B> {
    inner: S,
    rules: Arc<Rules<B>>,
}

impl<S, B> LimitService<S, B> {
    pub(super) fn new(inner: S, rules: Arc<Rules<B>>) -> Self {
        Self { inner, rules }
    }

    /// The service within.
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, B, R> Service<Request<B>> for LimitService<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: fmt::Display + Send + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + Unpin + 'static,
    R::Error: Send,
{
    type Response = Response<LimitBody<R>>;
    type Error = LimitError<S::Error>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(call::run(Arc::clone(&self.rules), self.inner.clone(), request))
    }
}

impl<S: Clone, B> Clone for LimitService<S, B> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S: fmt::Debug, B> fmt::Debug for LimitService<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitService").field("inner", &self.inner).field("rules", &self.rules).finish()
    }
}
