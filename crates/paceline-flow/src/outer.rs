//! What a node shares with others: one set, several together, or a pool.

use paceline::{Arrival, Joint, LimitPool, LimitSet};

use crate::call::Lent;
use crate::lane::in_flight;

/// What a node shares with others.
#[derive(Clone, Debug)]
pub(crate) enum Outer {
    Set(LimitSet),
    /// Several at one instant, and which of them serves the call.
    Joint {
        joint: Joint,
        sets: Box<[LimitSet]>,
        serving: LimitSet,
    },
    Pool(LimitPool),
}

impl Outer {
    /// Of those sets; none where there are none.
    pub(crate) fn of(sets: &[LimitSet]) -> Result<Option<Self>, paceline::Error> {
        match sets {
            [] => Ok(None),
            [set] => Ok(Some(Self::Set(set.clone()))),
            [first, ..] => Self::all(sets.to_vec(), first).map(Some),
        }
    }

    /// Of an item's own sets, beside what its node shares.
    pub(crate) fn with(outer: Option<&Self>, mut sets: Vec<LimitSet>) -> Result<Self, paceline::Error> {
        match outer {
            None => {}
            Some(Self::Pool(_)) => return Err(paceline::Error::NotJoinable { why: "the node has a pool" }),
            Some(outer) => sets.extend_from_slice(outer.sets()),
        }
        match &*sets {
            [only] => Ok(Self::Set(only.clone())),
            [first, ..] => Self::all(sets.clone(), &first.clone()),
            [] => Err(paceline::Error::NotJoinable { why: "there are none" }),
        }
    }

    fn all(sets: Vec<LimitSet>, serving: &LimitSet) -> Result<Self, paceline::Error> {
        let joint = LimitSet::all(&sets)?;
        Ok(Self::Joint { joint, sets: sets.into(), serving: serving.clone() })
    }

    fn sets(&self) -> &[LimitSet] {
        match self {
            Self::Set(set) => std::slice::from_ref(set),
            Self::Joint { sets, .. } => sets,
            Self::Pool(pool) => pool.members(),
        }
    }

    pub(crate) fn knows(&self, key: &str) -> bool {
        self.sets().iter().any(|set| set.keys().any(|own| own == key))
    }

    /// Calls that it lets be in flight, if it limits that.
    pub(crate) fn in_flight(&self) -> Option<u64> {
        match self {
            Self::Set(set) => in_flight(set),
            Self::Joint { sets, .. } => sets.iter().filter_map(in_flight).min(),
            Self::Pool(pool) => {
                pool.members().iter().map(in_flight).try_fold(0_u64, |sum, each| Some(sum.saturating_add(each?)))
            }
        }
    }

    pub(crate) async fn acquire(
        &self,
        cost: &[(&'static str, u64)],
        first: Option<Arrival>,
    ) -> Result<Lent, paceline::Error> {
        Ok(match (self, first) {
            (Self::Set(set), None) => Lent::One(set.acquire(cost).await?.into_owned()),
            (Self::Set(set), Some(first)) => Lent::One(set.request(cost).arrived(first).acquire().await?.into_owned()),
            (Self::Joint { joint, serving, .. }, _) => Lent::joint(joint.acquire(cost).await?, serving),
            (Self::Pool(pool), _) => Lent::One(pool.acquire(cost).await?.into_owned()),
        })
    }

    pub(crate) fn try_acquire(
        &self,
        cost: &[(&'static str, u64)],
        first: Option<Arrival>,
    ) -> Result<Lent, paceline::Error> {
        Ok(match (self, first) {
            (Self::Set(set), None) => Lent::One(set.try_acquire(cost)?.into_owned()),
            (Self::Set(set), Some(first)) => Lent::One(set.request(cost).arrived(first).try_acquire()?.into_owned()),
            (Self::Joint { joint, serving, .. }, _) => Lent::joint(joint.try_acquire(cost)?, serving),
            (Self::Pool(pool), _) => Lent::One(pool.try_acquire(cost)?.into_owned()),
        })
    }
}
