//! Shared quotas as they stand, in plain data.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use paceline::LimitView;
use paceline::backend::Home;

use super::{SharedName, Store};

/// What is to be seen at one time.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) name: SharedName,
    /// Processes that have it open, without the one that looks.
    pub(crate) members: usize,
    pub(crate) sets: Vec<Set>,
}

/// One quota group.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) name: Arc<str>,
    pub(crate) limits: Vec<(Arc<str>, LimitView)>,
    /// Permits that are out, demands that wait, and permits granted so far, of all members.
    pub(crate) active: u64,
    pub(crate) waiting: usize,
    pub(crate) granted: u64,
    /// How long the gate stays closed, if it is.
    pub(crate) paused: Option<Duration>,
    pub(crate) closed: bool,
}

/// Looks again and again.
pub(crate) struct Watch {
    store: Store,
    open: Vec<Open>,
}

struct Open {
    name: Arc<str>,
    keys: Vec<Arc<str>>,
    home: Arc<dyn Home>,
}

impl Watch {
    /// # Errors
    /// There is nothing of that name.
    pub(crate) fn new(name: &SharedName) -> Result<Self> {
        Ok(Self { store: Store::find(name)?, open: Vec::new() })
    }

    pub(crate) fn look(&mut self) -> Result<Look> {
        for name in self.store.sets()? {
            if self.open.iter().all(|open| open.name != name) {
                let (home, limits) = self.store.home(&name)?;
                let keys = limits.into_iter().map(|(key, _)| key).collect();
                self.open.push(Open { name, keys, home });
            }
        }
        let looks = self.open.iter().map(Open::look).collect::<Result<Vec<_>>>()?;
        let members = looks.iter().map(|(_, members)| *members).max().unwrap_or_default();
        Ok(Look {
            name: self.store.name().clone(),
            members: members.saturating_sub(1),
            sets: looks.into_iter().map(|(set, _)| set).collect(),
        })
    }
}

impl Open {
    /// The set, and who shares it, this process included.
    fn look(&self) -> Result<(Set, usize)> {
        let standing = self.home.standing()?;
        let view = standing.view;
        let set = Set {
            name: Arc::clone(&self.name),
            limits: self.keys.iter().map(Arc::clone).zip(view.limits).collect(),
            active: standing.active,
            waiting: view.waiting,
            granted: view.granted,
            paused: view.paused,
            closed: view.closed,
        };
        Ok((set, standing.members))
    }
}
