//! The controllers that a set is described with. Every set made from the description gets its own.

use std::fmt;
use std::sync::Arc;

use paceline_core::headers::Unit;
use paceline_core::{ChangeError, Controller, CubicRate, Index, Pacing};

use super::learning::{FIRST, Learning, Level, Pace, Rate, UNLIMITED};
use crate::backend::Sizing;
use crate::error::Error;
use crate::plan::{Spec, UNSTATED};

/// The limit that a controller of concurrency sizes.
const CONCURRENCY: &str = "concurrency";
/// The limit that a controller of the rate sets: beside what is stated, so that this stays in force as it is.
const RATE: &str = "adaptive_rate";

/// What to learn by.
#[derive(Clone, Default)]
pub(crate) struct Described {
    level: Option<Arc<Make>>,
    rate: Option<CubicRate>,
    /// With the limit's place, once that is known.
    paces: Vec<(Arc<str>, Pacing, Index)>,
    /// Whether limits that nobody stated are to be found, and calls are among what nobody limits.
    finds: bool,
    careful: bool,
    places: Places,
}

type Make = dyn Fn() -> Box<dyn Controller> + Send + Sync;

/// Where in the set the controllers' limits are.
#[derive(Clone, Copy, Default)]
struct Places {
    level: Index,
    ceiling: u64,
    rate: Index,
}

impl Described {
    pub(crate) fn level(&mut self, controller: impl Controller + Clone + Sync + 'static) {
        self.level = Some(Arc::new(move || Box::new(controller.clone())));
    }

    pub(crate) fn rate(&mut self, controller: CubicRate) {
        self.rate = Some(controller);
    }

    pub(crate) fn pacing(&mut self, key: Arc<str>, pacing: Pacing) {
        self.paces.push((key, pacing, 0));
    }

    pub(crate) fn finds(&mut self) {
        self.finds = true;
    }

