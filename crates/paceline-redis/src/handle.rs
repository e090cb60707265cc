//! The backend: limit sets of one store, shared with all who connect to it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use paceline::Algorithm;
use paceline::backend::{BackendError, Home, LimitSpec, Remote};
use paceline_core::image::Words;
use paceline_replica::limits::{self, Limits, MOST, difference};
use parking_lot::Mutex;

use crate::entry;
use crate::error::Error;
use crate::line::Line;
use crate::nodes::Nodes;
use crate::options::Options;
use crate::scripts::Keys;
use crate::set::Set;
use crate::shared::{Kept, Shared, arrived};
use crate::thread::Thread;
use crate::way::Way;

/// Limit sets shared over Redis: to be given to [`LimitSetBuilder::backend`](paceline::LimitSetBuilder::backend).
/// Cloning gives another handle to the same connections and membership. In a child of the process that connected all of it
/// is [an error](Error::Forked).
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    options: Options,
    nodes: Arc<Nodes>,
    pub(crate) thread: Thread,
    sets: Mutex<HashMap<Arc<str>, Known>>,
    /// All that are kept, those too that were let go of and have still something to tell.
    kept: Mutex<Vec<Weak<Shared>>>,
}

/// A set that was opened here. What it was opened with is kept after it is gone, as long as there are few.
#[derive(Debug)]
struct Known {
    limits: Vec<(Arc<str>, LimitSpec)>,
    set: Weak<Set>,
}

const FEW: usize = 1_024;

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("address", &self.0.nodes.named.address).finish_non_exhaustive()
    }
}

impl Redis {
    /// How to share over the Redis at `url`: `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, `rediss://…` for TLS (feature
    /// `tls`), `unix:///PATH`. Of a Redis Cluster any node can be named, and there is no database but 0.
    pub fn options(url: &str) -> Options {
        Options::new(url)
    }

    pub(crate) async fn connect(options: Options) -> Result<Self, Error> {
        let nodes = Arc::new(Nodes::new(&options.url, &options.tls, options.response())?);
        let thread = Thread::start().map_err(Error::NoThread)?;
        let asked = Arc::clone(&nodes);
        thread.run(async move { crate::fitness::check(&asked).await }).await?;
        Ok(Self(Arc::new(Inner { options, nodes, thread, sets: Mutex::default(), kept: Mutex::default() })))
    }

