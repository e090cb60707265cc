//! One limit: a rate or a resource, with the bookkeeping that both share.

mod share;

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::decision::Ready;
use crate::demand::Part;
use crate::error::{ChangeError, QuotaError};
use crate::image::{Image, Words};
use crate::quota::Quota;
use crate::resource::Resource;
use crate::server::ServerState;
use crate::time::Time;
use crate::view::{LimitKind, LimitView};

/// One constraint: units per period, or units at once.
#[derive(Clone, Debug)]
pub struct Limit(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Rate(Rate),
    Resource(Resource),
}

#[derive(Clone, Debug)]
struct Rate {
    algorithm: Algorithm,
    /// All units ever charged, wrapping: the mark of the latest charge.
    charged: u64,
    /// What its owner asked for. What is in force may be less, where the service said so. Shared by all limits made
    /// from one description.
    quota: Arc<Quota>,
    /// The amount in force.
    amount: u64,
}

impl Rate {
    /// Notes a charge.
    #[inline]
    fn mark(&mut self, part: &mut Part) {
        self.charged = self.charged.wrapping_add(part.units);
        part.mark = self.charged;
    }
}

/// Marks that no charge ever has, between what was charged before a reset and after it.
const GAP: u64 = u64::MAX / 4;

impl Limit {
    /// A rate limit that starts with nothing used.
    ///
    /// # Errors
    ///
    /// What [`Quota::validate`] finds.
    pub fn rate(quota: impl Into<Arc<Quota>>, now: Time) -> Result<Self, QuotaError> {
        let quota = quota.into();
        quota.validate()?;
        let algorithm = Algorithm::new(&quota, now);
        let amount = quota.amount();
        Ok(Self(Kind::Rate(Rate { algorithm, charged: 0, quota, amount })))
    }

    /// A resource limit of `capacity` units, all free.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ZeroCapacity`].
    pub fn resource(capacity: u64) -> Result<Self, ChangeError> {
        if capacity == 0 {
            return Err(ChangeError::ZeroCapacity);
        }
        Ok(Self(Kind::Resource(Resource::new(capacity))))
    }

