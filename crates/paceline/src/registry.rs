//! Names for limit sets, so that distant code shares one.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::error::Error;
use crate::set::{LimitSet, Snapshot, Store};

/// Names for limit sets. Safe to use from any thread; looking a name up takes a shared lock.
///
/// Register once, at the start; get it anywhere:
///
/// ```
/// use paceline::{LimitSet, Quota, Registry};
///
/// let registry = Registry::global();
/// registry.register("openai", LimitSet::builder("openai").calls(Quota::per_minute(60)).concurrency(10).build()?)?;
/// // … elsewhere …
/// let openai = registry.get("openai")?;
/// let permit = openai.try_acquire(())?;
/// # drop(permit); registry.clear();
/// # Ok::<(), paceline::Error>(())
/// ```
///
/// For a limit set a tenant, make them from one [`Template`](crate::Template), which holds all that they share:
///
/// ```
/// use paceline::{LimitSet, Quota, Registry};
///
/// let tenants = Registry::new();
/// let plan = LimitSet::builder("tenant").calls(Quota::per_minute(60).burst(10)).template()?;
/// let acme = tenants.get_or_create("acme", |name| Ok(plan.make(name)))?;
/// assert!(acme.is(&tenants.get("acme")?));
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Registry(RwLock<HashMap<Arc<str>, LimitSet>>);

impl Registry {
    /// An empty registry of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The one that the whole process shares.
    #[must_use]
    pub fn global() -> &'static Self {
        static GLOBAL: OnceLock<Registry> = OnceLock::new();
        GLOBAL.get_or_init(Self::new)
    }

    /// Names a set.
    ///
    /// # Errors
    ///
    /// [`DuplicateName`](Error::DuplicateName) where the name is taken.
    pub fn register(&self, name: impl Into<Arc<str>>, set: LimitSet) -> Result<LimitSet, Error> {
        let name = name.into();
        let mut sets = self.0.write();
        if sets.contains_key(&name) {
            return Err(Error::DuplicateName { name });
        }
        sets.insert(name, set.clone());
        Ok(set)
    }

    /// Names a set, or gives the one of that name, live, the quotas and capacities of this one: permits that are out
    /// stay counted, and everybody who holds a handle sees the change.
    ///
    /// # Errors
    ///
    /// [`Incompatible`](Error::Incompatible) where the two have not the same keys; nothing has changed then.
    pub fn replace(&self, name: impl Into<Arc<str>>, set: LimitSet) -> Result<LimitSet, Error> {
        let existing = self.0.write().entry(name.into()).or_insert_with(|| set.clone()).clone();
        if !existing.is(&set) {
            existing.become_like(&set)?;
        }
        Ok(existing)
    }

    /// The set of that name.
    ///
    /// # Errors
    ///
    /// [`UnknownName`](Error::UnknownName) names what there is.
    pub fn get(&self, name: &str) -> Result<LimitSet, Error> {
        let found = self.0.read().get(name).cloned();
        found.ok_or_else(|| Error::UnknownName { name: name.into(), known: self.sorted_names(20) })
    }

    /// The set of that name, made by the first who asks.
    ///
    /// # Errors
    ///
    /// What `make` finds wrong.
    pub fn get_or_create(
        &self,
        name: impl Into<Arc<str>>,
        make: impl FnOnce(Arc<str>) -> Result<LimitSet, Error>,
    ) -> Result<LimitSet, Error> {
        let name = name.into();
        if let Some(set) = self.0.read().get(&name) {
            return Ok(set.clone());
        }
        let mut sets = self.0.write();
        if let Some(set) = sets.get(&name) {
            return Ok(set.clone());
        }
        let set = make(Arc::clone(&name))?;
        sets.insert(name, set.clone());
        Ok(set)
    }

    /// Whether there is a set of that name.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        self.0.read().contains_key(name)
    }

    /// Forgets a name. Whoever holds a handle keeps it.
    pub fn remove(&self, name: &str) -> Option<LimitSet> {
        self.0.write().remove(name)
    }

    /// All names, sorted.
    #[must_use]
    pub fn list_names(&self) -> Vec<Arc<str>> {
        self.sorted_names(usize::MAX)
    }

    /// All sets as they stand, by name.
    #[must_use]
    pub fn list_all(&self) -> Vec<(Arc<str>, Snapshot)> {
        let sets: Vec<_> = self.0.read().iter().map(|(name, set)| (Arc::clone(name), set.clone())).collect();
        let mut all: Vec<_> = sets.into_iter().map(|(name, set)| (name, set.snapshot())).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// One set as it stands.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn stats(&self, name: &str) -> Result<Snapshot, Error> {
        Ok(self.get(name)?.snapshot())
    }

    /// Lets one set forget all that its rates were charged.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn reset(&self, name: &str) -> Result<(), Error> {
        self.get(name)?.reset()
    }

    /// Lets every set of this process forget all that its rates were charged.
    pub fn reset_all(&self) {
        let sets: Vec<_> = self.0.read().values().cloned().collect();
        // What lives elsewhere is not this process's to reset.
        sets.iter().for_each(|set| drop(set.reset()));
    }

    /// Forgets all names.
    pub fn clear(&self) {
        self.0.write().clear();
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.read().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// Forgets the sets of this process that nobody else holds, that have no permit out and nobody waiting, and whose
    /// limits are all full again and as they were described: making them anew would change nothing. Says how many.
    pub fn evict_idle(&self) -> usize {
        let mut sets = self.0.write();
        let before = sets.len();
        sets.retain(
            |_, set| !matches!(&set.0, Store::Local(local) if Arc::strong_count(local) == 1 && local.is_as_new()),
        );
        before - sets.len()
    }

    fn sorted_names(&self, most: usize) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self.0.read().keys().cloned().collect();
        names.sort();
        names.truncate(most);
        names
    }
}
