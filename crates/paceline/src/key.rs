//! Naming limits, and saying how much of each.

use std::sync::Arc;

use paceline_core::{Demand, Index};

use crate::error::Error;
use crate::set::LimitSet;

/// A limit's key, looked up once: [`LimitSet::key`]. Valid on every set made from the same
/// [`Template`](crate::Template).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(crate) shape: u32,
    pub(crate) index: Index,
}

/// What names a limit of a set: a [`Key`], or its name.
pub trait Named: private::Named {}

impl<T: private::Named> Named for T {}

/// What a demand can be written as: `[("tokens", 900)]`, `&[(key, 900)]`, a slice or vector of such pairs, or `()` for a
/// call that names nothing. Amounts of one key add up.
pub trait Amounts: private::Amounts {}

impl<T: private::Amounts> Amounts for T {}

/// One demand over several sets: what of it each can be asked for.
pub(crate) struct Spread {
    demands: Vec<Demand>,
    /// Which amount, and why a set does not know its key.
    misses: Vec<(usize, Error)>,
}

impl Spread {
    pub(crate) fn over<'s>(sets: impl Iterator<Item = &'s LimitSet>, amounts: &impl Amounts) -> Self {
        let mut misses = Vec::new();
        let demands = sets.map(|set| amounts.resolve_known(set, &mut |at, error| misses.push((at, error)))).collect();
        Self { demands, misses }
    }

    /// A key that belongs to another set.
    pub(crate) fn foreign(&self) -> Option<Error> {
        self.misses.iter().find(|(_, error)| matches!(error, Error::ForeignKey { .. })).map(|(_, error)| error.clone())
    }

    /// The demands; a key that no set has is an error.
    pub(crate) fn known_somewhere(self) -> Result<Vec<Demand>, Error> {
        let Self { demands, misses } = self;
        let nowhere = |at| misses.iter().filter(|(miss, _)| *miss == at).count() == demands.len();
        match misses.iter().find(|(at, _)| nowhere(*at)) {
            Some((_, error)) => Err(error.clone()),
            None => Ok(demands),
        }
    }
}

pub(crate) mod private {
    use super::{Arc, Demand, Error, Index, Key, LimitSet};

    pub trait Named {
        fn index(&self, set: &LimitSet) -> Result<Index, Error>;
    }

    impl Named for Key {
        #[inline]
        fn index(&self, set: &LimitSet) -> Result<Index, Error> {
            if set.plan().owns(*self) {
                return Ok(self.index);
            }
            Err(Error::ForeignKey { set: Arc::clone(set.shared_name()) })
        }
    }

    impl Named for str {
        fn index(&self, set: &LimitSet) -> Result<Index, Error> {
            set.key(self).map(|key| key.index)
        }
    }

    impl Named for String {
        fn index(&self, set: &LimitSet) -> Result<Index, Error> {
            self.as_str().index(set)
        }
    }

    impl Named for Arc<str> {
        fn index(&self, set: &LimitSet) -> Result<Index, Error> {
            (**self).index(set)
        }
    }

    impl<T: Named + ?Sized> Named for &T {
        fn index(&self, set: &LimitSet) -> Result<Index, Error> {
            (**self).index(set)
        }
    }

    pub trait Amounts {
        /// Adds the demand on `set` to `demand`; keys it has not are an error. A demand is some hundred bytes, so the hot
        /// path fills one where it lies instead of handing it on.
        fn add_to(&self, demand: &mut Demand, set: &LimitSet) -> Result<(), Error>;

        /// The units where `set` has one limit alone, and the demand on it takes some.
        fn only(&self, set: &LimitSet) -> Option<u64>;

        /// The demand on `set`; keys it has not are an error.
        #[inline]
        fn resolve(&self, set: &LimitSet) -> Result<Demand, Error> {
            let mut demand = Demand::default();
            self.add_to(&mut demand, set)?;
            Ok(demand)
        }

        /// The demand on `set`, less the keys it has not, which are handed to `unknown`.
        fn resolve_known(&self, set: &LimitSet, unknown: &mut dyn FnMut(usize, Error)) -> Demand;
    }

    impl Amounts for () {
        #[inline]
        fn add_to(&self, _: &mut Demand, _: &LimitSet) -> Result<(), Error> {
            Ok(())
        }

        #[inline]
        fn only(&self, set: &LimitSet) -> Option<u64> {
            set.plan().is_one_unasked().then_some(1)
        }

        fn resolve_known(&self, _: &LimitSet, _: &mut dyn FnMut(usize, Error)) -> Demand {
            Demand::default()
        }
    }

    impl<K: Named> Amounts for [(K, u64)] {
        #[inline]
        fn add_to(&self, demand: &mut Demand, set: &LimitSet) -> Result<(), Error> {
            for (key, units) in self {
                demand.add(key.index(set)?, *units);
            }
            Ok(())
        }

        #[inline]
        fn only(&self, set: &LimitSet) -> Option<u64> {
            match self {
                [(key, units)] if set.plan().is_one() && *units > 0 => key.index(set).ok().map(|_| *units),
                _ => None,
            }
        }

        fn resolve_known(&self, set: &LimitSet, unknown: &mut dyn FnMut(usize, Error)) -> Demand {
            let mut demand = Demand::default();
            for (at, (key, units)) in self.iter().enumerate() {
                match key.index(set) {
                    Ok(index) => demand.add(index, *units),
                    Err(error) => unknown(at, error),
                }
            }
            demand
        }
    }

    macro_rules! as_slice {
        ($([$($generics:tt)*] $form:ty),+ $(,)?) => {$(
            impl<$($generics)*> Amounts for $form {
                #[inline]
                fn add_to(&self, demand: &mut Demand, set: &LimitSet) -> Result<(), Error> {
                    self[..].add_to(demand, set)
                }

                #[inline]
                fn only(&self, set: &LimitSet) -> Option<u64> {
                    self[..].only(set)
                }

                fn resolve_known(&self, set: &LimitSet, unknown: &mut dyn FnMut(usize, Error)) -> Demand {
                    self[..].resolve_known(set, unknown)
                }
            }
        )+};
    }

    as_slice!([K: Named, const N: usize] [(K, u64); N], [K: Named] Vec<(K, u64)>);

    impl<T: Amounts + ?Sized> Amounts for &T {
        #[inline]
        fn add_to(&self, demand: &mut Demand, set: &LimitSet) -> Result<(), Error> {
            (**self).add_to(demand, set)
        }

        #[inline]
        fn only(&self, set: &LimitSet) -> Option<u64> {
            (**self).only(set)
        }

        fn resolve_known(&self, set: &LimitSet, unknown: &mut dyn FnMut(usize, Error)) -> Demand {
            (**self).resolve_known(set, unknown)
        }
    }
}
