//! How limits are shared.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use paceline::backend::LimitSpec;
use paceline_replica::limits::Limits;

use crate::error::Error;
use crate::handle::Redis;
use crate::tls::Tls;

/// What becomes of a limit while the store is away. None of these turns into another by itself.
///
/// The store is away once three attempts in a row to talk to it have failed: no connection, no answer within the
/// [response timeout](Options::response_timeout), or one that says it cannot serve (loading, no memory left, a replica, a
/// cluster that is down, a slot on its way to another node). It is back with the first that succeeds; attempts are at most a
/// second apart. Of a cluster, it is the node that has the set that is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Outage {
    /// Nothing is granted: a demand that names the limit waits until the store is back, its deadline, or the end of the set.
    #[default]
    Closed,
    /// The limit is not asked: whatever its other limits allow is granted. What is used so is charged afterwards.
    Open,
    /// This client keeps the limit alone, with a share that is safe whatever the others do, if all know as much as it
    /// does: `amount / members` of a rate, rounded down, less all that everybody is known to have used of the window, and
    /// as much of a burst; of a resource what it holds and an equal part of what was free, while what was just on its way
    /// back is nobody's. A share of nothing (less than a unit; a leaky bucket that is shared) grants nothing. What is used
    /// is charged afterwards.
    Local,
}

/// How limits are shared; [`connect`](crate::connect) takes the defaults.
///
/// | option | default | range |
/// |---|---|---|
/// | [`prefix`](Self::prefix) | `paceline` | 1 to 100 letters, digits, `-`, `_`, `.` |
/// | [`lease`](Self::lease) | 20 s | 1 s to 5 min |
/// | [`response_timeout`](Self::response_timeout) | 1 s, at most half a lease | 10 ms to half a lease |
/// | [`prefetch`](Self::prefetch) | 0 | 0 to 1,000 |
/// | [`outage`](Self::outage), [`when_away`](Self::when_away) | [`Outage::Closed`] | |
/// | [`prefetch_hold`](Self::prefetch_hold) | 100 ms | 1 ms to half a lease |
/// | [`forget_after`](Self::forget_after) | 40 days | a lease to 1,000 days |
/// | `root_certificates`, `client_certificate` (feature `tls`) | what this system trusts, none | PEM |
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
    response: Option<Duration>,
    pub(crate) prefetch: usize,
    pub(crate) outage: Outage,
    pub(crate) outages: HashMap<String, Outage>,
    pub(crate) hold: Duration,
    pub(crate) forget: Duration,
    pub(crate) tls: Tls,
}

/// Without the URL, which may hold a password, and without certificates.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, tls: _, prefix, lease, response: _, prefetch, hold, forget, outage, outages } = self;
        let mut shown = f.debug_struct("Options");
        shown.field("prefix", prefix).field("lease", lease).field("response_timeout", &self.response());
        shown.field("prefetch", prefetch).field("prefetch_hold", hold);
        shown.field("forget_after", forget);
        shown.field("outage", outage).field("when_away", outages).finish_non_exhaustive()
    }
}

impl Options {
    pub(crate) fn new(url: &str) -> Self {
        let (prefix, lease) = ("paceline".to_owned(), Duration::from_secs(20));
        let (hold, outage, outages) = (Duration::from_millis(100), Outage::Closed, HashMap::new());
        let forget = Duration::from_secs(40 * 24 * 60 * 60);
        let (url, prefetch, tls) = (url.to_owned(), 0, Tls::default());
        Self { url, prefix, lease, response: None, prefetch, hold, forget, outage, outages, tls }
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
        self.response = Some(timeout);
        self
    }

