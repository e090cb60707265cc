//! A granted demand, as a guard.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Arrival, Demand, Grant, ServerState, Time};
use parking_lot::Mutex;

use crate::backend::RemotePermit;
use crate::error::Error;
use crate::key::{Amounts, Named};
use crate::local::Local;
use crate::set::{LimitSet, Store};

/// A granted demand. Dropping it gives its resources back; what its rates were charged stands.
///
/// Borrows its set; [`into_owned`](Self::into_owned) makes one that can move to another task.
///
/// ```
/// use paceline::{LimitSet, Quota};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline::Error> {
/// let openai = LimitSet::builder("openai").rate("tokens", Quota::per_minute(1_000)).concurrency(8).build()?;
/// let permit = openai.acquire([("tokens", 900)]).await?;
/// permit.settle([("tokens", 120)])?;                          // what the answer says it really was
/// drop(permit);
/// assert_eq!(openai.snapshot().limit("tokens").unwrap().used, 120);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits nothing"]
pub struct Permit<'a> {
    set: Owner<'a>,
    held: Held,
    asked: Time,
    arrival: Arrival,
}

#[derive(Debug)]
enum Owner<'a> {
    Borrowed(&'a LimitSet),
    Owned(LimitSet),
}

#[derive(Debug)]
enum Held {
    Local(Mutex<Grant>),
    /// Boxed, so that permits of this process are no larger than they need be.
    Remote(Box<RemotePermit>),
    /// Given back, or moved to another permit.
    Nothing,
}

impl<'a> Permit<'a> {
    #[inline]
    pub(crate) fn local(set: &'a LimitSet, grant: Grant, asked: Time, arrival: Arrival) -> Self {
        Self { set: Owner::Borrowed(set), held: Held::Local(Mutex::new(grant)), asked, arrival }
    }

    pub(crate) fn remote(set: &'a LimitSet, permit: RemotePermit, asked: Time, arrival: Arrival) -> Self {
        Self { set: Owner::Borrowed(set), held: Held::Remote(Box::new(permit)), asked, arrival }
    }

    /// Corrects what was charged to what was really used. The last call wins; keys that are not named stay as they are.
    ///
    /// Less than the estimate is refunded as far as the algorithm can; more is charged, and may leave a debt that later
    /// demands wait for. A key that was not demanded is charged in full.
    ///
    /// # Errors
    ///
    /// An unknown key; nothing is corrected then.
    pub fn settle(&self, actual: impl Amounts) -> Result<(), Error> {
        let actual = actual.resolve(self.set())?;
        self.correct(actual);
        Ok(())
    }

    /// The same for those of the keys that its set has.
    pub(crate) fn settle_known(&self, actual: &impl Amounts) -> Result<(), Error> {
        self.correct(actual.resolve_known(self.set(), &mut |_, _| {}));
        Ok(())
    }

    fn correct(&self, actual: Demand) {
        match (&self.held, &self.set().0) {
            (Held::Local(grant), Store::Local(local)) => {
                let mut grant = grant.lock();
                local.step(|guard, now, events| {
                    for part in actual.parts() {
                        guard.set.settle(now, &mut grant, part.limit, part.units, events);
                    }
                });
            }
            (Held::Remote(permit), _) => permit.settle(actual),
            _ => {}
        }
    }

    /// Takes the service's word on one limit, as the answer to this very call carried it: what was charged after this
    /// permit's admission is known to be missing from it.
    ///
    /// # Errors
    ///
    /// An unknown key, a resource, or a set that lives elsewhere.
    pub fn sync(&self, key: impl Named, state: ServerState) -> Result<(), Error> {
        match &self.held {
            Held::Local(grant) => self.set().sync_with(key, state, Some(&grant.lock())),
            _ => self.set().sync_with(key, state, None),
        }
    }

    /// Gives the permit back and reports whether that reached the place where the set's state lives.
    ///
    /// # Errors
    ///
    /// Only where that is another process or machine; the lease expires by itself then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the permit back as dropping the permit does.
    pub async fn release(mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.held, Held::Nothing) {
            Held::Remote(permit) => permit.release().await.map_err(|error| error.of(self.set())),
            held => {
                self.held = held;
                Ok(())
            }
        }
    }

    /// A permit of its own, which can outlive the borrow of its set.
    pub fn into_owned(mut self) -> Permit<'static> {
        let held = std::mem::replace(&mut self.held, Held::Nothing);
        Permit { set: Owner::Owned(self.set().clone()), held, asked: self.asked, arrival: self.arrival }
    }

    /// The set that granted it: of a pool, the member.
    #[must_use]
    pub fn set(&self) -> &LimitSet {
        match &self.set {
            Owner::Borrowed(set) => set,
            Owner::Owned(set) => set,
        }
    }

    /// What that set was labelled with: a region, an endpoint, the name of a key.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&str> {
        self.set().config(name)
    }

    /// What stands charged for `key`.
    ///
    /// # Errors
    ///
    /// An unknown key.
    pub fn charged(&self, key: impl Named) -> Result<u64, Error> {
        let index = key.index(self.set())?;
        Ok(match &self.held {
            Held::Local(grant) => grant.lock().charged.units(index).unwrap_or(0),
            Held::Remote(permit) => permit.charged(index),
            Held::Nothing => 0,
        })
    }

    /// How long it was waited for.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.admitted_at().since(self.asked)
    }

    /// The instant of admission, on the set's clock.
    #[must_use]
    pub fn admitted_at(&self) -> Time {
        match &self.held {
            Held::Local(grant) => grant.lock().at,
            Held::Remote(permit) => permit.admitted_at(),
            Held::Nothing => self.asked,
        }
    }

    /// When its call first asked, for a retry to keep: [`Request::arrived`](crate::Request::arrived).
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        self.arrival
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        match (&mut self.held, &self.set) {
            (Held::Local(grant), Owner::Borrowed(LimitSet(Store::Local(local)))) => local.release(grant.get_mut()),
            (Held::Local(grant), Owner::Owned(LimitSet(Store::Local(local)))) => Local::release(local, grant.get_mut()),
            (Held::Remote(permit), _) => permit.forget(),
            _ => {}
        }
    }
}

/// Labels as they were given.
pub(crate) fn lookup<'a>(config: &'a [(Arc<str>, Arc<str>)], name: &str) -> Option<&'a str> {
    config.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}