    /// The most that one demand can ask for.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        match &self.0 {
            Kind::Rate(rate) => rate.quota.with_amount(rate.amount).capacity(),
            Kind::Resource(resource) => resource.capacity,
        }
    }

    /// Charges `part` if there is room.
    #[inline]
    pub(crate) fn take(&mut self, now: Time, part: &mut Part) -> bool {
        match &mut self.0 {
            Kind::Rate(rate) => {
                let room = rate.algorithm.take(now, part.units);
                if room {
                    rate.mark(part);
                }
                room
            }
            Kind::Resource(resource) => resource.take(part.units),
        }
    }

    /// Whether [`undo`](Self::undo) takes a charge back to the last bit.
    #[inline]
    pub(crate) fn can_undo(&self) -> bool {
        match &self.0 {
            Kind::Rate(rate) => rate.algorithm.can_undo(),
            Kind::Resource(_) => true,
        }
    }

    /// Takes back what was charged last, at the same instant, where that [can be](Self::can_undo).
    pub(crate) fn undo(&mut self, part: &mut Part) {
        match &mut self.0 {
            Kind::Rate(rate) if rate.algorithm.can_undo() => {
                rate.algorithm.undo(part.units);
                rate.charged = rate.charged.wrapping_sub(part.units);
                part.mark = 0;
            }
            Kind::Rate(_) => {}
            Kind::Resource(resource) => resource.in_use -= part.units,
        }
    }

    #[inline]
    pub(crate) fn ready(&mut self, now: Time, units: u64, ahead: u64) -> Ready {
        match &mut self.0 {
            Kind::Rate(rate) => rate.algorithm.ready(now, units, ahead),
            Kind::Resource(resource) => resource.ready(units, ahead),
        }
    }

    /// Nanoseconds until `units` fit after `ahead` others even if it were empty: above zero for buckets alone, which
    /// drain while the others go.
    pub(crate) fn lead(&self, units: u64, ahead: u64) -> u64 {
        match &self.0 {
            Kind::Rate(rate) => rate.algorithm.lead(units, ahead),
            Kind::Resource(_) => 0,
        }
    }

    #[inline]
    pub(crate) fn charge(&mut self, now: Time, since: Time, part: &mut Part) {
        match &mut self.0 {
            Kind::Rate(rate) => {
                rate.mark(part);
                rate.algorithm.charge(now, since, part.units);
            }
            Kind::Resource(resource) => resource.in_use = resource.in_use.saturating_add(part.units),
        }
    }

    /// Corrects what `part` is charged to `actual`; it then says what really stands charged.
    pub(crate) fn settle(&mut self, now: Time, admitted: Time, part: &mut Part, actual: u64) {
        match &mut self.0 {
            Kind::Rate(rate) if actual > part.units => {
                let extra = actual - part.units;
                rate.charged = rate.charged.wrapping_add(extra);
                if part.units == 0 {
                    // Nothing of it lay in the history: it is there from here on, to be given back from there.
                    part.mark = rate.charged;
                }
                rate.algorithm.add(now, part, admitted, extra);
                part.units = actual;
            }
            Kind::Rate(rate) => {
                let since = rate.charged.wrapping_sub(part.mark);
                // Beyond the gap that a reset leaves, nothing of the charge is in the state any more.
                if since < GAP {
                    part.units -= rate.algorithm.refund(now, part, admitted, part.units - actual, since);
                }
            }
            Kind::Resource(resource) => {
                resource.in_use = resource.in_use.saturating_sub(part.units).saturating_add(actual);
                part.units = actual;
            }
        }
    }

    /// The permit came back.
    #[inline]
    pub(crate) fn release(&mut self, now: Time, part: &Part) {
        match &mut self.0 {
            Kind::Rate(rate) => rate.algorithm.complete(now, part),
            Kind::Resource(_) => self.take_back(part.units),
        }
    }

    /// Units of a resource came back.
    #[inline]
    pub(crate) fn take_back(&mut self, units: u64) {
        if let Kind::Resource(resource) = &mut self.0 {
            resource.in_use = resource.in_use.saturating_sub(units);
        }
    }

    /// Whether it has to know when each permit came back.
    #[must_use]
    pub fn awaits_completion(&self) -> bool {
        matches!(&self.0, Kind::Rate(rate) if rate.algorithm.awaits_completion())
    }

    /// The mark of the latest charge.
    pub(crate) fn latest_mark(&self) -> u64 {
        match &self.0 {
            Kind::Rate(rate) => rate.charged,
            Kind::Resource(_) => 0,
        }
    }

    /// The quota that its owner asked for, of a rate.
    #[must_use]
    pub fn quota(&self) -> Option<&Quota> {
        match &self.0 {
            Kind::Rate(rate) => Some(&rate.quota),
            Kind::Resource(_) => None,
        }
    }

    /// Whether it is a resource.
    #[must_use]
    pub fn is_resource(&self) -> bool {
        matches!(self.0, Kind::Resource(_))
    }

    pub(crate) fn set_quota(&mut self, now: Time, quota: Quota) -> Result<(), ChangeError> {
        let Kind::Rate(rate) = &mut self.0 else { return Err(ChangeError::NotARate) };
        quota.validate()?;
        // What the service said of the amount stands as long as nobody here says another.
        let amount = if quota.amount() == rate.quota.amount() { rate.amount } else { quota.amount() };
        rate.algorithm.requota(now, &quota.with_amount(amount), rate.charged);
        rate.amount = amount;
        rate.quota = Arc::new(quota);
        Ok(())
    }

    pub(crate) fn set_capacity(&mut self, capacity: u64) -> Result<(), ChangeError> {
        match &mut self.0 {
            Kind::Rate(_) => Err(ChangeError::NotAResource),
            Kind::Resource(_) if capacity == 0 => Err(ChangeError::ZeroCapacity),
            Kind::Resource(resource) => {
                resource.capacity = capacity;
                Ok(())
            }
        }
    }

    /// Charges what came before now, as if the limit had been there.
    pub(crate) fn recall(&mut self, now: Time, past: &[(Time, u64)]) -> Result<(), ChangeError> {
        let Kind::Rate(rate) = &mut self.0 else { return Err(ChangeError::NotARate) };
        if rate.charged != 0 {
            return Err(ChangeError::InUse);
        }
        rate.algorithm = Algorithm::recalled(&rate.quota.with_amount(rate.amount), now, past);
        rate.charged = past.iter().fold(0, |sum, (_, units)| u64::wrapping_add(sum, *units));
        Ok(())
    }

    /// Forgets what a rate was charged; a resource keeps what is out.
    pub(crate) fn reset(&mut self, now: Time) {
        if let Kind::Rate(rate) = &mut self.0 {
            rate.amount = rate.quota.amount();
            // A gap in the marks, so that no older charge can be refunded from the fresh state.
            rate.charged = rate.charged.wrapping_add(GAP);
            rate.algorithm.reset(now, &rate.quota, rate.charged);
        }
    }

    pub(crate) fn sync(&mut self, now: Time, state: &ServerState, part: Option<&Part>) -> Result<(), ChangeError> {
        let Kind::Rate(rate) = &mut self.0 else { return Err(ChangeError::NotARate) };
        if let Some(limit) = state.limit {
            let amount = if state.authoritative { limit } else { limit.min(rate.quota.amount()) }.max(1);
            if amount != rate.amount {
                rate.algorithm.set_amount(now, &rate.quota.with_amount(amount), rate.charged);
                rate.amount = amount;
            }
        }
        if let Some(remaining) = state.remaining {
            let since = part.map_or(0, |part| rate.charged.wrapping_sub(part.mark));
            let available = remaining.saturating_sub(since);
            let ends = state.reset.and_then(|reset| reset.window_end(now));
            rate.algorithm.cap_available(now, available, ends);
            if state.authoritative {
                rate.algorithm.lift_available(now, available);
            }
        }
        Ok(())
    }

    pub(crate) fn view(&mut self, now: Time) -> LimitView {
        let capacity = self.capacity();
        let (kind, used, available, ceiling) = match &mut self.0 {
            Kind::Rate(Rate { algorithm, quota, amount, .. }) => {
                let kind = LimitKind::Rate(quota.with_amount(*amount));
                (kind, algorithm.used(now), algorithm.free(now), algorithm.ceiling())
            }
            Kind::Resource(it) => (LimitKind::Resource, it.in_use, capacity.saturating_sub(it.in_use), capacity),
        };
        LimitView { kind, capacity, used, available, debt: used.saturating_sub(ceiling) }
    }
}

const RATE: u64 = 0;
const RESOURCE: u64 = 1;

impl Image for Limit {
    fn write(&self, out: &mut Vec<u64>) {
        match &self.0 {
            Kind::Rate(Rate { algorithm, charged, quota, amount }) => {
                out.push(RATE);
                quota.write(out);
                out.extend([*amount, *charged]);
                algorithm.write(out);
            }
            Kind::Resource(Resource { capacity, in_use }) => out.extend([RESOURCE, *capacity, *in_use]),
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        match words.word()? {
            RATE => {
                let quota = Quota::read(words)?;
                let (amount, charged) = (words.word().filter(|amount| *amount > 0)?, words.word()?);
                let algorithm = Algorithm::read(&quota.with_amount(amount), words)?;
                Some(Self(Kind::Rate(Rate { algorithm, charged, quota: Arc::new(quota), amount })))
            }
            RESOURCE => {
                let capacity = words.word().filter(|capacity| *capacity > 0)?;
                Some(Self(Kind::Resource(Resource { capacity, in_use: words.word()? })))
            }
            _ => None,
        }
    }
}