    /// How many permits of each set to hold in advance, so that one can be had without waiting for the store: of the demands
    /// that were made last, as many as are used, and so many at most. They are asked for in blocks, when half are used.
    ///
    /// `try_acquire` is answered from them alone: where there is none of its demand it says that there is none now, and asks
    /// for a block, which is there a round trip later. At 0, the default, it is an error. `acquire` takes one where nobody
    /// waits; from 2 on it has more of its demand asked for when that comes again.
    ///
    /// A block takes what is free and no place in the queue, and nothing is held while anybody waits for the set, in
    /// whatever process: nobody waits longer for it than it takes to hear of him and to give it back.
    ///
    /// The price: what is held is charged before it is used. So a window of the service may see more than the quota says:
    /// for each member, as many as it prefetches, each by [`prefetch_hold`](Self::prefetch_hold) at most too old. A quota
    /// with a [guard](paceline::Quota::guard) of as much, or which counts from the [completion](paceline::Anchor::Completion)
    /// of a call, is not gone over.
    pub fn prefetch(mut self, permits: usize) -> Self {
        self.prefetch = permits;
        self
    }

    /// For how long a permit is held in advance, reckoned from before the store was asked for it: so more than a round trip
    /// takes. Then it goes back as if it had never been charged.
    pub fn prefetch_hold(mut self, hold: Duration) -> Self {
        self.hold = hold;
        self
    }

    /// For how long the store keeps a set that nobody uses, so that those of tenants that are gone do not pile up: at least
    /// so long, at least two of its longest periods, and a quarter of that longer at most. Where those who share a set say
    /// different things, the longest counts.
    ///
    /// What is forgotten is what was charged, learnt, changed and paused. The default outlasts a month's quota; two periods
    /// outlast what any quota can have been charged but for a debt of more than its amount. A set is used as long as
    /// anybody's lease on it lasts, whether he asks for anything or not. Where everybody was away for so long that it was
    /// forgotten, the first to come back that has used it since it was made puts it back.
    pub fn forget_after(mut self, unused: Duration) -> Self {
        self.forget = unused;
        self
    }

    /// What becomes of the limit `key` of any set while the store is away.
    pub fn when_away(mut self, key: impl Into<String>, outage: Outage) -> Self {
        self.outages.insert(key.into(), outage);
        self
    }

    /// What becomes of limits while the store is away that [`when_away`](Self::when_away) does not name.
    pub fn outage(mut self, outage: Outage) -> Self {
        self.outage = outage;
        self
    }

    /// Trusts servers that are certified by one of these (PEM), instead of those that this system trusts, for `rediss://…`.
    ///
    /// Without them those are trusted whose certificates the system keeps, or, where they are set, those in the file that
    /// the environment variable `SSL_CERT_FILE` names and in the directories of `SSL_CERT_DIR`.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.roots = Some(pem.into());
        self
    }

    /// Shows the server this certificate, with what it is certified by, if that is asked for (`tls-auth-clients`, which is
    /// Redis' default). Both are PEM.
    #[cfg(feature = "tls")]
    pub fn client_certificate(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
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

    /// For how long to wait for an answer.
    pub(crate) fn response(&self) -> Duration {
        self.response.unwrap_or(Duration::from_secs(1).min(self.lease / 2))
    }

    /// For how long a set with these limits is kept unused.
    pub(crate) fn keep_for(&self, limits: &Limits) -> Duration {
        let periods = limits.iter().filter_map(|(_, limit)| match limit {
            LimitSpec::Rate(quota) => Some(quota.period().saturating_mul(2)),
            LimitSpec::Resource(_) | LimitSpec::Adaptive(_) => None,
        });
        periods.fold(self.forget, Duration::max)
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
        let response = self.response();
        if !(shortest..=longest).contains(&response) {
            return wrong(format!("a response timeout of {response:?} is not from {shortest:?} to {longest:?}"));
        }
        if self.prefetch > 1_000 {
            return wrong(format!("a prefetch of {} is more than 1,000", self.prefetch));
        }
        let (shortest, longest) = (self.lease, Duration::from_secs(1_000 * 24 * 60 * 60));
        if !(shortest..=longest).contains(&self.forget) {
            let forget = self.forget;
            return wrong(format!("to forget after {forget:?} is not after {shortest:?} to {longest:?}"));
        }
        let (shortest, longest) = (Duration::from_millis(1), self.lease / 2);
        if !(shortest..=longest).contains(&self.hold) {
            return wrong(format!("a prefetch hold of {:?} is not from {shortest:?} to {longest:?}", self.hold));
        }
        Ok(())
    }
}
