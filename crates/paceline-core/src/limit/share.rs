//! What one of several can have of a limit for sure while they cannot ask each other, and what that comes to afterwards.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::{Kind, Limit, Rate};
use crate::demand::Part;
use crate::error::ChangeError;
use crate::resource::Resource;
use crate::time::Time;

impl Limit {
    /// The share of one of so many who know what this one knows; one that grants nothing where there is none. `held` are
    /// the units of a resource that are its own.
    pub(crate) fn share(&self, now: Time, members: NonZeroU64, held: u64) -> Self {
        let kind = match &self.0 {
            Kind::Rate(rate) => rate.share(now, members).map(Kind::Rate),
            Kind::Resource(resource) => {
                let free = resource.capacity.saturating_sub(resource.in_use);
                let capacity = held.saturating_add(free / members);
                Some(Kind::Resource(Resource { capacity, in_use: held }))
            }
        };
        Self(kind.unwrap_or(Kind::Resource(Resource { capacity: 0, in_use: 0 })))
    }

    /// The counterpart of [`release`](Self::release).
    pub(crate) fn take_up(&mut self, now: Time, part: &Part) {
        match &mut self.0 {
            Kind::Rate(rate) => rate.algorithm.take_up(now, part),
            Kind::Resource(resource) => resource.in_use = resource.in_use.saturating_add(part.units),
        }
    }

    /// Charges what one has used alone, room or not: instants and units, the oldest first.
    pub(crate) fn charge_past(&mut self, now: Time, past: &[(Time, u64)]) -> Result<(), ChangeError> {
        let Kind::Rate(rate) = &mut self.0 else { return Err(ChangeError::NotARate) };
        rate.charged = past.iter().fold(rate.charged, |sum, (_, units)| sum.wrapping_add(*units));
        rate.algorithm.charge_past(now, past);
        Ok(())
    }
}

impl Rate {
    fn share(&self, now: Time, members: NonZeroU64) -> Option<Self> {
        let quota = self.quota.with_amount(self.amount).share(members)?;
        let mut algorithm = self.algorithm.clone();
        algorithm.set_amount(now, &quota, self.charged);
        Some(Self { algorithm, charged: self.charged, amount: quota.amount(), quota: Arc::new(quota) })
    }
}
