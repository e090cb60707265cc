//! Where shared quotas live: in memory that the processes of this machine share, or in a Redis.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail};
use paceline::backend::{BackendError, Change, Home, LimitSpec, Remote, Standing};
use paceline_redis::Redis;
use paceline_shm::Shm;

use super::{Sharing, for_users};
use crate::exit::{Exit, Halt};

/// What is shared under a name, opened.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(super) sharing: Sharing,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Machine(Shm),
    Redis(Redis),
}

/// What a reset has come to; where there are several sets, the most of what it has come to for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cleared {
    /// There was nothing.
    Nothing,
    /// Nothing is left.
    Forgotten,
    /// So many processes have it open, whatever for, so what it allows stays.
    Unused { users: usize },
}

/// How long a store may take to tell how a set stands.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

impl Store {
    /// Makes what is not there.
    pub(crate) async fn open(sharing: &Sharing) -> Result<Self> {
        let place = match &sharing.redis {
            None => Place::Machine(paceline_shm::open(sharing.name.as_str()).map_err(told)?),
            Some(url) => Place::Redis(paceline_redis::connect(&url.0).await.map_err(told)?),
        };
        Ok(Self { sharing: sharing.clone(), place })
    }

    /// Only what is there.
    pub(crate) async fn find(sharing: &Sharing) -> Result<Self> {
        let store = Self::open(sharing).await?;
        if store.sets().await?.is_empty() {
            if let Place::Machine(_) = store.place {
                drop(store);
                // Looking has made it. That somebody else has begun to use it is no harm.
                let _ = paceline_shm::remove(sharing.name.as_str());
            }
            bail!("nothing is shared as {sharing} here; a run shares its quota by {}", sharing.flags());
        }
        Ok(store)
    }

    /// Forgets what is there, or, where others are using it, what they have used and learnt.
    pub(crate) async fn clear(sharing: &Sharing) -> Result<Cleared> {
        let mut cleared = Cleared::Nothing;
        if sharing.redis.is_none() {
            // What cannot be read is something, too, and nobody can be using it.
            let there = match paceline_shm::open(sharing.name.as_str()) {
                Ok(shm) => shm.sets().map_or(true, |sets| !sets.is_empty()),
                Err(paceline_shm::Error::Io { said, .. }) => said.kind() != io::ErrorKind::NotFound,
                Err(_) => true,
            };
            match paceline_shm::remove(sharing.name.as_str()) {
                Ok(()) => return Ok(if there { Cleared::Forgotten } else { Cleared::Nothing }),
                Err(paceline_shm::Error::InUse { count: users, .. }) => cleared = Cleared::Unused { users },
                Err(error) => return Err(told(error).into()),
            }
        }
        let store = Self::open(sharing).await?;
        for set in store.sets().await? {
            let mut used = None;
            if let Place::Redis(redis) = &store.place {
                let removed = redis.remove(&set).await;
                if let Err(paceline_redis::Error::InUse { count, .. }) = &removed {
                    cleared = cleared.max(Cleared::Unused { users: *count });
                    used = removed.err();
                } else {
                    removed.map_err(told)?;
                    cleared = cleared.max(Cleared::Forgotten);
                    continue;
                }
            }
            if let Some((home, _)) = store.home(&set).await? {
                // Where it cannot be read, it is cleared once nobody uses it.
                standing(&*home, PATIENCE).await.map_err(|error| used.map_or(error, told))?;
                for change in [Change::Reset, Change::Unlearn, Change::Resume] {
                    home.change(change).map_err(told)?;
                }
            }
        }
        store.arrive().await?;
        Ok(cleared)
    }

    /// What the set of a quota group is called, one of `groups`.
    pub(crate) fn set(&self, group: &str, groups: usize) -> String {
        let name = &self.sharing.name;
        if groups == 1 { name.to_string() } else { format!("{name}:{group}") }
    }

    /// What sets of it are made with.
    pub(crate) fn remote(&self) -> Arc<dyn Remote> {
        match &self.place {
            Place::Machine(shm) => shm.clone().into(),
            Place::Redis(redis) => redis.clone().into(),
        }
    }

    /// Why such a set cannot be had, and, where something else is shared, what can be done about that.
    pub(crate) async fn refused(&self, error: &paceline::Error) -> Halt {
        let why = match error {
            paceline::Error::Backend { message, retryable: true, .. } => return later(&for_users(message)),
            paceline::Error::Backend { message, .. } => for_users(message),
            other => other.to_string(),
        };
        // Where it is no store at all, there is nothing to see or to clear.
        if self.sets().await.unwrap_or_default().is_empty() {
            return anyhow!(why).into();
        }
        let flags = self.sharing.flags();
        anyhow!("{why}\n`paceline status {flags}` shows what is shared, and with --reset clears it once nobody uses it")
            .into()
    }

    /// Waits until what was given back and changed so far has come to where others see it. Where that does not come to
    /// pass, it is given back by the end of this process all the same.
    pub(crate) async fn arrive(&self) -> Result<(), BackendError> {
        match &self.place {
            Place::Machine(_) => Ok(()),
            Place::Redis(redis) => redis.flush().await,
        }
    }

    /// The sets that are there.
    pub(super) async fn sets(&self) -> Result<Vec<Arc<str>>, BackendError> {
        let mut sets = match &self.place {
            Place::Machine(shm) => shm.sets().map_err(told)?,
            Place::Redis(redis) => redis.sets().await.map_err(told)?,
        };
        sets.retain(|set| self.sharing.name.has(set));
        Ok(sets)
    }

    /// One of them as it was made, and its limits; none if it is gone by now.
    pub(super) async fn home(&self, set: &Arc<str>) -> Result<Option<Opened>, BackendError> {
        let limits = match &self.place {
            Place::Machine(shm) => Some(shm.limits(set).map_err(told)?),
            Place::Redis(redis) => redis.limits(set).await.map_err(told)?,
        };
        let Some(limits) = limits else { return Ok(None) };
        Ok(Some((self.remote().open(set, &limits).map_err(told)?, limits)))
    }
}

/// Why a store cannot be opened, and whether it may be later.
pub(crate) fn unopened(error: Error) -> Halt {
    let passes = error.downcast_ref().is_some_and(|error: &BackendError| error.retryable);
    if passes { later(&error) } else { error.into() }
}

fn later(why: &impl fmt::Display) -> Halt {
    Halt::new(Exit::Stopped, anyhow!("{why}\nnothing was sent; once that is mended, run the same command again"))
}

/// A set and its limits.
type Opened = (Arc<dyn Home>, Vec<(Arc<str>, LimitSpec)>);

/// What a store says, as users of the command can follow it.
fn told(error: impl Into<BackendError>) -> BackendError {
    let BackendError { message, retryable } = error.into();
    BackendError { message: for_users(&message), retryable }
}

/// How a set stands, once that can be told, within `patience`.
pub(super) async fn standing(home: &dyn Home, patience: Duration) -> Result<Standing, BackendError> {
    let began = Instant::now();
    loop {
        match home.standing() {
            Err(error) if error.retryable && began.elapsed() < patience => {}
            known => return known.map_err(told),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the store has taken a set for one of its own.
pub(crate) async fn settled(set: &paceline::LimitSet) -> Result<(), paceline::Error> {
    let began = Instant::now();
    loop {
        match set.try_snapshot() {
            Err(paceline::Error::Backend { retryable: true, .. }) if began.elapsed() < PATIENCE => {}
            known => return known.map(|_| ()),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
