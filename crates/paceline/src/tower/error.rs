//! Why a request has no answer.

use std::fmt;

use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::error::Error;

/// Why a request has no answer. An answer with an error status is an answer.
#[derive(Debug)]
pub enum LimitError<E> {
    /// The inner service failed, in the last attempt that there was.
    Failed(E),
    /// It was not admitted, for its first attempt or another one.
    NotAdmitted(Error),
}

impl<E> LimitError<E> {
    /// The status that a server should answer with.
    ///
    /// | why | status |
    /// |---|---|
    /// | no room in time | 429 Too Many Requests |
    /// | asks for more than is ever granted | 413 Content Too Large |
    /// | the breaker is open, the limits are closed or out of reach | 503 Service Unavailable |
    /// | the inner service failed | 502 Bad Gateway |
    /// | anything else: a mistake in the server's own limits | 500 Internal Server Error |
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Failed(_) => StatusCode::BAD_GATEWAY,
            Self::NotAdmitted(Error::NotNow { .. } | Error::DeadlineExceeded { .. }) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotAdmitted(Error::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotAdmitted(Error::BreakerOpen { .. } | Error::Closed { .. } | Error::Backend { .. }) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NotAdmitted(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// An answer for it, without a body: the [status](Self::status), and Retry-After in whole seconds where it is known.
    ///
    /// ```
    /// use paceline::tower::LimitError;
    /// use paceline::{Error, LimitSet, Quota};
    ///
    /// let set = LimitSet::builder("api").calls(Quota::per_minute(1)).build()?;
    /// drop(set.try_acquire(())?);
    /// let error = LimitError::<std::io::Error>::NotAdmitted(set.try_acquire(()).unwrap_err());
    /// let response: http::Response<String> = error.response();
    /// assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"60".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn response<R: Default>(&self) -> Response<R> {
        let mut response = Response::new(R::default());
        *response.status_mut() = self.status();
        if let Self::NotAdmitted(error) = self {
            if let Some(wait) = error.retry_after() {
                let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
        }
        response
    }
}

impl<E: fmt::Display> fmt::Display for LimitError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::NotAdmitted(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for LimitError<E> {}
