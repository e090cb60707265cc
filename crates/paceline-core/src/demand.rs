//! What a call asks for, and what it was charged.

use smallvec::SmallVec;

use crate::time::Time;

/// A limit's place in its set.
pub type Index = u16;

/// One limit's share of a demand and, once granted, of the permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which limit.
    pub limit: Index,
    /// Units asked for; once granted, units that stand charged.
    pub units: u64,
    /// Where the charge lies in the limit's history: all that was ever charged there, up to and with this charge.
    pub(crate) mark: u64,
}

/// An amount for each of some limits: sorted, each limit once.
///
/// ```
/// use paceline_core::Demand;
///
/// let demand: Demand = [(1, 900), (0, 1), (1, 100)].into_iter().collect();
/// assert_eq!(demand.parts().iter().map(|p| (p.limit, p.units)).collect::<Vec<_>>(), [(0, 1), (1, 1_000)]);
/// ```
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Demand {
    parts: SmallVec<[Part; 4]>,
}

/// By a copy: the derived one would go part by part.
impl Clone for Demand {
    #[inline]
    fn clone(&self) -> Self {
        Self { parts: SmallVec::from_slice(&self.parts) }
    }
}

impl Demand {
    /// Adds `units` of `limit`; amounts of one limit add up, saturating.
    #[inline]
    pub fn add(&mut self, limit: Index, units: u64) {
        if self.parts.last().is_some_and(|last| last.limit >= limit) {
            return self.add_within(limit, units);
        }
        self.parts.push(Part { limit, units, mark: 0 });
    }

    /// The same for a limit that is not behind all others.
    #[cold]
    fn add_within(&mut self, limit: Index, units: u64) {
        match self.parts.binary_search_by_key(&limit, |p| p.limit) {
            Ok(at) => self.parts[at].units = self.parts[at].units.saturating_add(units),
            Err(at) => self.parts.insert(at, Part { limit, units, mark: 0 }),
        }
    }

    /// Adds `units` of `limit` unless it is named.
    #[inline]
    pub fn add_missing(&mut self, limit: Index, units: u64) {
        let behind = self.parts.last().is_none_or(|last| last.limit < limit);
        if behind || self.units(limit).is_none() {
            self.add(limit, units);
        }
    }

    /// Leaves out the limits of which no unit is asked: such a demand shares nothing with those who wait for them.
    #[inline]
    pub fn drop_zeros(&mut self) {
        if self.parts.iter().any(|part| part.units == 0) {
            self.retain_asked();
        }
    }

    #[cold]
    fn retain_asked(&mut self) {
        self.parts.retain(|part| part.units > 0);
    }

    /// The parts, by limit.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The units asked of `limit`, if it is named.
    #[inline]
    #[must_use]
    pub fn units(&self, limit: Index) -> Option<u64> {
        // They are few, and what is asked for most is the last: the resource.
        self.parts.iter().rev().find(|part| part.limit == limit).map(|part| part.units)
    }

    /// What was charged by [`Set::try_one`](crate::Set::try_one): one part.
    #[inline]
    #[must_use]
    pub fn charged(limit: Index, units: u64, mark: u64) -> Self {
        let mut parts = SmallVec::new();
        parts.push(Part { limit, units, mark });
        Self { parts }
    }

    /// Whether it lies here as a whole, with nothing on the heap: up to four limits.
    #[inline]
    #[must_use]
    pub fn is_inline(&self) -> bool {
        !self.parts.spilled()
    }

    /// Puts a part behind the others; none if it does not belong there.
    pub(crate) fn push(&mut self, part: Part) -> Option<()> {
        let behind = self.parts.last().is_none_or(|last| last.limit < part.limit);
        behind.then(|| self.parts.push(part))
    }

    #[inline]
    pub(crate) fn parts_mut(&mut self) -> &mut [Part] {
        &mut self.parts
    }

    /// The part of `limit`, added with no units where it is missing.
    pub(crate) fn part_mut(&mut self, limit: Index) -> &mut Part {
        if self.units(limit).is_none() {
            self.add(limit, 0);
        }
        let at = self.parts.partition_point(|p| p.limit < limit);
        &mut self.parts[at]
    }
}

impl FromIterator<(Index, u64)> for Demand {
    fn from_iter<I: IntoIterator<Item = (Index, u64)>>(amounts: I) -> Self {
        let mut demand = Self::default();
        for (limit, units) in amounts {
            demand.add(limit, units);
        }
        demand
    }
}

/// A granted demand: what stands charged, and since when.
///
/// It is data, not a guard: whoever holds it owes the set one [`release`](crate::Set::release).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a grant that is not released holds its resources for ever"]
pub struct Grant {
    /// The instant of admission.
    pub at: Time,
    /// What stands charged.
    pub charged: Demand,
}
