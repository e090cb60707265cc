//! What a limit set is made from: its keys and limits, checked once and shared by all sets made from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use paceline_core::headers::Unit;
use paceline_core::{Demand, Index, Limit, LimitKind, LimitView, Quota, Time};

use crate::adapt::Described;
use crate::clock::Clock;
use crate::error::Error;
use crate::key::Key;
use crate::wait::Hooks;

/// The shape of a set.
#[derive(Debug)]
pub(crate) struct Plan {
    shape: u32,
    keys: Box<[Arc<str>]>,
    specs: Box<[Spec]>,
    /// The limits of which each demand takes one unit unasked.
    unasked: Box<[Index]>,
    /// Whether there is one limit alone, and each demand takes one unit of it unasked.
    one_unasked: bool,
    back: Back,
    pub(crate) config: Box<[(Arc<str>, Arc<str>)]>,
    pub(crate) clock: Clock,
    pub(crate) hooks: Hooks,
    pub(crate) described: Described,
}

/// The resources that permits give back.
#[derive(Clone, Copy, Debug)]
enum Back {
    Nothing,
    One(Index),
    Several,
}

/// One limit to be made.
#[derive(Clone, Debug)]
pub(crate) enum Spec {
    Rate(Arc<Quota>),
    /// A rate of which each demand takes one unit unasked.
    Calls(Arc<Quota>),
    Resource(u64),
}

impl Spec {
    fn make(&self, now: Time) -> Result<Limit, paceline_core::ChangeError> {
        match self {
            Self::Rate(quota) | Self::Calls(quota) => Ok(Limit::rate(Arc::clone(quota), now)?),
            Self::Resource(capacity) => Limit::resource(*capacity),
        }
    }

    /// Whether a limit is still what it was made as.
    pub(crate) fn describes(&self, view: &LimitView) -> bool {
        match self {
            Self::Rate(quota) | Self::Calls(quota) => view.kind == LimitKind::Rate(**quota),
            Self::Resource(capacity) => view.capacity == *capacity,
        }
    }
}

/// What is in force for a limit that nobody stated and no answer has told of yet: nothing, but what is charged is
/// remembered for as long as most periods are.
pub(crate) const UNSTATED: Quota = Quota::per_minute(u64::MAX);

/// The unit that a key counts.
pub(crate) fn unit(key: &str) -> Option<Unit> {
    match key.split('/').next() {
        Some("calls") => Some(Unit::Requests),
        name => Unit::ALL.into_iter().find(|unit| Some(unit.as_str()) == name),
    }
}

impl Plan {
    pub(crate) fn new(
        set: &Arc<str>,
        limits: Vec<(Arc<str>, Spec)>,
        config: Vec<(Arc<str>, Arc<str>)>,
        clock: Clock,
        hooks: Hooks,
        described: Described,
    ) -> Result<Self, Error> {
        static SHAPES: AtomicU32 = AtomicU32::new(0);
        for (at, (key, spec)) in limits.iter().enumerate() {
            if limits[..at].iter().any(|(earlier, _)| earlier == key) {
                return Err(Error::DuplicateKey { set: Arc::clone(set), key: Arc::clone(key) });
            }
            spec.make(Time::ZERO).map_err(|source| Error::limit(set, key, source))?;
        }
        let unasked = limits.iter().enumerate().filter(|(_, (_, spec))| !matches!(spec, Spec::Rate(_)));
        let mut resources = limits.iter().enumerate().filter(|(_, (_, spec))| matches!(spec, Spec::Resource(_)));
        let back = match (resources.next(), resources.next()) {
            (None, _) => Back::Nothing,
            (Some((at, _)), None) => Back::One(index(at)),
            (Some(_), Some(_)) => Back::Several,
        };
        let unasked: Box<[_]> = unasked.map(|(at, _)| index(at)).collect();
        let one_unasked = limits.len() == 1 && unasked.len() == 1;
        let (keys, specs): (Vec<_>, Vec<_>) = limits.into_iter().unzip();
        Ok(Self {
            shape: SHAPES.fetch_add(1, Ordering::Relaxed),
            keys: keys.into(),
            specs: specs.into(),
            unasked,
            one_unasked,
            back,
            config: config.into(),
            clock,
            hooks,
            described,
        })
    }

    pub(crate) fn limits(&self, now: Time) -> Vec<Limit> {
        self.specs.iter().map(|spec| spec.make(now).expect("checked when the plan was made")).collect()
    }

    pub(crate) fn keys(&self) -> &[Arc<str>] {
        &self.keys
    }

    pub(crate) fn specs(&self) -> &[Spec] {
        &self.specs
    }

    pub(crate) fn key(&self, name: &str) -> Option<Key> {
        let at = self.keys.iter().position(|key| &**key == name)?;
        Some(Key { shape: self.shape, index: index(at) })
    }

    pub(crate) fn owns(&self, key: Key) -> bool {
        key.shape == self.shape
    }

    /// Whether there is one limit alone.
    #[inline]
    pub(crate) fn is_one(&self) -> bool {
        self.specs.len() == 1
    }

    /// Whether a demand that names nothing is one unit of the one limit there is.
    #[inline]
    pub(crate) fn is_one_unasked(&self) -> bool {
        self.one_unasked
    }

    /// The resource of which permits can give one unit back without the lock.
    #[inline]
    pub(crate) fn resource(&self) -> Option<Index> {
        match self.back {
            Back::One(resource) => Some(resource),
            Back::Nothing | Back::Several => None,
        }
    }

    /// Whether a permit that was charged so can come back without the lock.
    #[inline]
    pub(crate) fn is_counted(&self, charged: &Demand) -> bool {
        match self.back {
            Back::Nothing => true,
            Back::One(resource) => charged.units(resource) == Some(1),
            Back::Several => false,
        }
    }

    /// Adds what every demand takes unasked, and leaves out what it names only to take none of it: it has no business in
    /// the line of those who do.
    #[inline]
    pub(crate) fn complete(&self, demand: &mut Demand) {
        match *self.unasked {
            [only] if demand.parts().is_empty() => demand.add(only, 1),
            _ => self.complete_named(demand),
        }
    }

    fn complete_named(&self, demand: &mut Demand) {
        for limit in &self.unasked {
            demand.add_missing(*limit, 1);
        }
        demand.drop_zeros();
    }
}

pub(crate) fn index(at: usize) -> Index {
    Index::try_from(at).expect("fewer than 65,536 limits in a set")
}
