//! One shared set, as this process has it: its replica, its own demands and permits, and what the store is still to be told.
//!
//! One task keeps it ([`keep`]): at most one batch is on its way, and what is asked meanwhile goes with the next. Entries
//! come with the answers and as news, and are applied in their order by whichever brings them. A lock is held while one is
//! applied and while a caller looks something up, never while something is waited for.

mod alone;
mod apply;
mod away;
mod batch;
mod grace;
mod haste;
mod keep;
mod lease;
#[cfg(test)]
mod outages;
mod outcomes;
mod own;
mod plan;
mod state;
mod stock;
mod trouble;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline::backend::LimitSpec;
use paceline_core::Time;
use paceline_replica::Replica;
use paceline_replica::limits::{self, Limits};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::entry;
use crate::error::Error;
use crate::nodes::Nodes;
use crate::options::Options;
use crate::scripts::Keys;
use crate::way::Way;
use alone::{Counts, Rule};
use state::State;

pub(crate) use batch::arrived;
pub(crate) use keep::{Kept, keep};

pub(crate) struct Shared {
    pub(crate) name: Arc<str>,
    limits: Vec<(Arc<str>, LimitSpec)>,
    keys: Keys,
    lease: Duration,
    /// For how many milliseconds the store is to keep it unused.
    keep: u64,
    way: Way,
    state: Mutex<State>,
    /// Somebody has left something to do.
    work: Notify,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(name: Arc<str>, limits: &Limits, options: &Options, nodes: Arc<Nodes>) -> Result<Self, Error> {
        let wrong = |what: paceline::ChangeError| Error::Limits { set: name.to_string(), what: what.to_string() };
        Replica::of(limits, Time::ZERO).map_err(wrong)?;
        let keys = Keys::new(&options.prefix, &name);
        let rules = limits.iter().map(|(key, spec)| Rule {
            outage: options.outages.get(&**key).copied().unwrap_or(options.outage),
            counts: Counts::of(spec),
        });
        let state = Mutex::new(State::new(Arc::clone(&name), rules.collect(), options));
        let keep = u64::try_from(options.keep_for(limits).as_millis()).unwrap_or(u64::MAX);
        let (limits, lease, way, work) = (limits.to_vec(), options.lease, Way::new(nodes), Notify::new());
        Ok(Self { name, limits, keys, lease, keep, way, state, work })
    }

    /// Does something with the state; whoever is to be woken is woken afterwards.
    pub(crate) fn with<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = call(&mut state);
        let (woken, busy) = state.afterwards();
        drop(state);
        if busy {
            self.work.notify_one();
        }
        woken.into_iter().for_each(std::task::Waker::wake);
        result
    }

    /// Takes note of news.
    pub(crate) fn hear(&self, payload: &[u8]) {
        self.with(|state| state.hear(payload, Instant::now()));
    }

    /// Has the keeper ask what is new.
    pub(crate) fn look(&self) {
        self.with(State::fetch);
    }

    /// The limits as words. When a window is reset is told as of now, so it is left out: two who describe the same limits
    /// write the same.
    fn described(&self) -> Vec<u8> {
        let timeless = |spec: &LimitSpec| match *spec {
            LimitSpec::Rate(quota) if quota.first_reset().is_some() => LimitSpec::Rate(quota.resets_in(Duration::ZERO)),
            other => other,
        };
        let limits: Vec<_> = self.limits.iter().map(|(key, spec)| (Arc::clone(key), timeless(spec))).collect();
        let mut words = Vec::new();
        limits::write(&limits, &mut words);
        entry::bytes(&words)
    }
}
