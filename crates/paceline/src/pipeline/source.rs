//! Where permits come from: a set, or a pool of them.

use paceline_core::Demand;

use crate::clock::Clock;
use crate::error::Error;
use crate::key::Amounts;
use crate::permit::Permit;
use crate::pool::{LimitPool, PoolAcquire};
use crate::request::Terms;
use crate::set::LimitSet;
use crate::wait::Acquire;

/// Where permits come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A set: one quota.
    Set(LimitSet),
    /// Several, of which any one will do.
    Pool(LimitPool),
}

impl Source {
    /// The name of the set or pool.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Set(set) => set.name(),
            Self::Pool(pool) => pool.name(),
        }
    }

    /// The sets that can serve a call: the one, or the pool's members.
    #[must_use]
    pub fn sets(&self) -> &[LimitSet] {
        match self {
            Self::Set(set) => std::slice::from_ref(set),
            Self::Pool(pool) => pool.members(),
        }
    }

    pub(super) fn clock(&self) -> Clock {
        self.sets().first().map(|set| set.plan().clock.clone()).unwrap_or_default()
    }

    pub(super) fn resolve(&self, amounts: &impl Amounts) -> Result<Ask<'_>, Error> {
        Ok(match self {
            Self::Set(set) => Ask::Set(set, amounts.resolve(set)?),
            Self::Pool(pool) => Ask::Pool(pool, pool.resolve(amounts)?),
        })
    }
}

impl From<LimitSet> for Source {
    fn from(set: LimitSet) -> Self {
        Self::Set(set)
    }
}

impl From<&LimitSet> for Source {
    fn from(set: &LimitSet) -> Self {
        Self::Set(set.clone())
    }
}

impl From<LimitPool> for Source {
    fn from(pool: LimitPool) -> Self {
        Self::Pool(pool)
    }
}

impl From<&LimitPool> for Source {
    fn from(pool: &LimitPool) -> Self {
        Self::Pool(pool.clone())
    }
}

/// A demand, resolved once for all attempts.
pub(super) enum Ask<'p> {
    Set(&'p LimitSet, Demand),
    Pool(&'p LimitPool, Vec<Demand>),
}

impl Ask<'_> {
    pub(super) async fn acquire(&self, terms: Terms) -> Result<Permit<'static>, Error> {
        let permit = match self {
            Self::Set(set, demand) => Acquire::new(set, Ok(demand.clone()), Some(Box::new(terms))).await,
            Self::Pool(pool, demands) => PoolAcquire::new(pool, Ok(demands.clone()), terms).await,
        };
        permit.map(Permit::into_owned)
    }

    pub(super) fn acquire_blocking(&self, terms: Terms) -> Result<Permit<'static>, Error> {
        let permit = match self {
            Self::Set(set, demand) => set.block_with(demand.clone(), &terms),
            Self::Pool(pool, demands) => pool.block_with(demands.clone(), terms),
        };
        permit.map(Permit::into_owned)
    }
}
