//! Shared quotas as they stand, in plain data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use paceline::LimitView;
use paceline::backend::{BackendError, Home};

use super::store::{PATIENCE, standing};
use super::{SharedName, Sharing, Store};

/// What is to be seen at one time.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    pub(crate) name: SharedName,
    /// Processes that have it open, without the one that looks.
    pub(crate) members: usize,
    pub(crate) sets: Vec<Set>,
    /// All else is from before the store was away, if it is.
    pub(crate) away: Option<Away>,
}

/// The store cannot be asked.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    /// For how long that is known.
    pub(crate) since: Duration,
    pub(crate) why: String,
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
    /// When sets were last searched for.
    found: Option<Instant>,
    last: Option<Look>,
    away: Option<Instant>,
}

/// From one search for new sets to the next. It is a question to the store, so who only looks hears by it, too, whether the
/// store answers.
const SEARCH: Duration = Duration::from_secs(2);

struct Open {
    name: Arc<str>,
    keys: Vec<Arc<str>>,
    home: Arc<dyn Home>,
    /// How long it may take to tell of itself: the first time, it has to be asked for.
    patience: Duration,
}

impl Watch {
    /// # Errors
    /// There is nothing of that name.
    pub(crate) async fn new(sharing: &Sharing) -> Result<Self> {
        Ok(Self { store: Store::find(sharing).await?, open: Vec::new(), found: None, last: None, away: None })
    }

    /// As it stands; where the store is away, as it stood when that was last known.
    ///
    /// # Errors
    /// It cannot be seen, and will not be later, or never was.
    ///
    /// # Cancel safety
    /// The next look sees what this one would have.
    pub(crate) async fn look(&mut self) -> Result<Look, BackendError> {
        match (self.see().await, &self.last) {
            (Ok(look), _) => {
                self.away = None;
                self.last = Some(look.clone());
                Ok(look)
            }
            (Err(error), Some(last)) if error.retryable => {
                let since = self.away.get_or_insert_with(Instant::now).elapsed();
                Ok(Look { away: Some(Away { since, why: error.message }), ..last.clone() })
            }
            (Err(error), _) => Err(error),
        }
    }

    async fn see(&mut self) -> Result<Look, BackendError> {
        // Those that come later are found later.
        if self.found.is_none_or(|found| found.elapsed() >= SEARCH) {
            self.find().await?;
            self.found = Some(Instant::now());
        }
        let mut looks = Vec::with_capacity(self.open.len());
        for open in &mut self.open {
            looks.push(open.look().await?);
        }
        let members = looks.iter().map(|(_, members)| *members).max().unwrap_or_default();
        Ok(Look {
            name: self.store.sharing.name.clone(),
            members: members.saturating_sub(1),
            sets: looks.into_iter().map(|(set, _)| set).collect(),
            away: None,
        })
    }
}

impl Watch {
    async fn find(&mut self) -> Result<(), BackendError> {
        for name in self.store.sets().await? {
            if self.open.iter().any(|open| open.name == name) {
                continue;
            }
            if let Some((home, limits)) = self.store.home(&name).await? {
                let keys = limits.into_iter().map(|(key, _)| key).collect();
                self.open.push(Open { name, keys, home, patience: PATIENCE });
            }
        }
        Ok(())
    }

    /// Looks no more.
    pub(crate) async fn end(self) {
        let Self { store, open, .. } = self;
        drop(open);
        // It has changed nothing.
        let _ = store.arrive().await;
    }
}

impl Open {
    /// The set, and who shares it, this process included.
    async fn look(&mut self) -> Result<(Set, usize), BackendError> {
        let standing = standing(&*self.home, self.patience).await?;
        self.patience = Duration::ZERO;
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
