//! Shared quotas as they stand, in plain data.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use paceline::LimitView;
use paceline::backend::Home;

use super::store::standing;
use super::{SharedName, Sharing, Store};

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
    looks: u64,
}

/// Looks from one search for new sets to the next.
const FEW: u64 = 8;

struct Open {
    name: Arc<str>,
    keys: Vec<Arc<str>>,
    home: Arc<dyn Home>,
}

impl Watch {
    /// # Errors
    /// There is nothing of that name.
    pub(crate) async fn new(sharing: &Sharing) -> Result<Self> {
        Ok(Self { store: Store::find(sharing).await?, open: Vec::new(), looks: 0 })
    }

    pub(crate) async fn look(&mut self) -> Result<Look> {
        // Those that come later are found later.
        if self.looks % FEW == 0 {
            self.find().await?;
        }
        self.looks += 1;
        let mut looks = Vec::with_capacity(self.open.len());
        for open in &self.open {
            looks.push(open.look().await?);
        }
        let members = looks.iter().map(|(_, members)| *members).max().unwrap_or_default();
        Ok(Look {
            name: self.store.sharing.name.clone(),
            members: members.saturating_sub(1),
            sets: looks.into_iter().map(|(set, _)| set).collect(),
        })
    }
}

impl Watch {
    async fn find(&mut self) -> Result<()> {
        for name in self.store.sets().await? {
            if self.open.iter().any(|open| open.name == name) {
                continue;
            }
            if let Some((home, limits)) = self.store.home(&name).await? {
                let keys = limits.into_iter().map(|(key, _)| key).collect();
                self.open.push(Open { name, keys, home });
            }
        }
        Ok(())
    }

    /// Looks no more.
    pub(crate) async fn end(self) {
        let Self { store, open, .. } = self;
        drop(open);
        store.arrive().await;
    }
}

impl Open {
    /// The set, and who shares it, this process included.
    async fn look(&self) -> Result<(Set, usize)> {
        let standing = standing(&*self.home).await?;
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
