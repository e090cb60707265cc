//! How limits are shared.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::handle::Redis;

/// How limits are shared; [`connect`](crate::connect) takes the defaults.
///
/// | option | default | range |
/// |---|---|---|
/// | [`prefix`](Self::prefix) | `paceline` | 1 to 100 letters, digits, `-`, `_`, `.` |
/// | [`lease`](Self::lease) | 20 s | 1 s to 5 min |
/// | [`response_timeout`](Self::response_timeout) | 1 s | 10 ms to half a lease |
/// | [`prefetch`](Self::prefetch) | 0 | 0 to 1,000 |
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline_redis::Error> {
/// let shared = paceline_redis::Redis::options("redis://limits.internal").prefix("team-a").connect().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is shared until `connect` is called"]
pub struct Options {
    pub(crate) url: String,
    pub(crate) prefix: String,
    pub(crate) lease: Duration,
    pub(crate) response: Duration,
    pub(crate) prefetch: usize,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, prefix, lease, response, prefetch } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("prefix", prefix).field("lease", lease).field("response_timeout", response);
        shown.field("prefetch", prefetch).finish_non_exhaustive()
    }
}

impl Options {
    pub(crate) fn new(url: &str) -> Self {
        let (prefix, lease, response) = ("paceline".to_owned(), Duration::from_secs(20), Duration::from_secs(1));
        Self { url: url.to_owned(), prefix, lease, response, prefetch: 0 }
    }

    /// What the names of all keys begin with: those who share a set have to name the same.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// For how long others take a silent member for alive. Within this time after its death all that it held is free, and
    /// whoever cannot reach the store for so long has lost what it holds: `Permit::is_lost`. It is renewed each third of it.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long to wait for the store before that is an error.
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response = timeout;
        self
    }

    /// How many permits to hold in advance for `try_acquire`, which never waits for a round trip: of the demand that was
    /// last tried, for 100 ms. What is held so is charged, and nobody else can have it: that many are kept from others at
    /// most, by each process. At 0, `try_acquire` is an error.
    pub fn prefetch(mut self, permits: usize) -> Self {
        self.prefetch = permits;
        self
    }

    /// Connects, and sees that the store can do what is needed. Runs on a thread of its own, so it does not matter who
    /// waits for it.
    ///
    /// # Errors
    ///
    /// An option out of its range; what keeps the store from being used, with what to do.
    pub async fn connect(self) -> Result<Redis, Error> {
        self.validate()?;
        Redis::connect(self).await
    }

    fn validate(&self) -> Result<(), Error> {
        let wrong = |what: String| Err(Error::Option { what });
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if !(1..=100).contains(&self.prefix.len()) || !self.prefix.chars().all(plain) {
            let prefix = &self.prefix;
            return wrong(format!("the prefix `{prefix}` is not 1 to 100 letters, digits, `-`, `_` and `.`"));
        }
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(300));
        if !(shortest..=longest).contains(&self.lease) {
            return wrong(format!("a lease of {:?} is not from {shortest:?} to {longest:?}", self.lease));
        }
        let (shortest, longest) = (Duration::from_millis(10), self.lease / 2);
        if !(shortest..=longest).contains(&self.response) {
            let response = self.response;
            return wrong(format!("a response timeout of {response:?} is not from {shortest:?} to {longest:?}"));
        }
        if self.prefetch > 1_000 {
            return wrong(format!("a prefetch of {} is more than 1,000", self.prefetch));
        }
        Ok(())
    }
}
