//! Where shared quotas live: in memory that the processes of this machine share, or in a Redis.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail};
use paceline::backend::{Change, Home, LimitSpec, Remote, Standing};
use paceline_redis::Redis;
use paceline_shm::Shm;

use super::Sharing;
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

/// What a reset has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleared {
    /// Nothing is left.
    Forgotten,
    /// It is in use, so what it allows stays.
    Unused,
}

/// How long a store may take to tell how a set stands.
const PATIENCE: Duration = Duration::from_secs(10);

impl Store {
    /// Makes what is not there.
    pub(crate) async fn open(sharing: &Sharing) -> Result<Self> {
        let place = match &sharing.redis {
            None => Place::Machine(paceline_shm::open(sharing.name.as_str())?),
            Some(url) => Place::Redis(paceline_redis::connect(&url.0).await?),
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
        if sharing.redis.is_none() {
            // Before it is opened: nobody can be using what cannot be read.
            match paceline_shm::remove(sharing.name.as_str()) {
                Ok(()) => return Ok(Cleared::Forgotten),
                Err(paceline_shm::Error::InUse { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (store, mut cleared) = (Self::open(sharing).await?, Cleared::Forgotten);
        for set in store.sets().await? {
            if let Place::Redis(redis) = &store.place {
                match redis.remove(&set).await {
                    Err(paceline_redis::Error::InUse { .. }) => {}
                    removed => {
                        removed?;
                        continue;
                    }
                }
            }
            cleared = Cleared::Unused;
            if let Some((home, _)) = store.home(&set).await? {
                standing(&*home).await?;
                for change in [Change::Reset, Change::Unlearn, Change::Resume] {
                    home.change(change)?;
                }
            }
        }
        store.arrive().await;
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

    /// Why such a set cannot be had, and what can be done about what is there.
    pub(crate) fn refused(&self, error: &paceline::Error) -> Halt {
        let why = match error {
            paceline::Error::Backend { message, retryable: true, .. } => return later(message),
            paceline::Error::Backend { message, .. } => message.clone(),
            other => other.to_string(),
        };
        let flags = self.sharing.flags();
        anyhow!("{why}\n`paceline status {flags}` shows what is shared, and with --reset clears it").into()
    }

    /// Waits until what was given back and changed so far has come to where others see it. Where that does not come to
    /// pass, it is given back by the end of this process all the same.
    pub(crate) async fn arrive(&self) {
        if let Place::Redis(redis) = &self.place {
            // Told on one connection, in order.
            let _ = redis.sets().await;
        }
    }

    /// The sets that are there.
    pub(super) async fn sets(&self) -> Result<Vec<Arc<str>>> {
        let mut sets = match &self.place {
            Place::Machine(shm) => shm.sets()?,
            Place::Redis(redis) => redis.sets().await?,
        };
        sets.retain(|set| self.sharing.name.has(set));
        Ok(sets)
    }

    /// One of them as it was made, and its limits; none if it is gone by now.
    pub(super) async fn home(&self, set: &Arc<str>) -> Result<Option<(Arc<dyn Home>, Vec<(Arc<str>, LimitSpec)>)>> {
        let limits = match &self.place {
            Place::Machine(shm) => Some(shm.limits(set)?),
            Place::Redis(redis) => redis.limits(set).await?,
        };
        let Some(limits) = limits else { return Ok(None) };
        Ok(Some((self.remote().open(set, &limits)?, limits)))
    }
}

/// Why a store cannot be opened, and whether it may be later.
pub(crate) fn unopened(error: Error) -> Halt {
    let redis = error.downcast_ref().is_some_and(paceline_redis::Error::is_retryable);
    let machine = error.downcast_ref().is_some_and(paceline_shm::Error::is_retryable);
    if redis || machine { later(&error) } else { error.into() }
}

fn later(why: &impl fmt::Display) -> Halt {
    Halt::new(Exit::Stopped, anyhow!("{why}\nnothing was sent; once that is mended, run the same command again"))
}

/// How a set stands, once that can be told.
pub(super) async fn standing(home: &dyn Home) -> Result<Standing> {
    let began = Instant::now();
    loop {
        match home.standing() {
            Err(error) if error.retryable && began.elapsed() < PATIENCE => {}
            known => return Ok(known?),
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
