//! Where shared quotas live: memory that the processes of this machine share.

use std::sync::Arc;

use anyhow::{Error, Result, anyhow, bail};
use paceline::backend::{Change, Home, LimitSpec, Remote};
use paceline_shm::Shm;

use super::SharedName;

/// What is shared under a name, opened.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    name: SharedName,
    shm: Shm,
}

/// What a reset has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleared {
    /// Nothing is left.
    Forgotten,
    /// It is in use, so what it allows stays.
    Unused,
}

impl Store {
    /// Makes what is not there.
    pub(crate) fn open(name: &SharedName) -> Result<Self> {
        Ok(Self { name: name.clone(), shm: paceline_shm::open(name.as_str())? })
    }

    /// Only what is there.
    pub(crate) fn find(name: &SharedName) -> Result<Self> {
        let store = Self::open(name)?;
        if store.sets()?.is_empty() {
            drop(store);
            // Looking has made it. That somebody else has begun to use it is no harm.
            let _ = paceline_shm::remove(name.as_str());
            bail!("nothing is shared as `{name}` here; a run shares its quota by --shared {name}");
        }
        Ok(store)
    }

    /// Forgets what is there, or, where others are using it, what they have used and learnt.
    pub(crate) fn clear(name: &SharedName) -> Result<Cleared> {
        match paceline_shm::remove(name.as_str()) {
            Ok(()) => Ok(Cleared::Forgotten),
            Err(paceline_shm::Error::InUse { .. }) => {
                let store = Self::open(name)?;
                for set in store.sets()? {
                    let (home, _) = store.home(&set)?;
                    for change in [Change::Reset, Change::Unlearn, Change::Resume] {
                        home.change(change)?;
                    }
                }
                Ok(Cleared::Unused)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn name(&self) -> &SharedName {
        &self.name
    }

    /// What the set of a quota group is called, one of `groups`.
    pub(crate) fn set(&self, group: &str, groups: usize) -> String {
        if groups == 1 { self.name.to_string() } else { format!("{}:{group}", self.name) }
    }

    /// What sets of it are made with.
    pub(crate) fn remote(&self) -> Arc<dyn Remote> {
        self.shm.clone().into()
    }

    /// Why such a set cannot be had, and what can be done about what is there.
    pub(crate) fn refused(&self, error: &paceline::Error) -> Error {
        let name = &self.name;
        let why = match error {
            paceline::Error::Backend { message, .. } => message.clone(),
            other => other.to_string(),
        };
        anyhow!("{why}\n`paceline status --shared {name}` shows what is shared, and with --reset clears it")
    }

    /// The sets that are there.
    pub(super) fn sets(&self) -> Result<Vec<Arc<str>>> {
        Ok(self.shm.sets()?)
    }

    /// One of them as it was made, and its limits.
    pub(super) fn home(&self, set: &Arc<str>) -> Result<(Arc<dyn Home>, Vec<(Arc<str>, LimitSpec)>)> {
        let limits = self.shm.limits(set)?;
        Ok((self.shm.open(set, &limits)?, limits))
    }
}