    /// How many questions this handle and its clones have sent to the store so far, each a round trip if it was answered.
    /// News, which come by themselves, are none.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.0.nodes.counts.trips.load(Ordering::Relaxed)
    }

    /// The names of the sets that are shared here, opened by whoever. In a cluster each primary is asked.
    ///
    /// # Errors
    ///
    /// What the store says where it refuses, or that one of its primaries cannot be reached.
    pub async fn sets(&self) -> Result<Vec<Arc<str>>, Error> {
        let (nodes, prefix) = (Arc::clone(&self.0.nodes), self.0.options.prefix.clone());
        self.0
            .thread
            .run(async move {
                let mut names = Vec::new();
                for line in nodes.primaries().await? {
                    names.extend(found(&line, &prefix).await?);
                }
                names.sort();
                names.dedup();
                Ok(names)
            })
            .await
    }

    /// The limits that a set which is shared here was made with; none where there is no such set.
    ///
    /// # Errors
    ///
    /// What the store says where it refuses, or that what it keeps is no set.
    pub async fn limits(&self, set: &str) -> Result<Option<Vec<(Arc<str>, LimitSpec)>>, Error> {
        let (nodes, keys, set) = (Arc::clone(&self.0.nodes), Keys::new(&self.0.options.prefix, set), set.to_owned());
        self.0
            .thread
            .run(async move {
                let mut asked = redis::cmd("HGET");
                let told: Result<Option<Vec<u8>>, _> = Way::once(&nodes, &*asked.arg(keys.head()).arg("limits")).await;
                if told.as_ref().is_err_and(Error::is_of_another_type) {
                    return Err(Error::Foreign { set, key: keys.head().to_owned() });
                }
                told?
                    .map(|told| described(&told).ok_or(Error::Damaged { set, why: "its limits cannot be read" }))
                    .transpose()
            })
            .await
    }

    /// Forgets a set: what was charged, changed, paused, and its limits. Where a key of it holds something else, which keeps
    /// everybody from using it, that is deleted.
    ///
    /// # Errors
    ///
    /// [`InUse`](Error::InUse) while somebody's lease on it lasts; what the store says where it refuses.
    pub async fn remove(&self, set: &str) -> Result<(), Error> {
        let (nodes, keys, name) = (Arc::clone(&self.0.nodes), Keys::new(&self.0.options.prefix, set), set.to_owned());
        self.0
            .thread
            .run(async move {
                let call = nodes.scripts.remove.key(keys.all());
                let (count, left): (usize, u64) = Way::once(&nodes, &call).await?;
                let left = Duration::from_millis(left.div_ceil(1_000));
                if count > 0 { Err(Error::InUse { set: name, count, left }) } else { Ok(()) }
            })
            .await?;
        self.0.sets.lock().remove(set);
        Ok(())
    }

    /// Waits until the store has heard all that was done so far with the sets of this handle and its clones: what was
    /// changed, corrected and given back, and that those are left that were let go of. To be awaited before a process ends:
    /// what has not been told by then never is, and what was held comes back with the end of its lease.
    ///
    /// A round trip or two; nothing where there is nothing to tell. While the store is [away](crate::Outage) it ends with an
    /// error after some [response timeouts](Options::response_timeout).
    ///
    /// # Errors
    ///
    /// What keeps the store from hearing it, of one of the sets; the others may have been heard.
    ///
    /// # Cancel safety
    ///
    /// Safe: what is to be told goes on its way whether anybody waits or not.
    ///
    /// ```no_run
    /// # use paceline::LimitSet;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let shared = paceline_redis::connect("redis://limits.internal").await?;
    /// let api = LimitSet::builder("api").concurrency(32).backend(shared.clone()).build()?;
    /// drop(api.acquire(()).await?);
    /// drop(api);
    /// shared.flush().await?;
    /// # Ok(()) }
    /// ```
    pub async fn flush(&self) -> Result<(), BackendError> {
        self.0.thread.is_here()?;
        let kept: Vec<_> = self.0.kept.lock().iter().filter_map(Weak::upgrade).collect();
        let told: Vec<_> =
            kept.into_iter().filter_map(|shared| shared.with(|state| state.flush(Instant::now()))).collect();
        let mut result = Ok(());
        for told in told {
            result = result.and(arrived(told).await);
        }
        result
    }

    fn home(&self, name: &Arc<str>, limits: &Limits) -> Result<Arc<Set>, Error> {
        self.0.thread.is_here()?;
        if limits.len() > MOST {
            return Err(Error::TooManyLimits { set: name.to_string(), count: limits.len(), most: MOST });
        }
        let mut sets = self.0.sets.lock();
        if let Some(known) = sets.get(name) {
            if let Some(what) = difference(&known.limits, limits) {
                return Err(Error::Limits { set: name.to_string(), what });
            }
            if let Some(set) = known.set.upgrade() {
                return Ok(set);
            }
        }
        let shared = Shared::new(Arc::clone(name), limits, &self.0.options, Arc::clone(&self.0.nodes))?;
        let shared = Arc::new(shared);
        self.0.thread.spawn(crate::shared::keep(Kept::new(Arc::clone(&shared))));
        let mut kept = self.0.kept.lock();
        kept.retain(|shared| shared.strong_count() > 0);
        kept.push(Arc::downgrade(&shared));
        drop(kept);
        let set = Arc::new(Set::new(shared, Arc::clone(&self.0)));
        if sets.len() >= FEW {
            sets.retain(|_, known| known.set.strong_count() > 0);
        }
        sets.insert(Arc::clone(name), Known { limits: limits.to_vec(), set: Arc::downgrade(&set) });
        Ok(set)
    }
}

pub(crate) fn described(bytes: &[u8]) -> Option<Vec<(Arc<str>, LimitSpec)>> {
    limits::read(&mut Words::new(&entry::words(bytes)?))
}

async fn found(line: &Line, prefix: &str) -> Result<Vec<Arc<str>>, Error> {
    let (pattern, before) = Keys::any(prefix);
    let (mut names, mut cursor) = (Vec::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<Vec<u8>>) = line.ask(&scan).await?;
        let keys = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        names.extend(keys.filter_map(|key| Keys::set(key, &before).map(Arc::from)));
        cursor = next;
        if cursor == 0 {
            return Ok(names);
        }
    }
}

impl Remote for Redis {
    fn algorithms(&self) -> &[Algorithm] {
        &Algorithm::ALL
    }

    fn open(&self, set: &Arc<str>, limits: &[(Arc<str>, LimitSpec)]) -> Result<Arc<dyn Home>, BackendError> {
        Ok(self.home(set, limits)?)
    }
}

impl From<Redis> for Arc<dyn Remote> {
    fn from(redis: Redis) -> Self {
        Arc::new(redis) as Self
    }
}