    /// Whether nothing but verdicts is to be counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.level.is_none() && self.rate.is_none() && !self.paces()
    }

    /// Whether it matters how late requests leave.
    pub(crate) fn paces(&self) -> bool {
        !self.paces.is_empty() || self.finds
    }

    /// Whether both learn by the same sorts of controller.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let paced = |described: &Self| described.paces.iter().map(|(key, ..)| Arc::clone(key)).collect::<Vec<_>>();
        self.level.is_some() == other.level.is_some()
            && self.finds == other.finds
            && self.rate.is_some() == other.rate.is_some()
            && paced(self) == paced(other)
    }

    /// Whether members of a set that lives elsewhere can all come to the same by it; each paces for itself.
    pub(crate) fn check_shared(&self, set: &Arc<str>) -> Result<(), Error> {
        let shared = |make: &Arc<Make>| make().as_aimd().is_some_and(|aimd| !aimd.rules().has_latency_guard());
        let what = if !self.level.as_ref().is_none_or(shared) {
            "learning by anything but `Aimd` without its latency guard"
        } else if self.rate.is_some() {
            "learning a rate"
        } else if self.finds {
            "finding limits"
        } else {
            return Ok(());
        };
        Err(Error::LocalOnly { set: Arc::clone(set), what })
    }

    /// How the controller's limit is sized where the set lives elsewhere.
    pub(crate) fn sizing(&self) -> Option<(Index, Sizing)> {
        let Places { level, ceiling: most, .. } = self.places;
        let by = self.level.as_ref().and_then(|make| Some(make().as_aimd()?.rules()));
        (most > 0).then(|| (level, Sizing { most, first: self.first(), by }))
    }

    /// How many may be in flight until the first answer, if anything holds them back.
    fn first(&self) -> Option<u64> {
        let paced = self.paces.iter().filter_map(|(_, pacing, _)| pacing.in_flight());
        paced.chain(self.careful.then_some(FIRST)).min()
    }

    /// Finds the controllers' limits among those of the set, or adds them.
    pub(crate) fn settle_in(&mut self, set: &Arc<str>, limits: &mut Vec<(Arc<str>, Spec)>) -> Result<(), Error> {
        for (key, pacing, place) in &mut self.paces {
            let at = limits.iter().position(|(known, _)| known == key);
            let at = at.ok_or_else(|| Error::UnknownKey {
                set: Arc::clone(set),
                key: Arc::clone(key),
                known: limits.iter().map(|(key, _)| Arc::clone(key)).collect(),
            })?;
            let (Spec::Rate(quota) | Spec::Calls(quota)) = &mut limits[at].1 else {
                return Err(Error::limit(set, key, ChangeError::NotARate));
            };
            (*quota, *place) = (Arc::new(pacing.quota()), crate::plan::index(at));
        }
        let is_calls = |(key, _): &(Arc<str>, Spec)| crate::plan::unit(key) == Some(Unit::Requests);
        self.careful = self.finds && !limits.iter().any(is_calls);
        if self.level.is_some() || self.first().is_some() {
            let at = limits.iter().position(|(key, _)| &**key == CONCURRENCY);
            let at = at.unwrap_or_else(|| {
                limits.push((CONCURRENCY.into(), Spec::Resource(u64::MAX)));
                limits.len() - 1
            });
            let (key, spec) = &mut limits[at];
            let Spec::Resource(capacity) = spec else { return Err(Error::limit(set, key, ChangeError::NotAResource)) };
            (self.places.level, self.places.ceiling) = (crate::plan::index(at), *capacity);
        }
        if self.rate.is_some() {
            self.places.rate = crate::plan::index(limits.len());
            limits.push((RATE.into(), Spec::Calls(Arc::new(UNLIMITED))));
        }
        if self.finds {
            unstated(limits);
        }
        Ok(())
    }

    /// What the controllers let a set of this process begin with.
    pub(crate) fn hold_back(&self, limits: &mut [(Arc<str>, Spec)]) {
        let Some((_, Spec::Resource(capacity))) = limits.get_mut(usize::from(self.places.level)) else { return };
        if self.places.ceiling > 0 {
            let level = self.level.as_ref().map_or(u64::MAX, |make| make().level());
            *capacity = level.min(self.first().unwrap_or(u64::MAX)).min(*capacity);
        }
    }

    /// The state of a new set.
    pub(crate) fn make(&self) -> Option<Box<Learning>> {
        if self.is_empty() {
            return None;
        }
        let Places { level: sized, ceiling, rate: set } = self.places;
        let level = (ceiling > 0).then(|| Level::new(self.level.as_ref().map(|make| make()), sized, ceiling));
        let rate = self.rate.clone().map(|controller| Rate::new(controller, set));
        Some(Box::new(Learning::new(level, rate, self.make_paces(), self.careful)))
    }

    /// How the quotas of a new set are paced.
    pub(crate) fn make_paces(&self) -> Vec<Pace> {
        self.paces.iter().map(|(_, pacing, place)| Pace::new(pacing.clone(), *place)).collect()
    }
}

/// Adds a place for what answers may tell of each unit that nothing stated counts.
fn unstated(limits: &mut Vec<(Arc<str>, Spec)>) {
    let is_stated = |unit| limits.iter().any(|(key, _)| crate::plan::unit(key) == Some(unit));
    let untold: Vec<_> = Unit::ALL.into_iter().filter(|known| !is_stated(*known)).collect();
    for unit in untold {
        let quota = Arc::new(UNSTATED);
        let spec = if unit == Unit::Requests { Spec::Calls(quota) } else { Spec::Rate(quota) };
        // Services have up to two limits on a unit: a short one and a long one, the account's and the project's.
        limits.push((unit.as_str().into(), spec.clone()));
        limits.push((format!("{}/2", unit.as_str()).into(), spec));
    }
}

impl fmt::Debug for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, rate, paces, .. } = self;
        let mut it = f.debug_struct("Described");
        it.field("level", &level.is_some()).field("rate", &rate.is_some()).field("paces", &paces.len()).finish()
    }
}
