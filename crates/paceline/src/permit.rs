//! A granted demand, as a guard.

use std::borrow::Cow;
use std::mem::ManuallyDrop;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline_core::{Arrival, Demand, Grant, ServerState, Time, Verdict};
use parking_lot::Mutex;

use crate::adapt::Told;
use crate::backend::{Change, RemotePermit};
use crate::error::Error;
use crate::key::{Amounts, Named};
use crate::local::first;
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
    set: Cow<'a, LimitSet>,
    /// Dropped by hand: most permits have nothing on the heap, and `drop` sees that at one look.
    held: ManuallyDrop<Held>,
    /// None where it did not wait, and did not arrive before.
    past: Option<Past>,
    told: Told,
}

/// When a call first asked, where that was not the instant of its admission.
#[derive(Clone, Copy, Debug)]
struct Past {
    asked: Time,
    arrival: Arrival,
}

#[derive(Debug)]
enum Held {
    Local {
        grant: Grant,
        /// What it was corrected to. Made by the first correction: most permits are never corrected.
        corrected: OnceLock<Box<Mutex<Grant>>>,
    },
    /// Boxed, so that permits of this process are no larger than they need be.
    Remote(Box<RemotePermit>),
    /// Given back, or moved to another permit.
    Nothing,
}

impl Held {
    #[inline]
    fn local(grant: Grant) -> Self {
        Self::Local { grant, corrected: OnceLock::new() }
    }
}

impl<'a> Permit<'a> {
    #[inline]
    fn new(set: &'a LimitSet, held: Held, past: Option<Past>) -> Self {
        Self { set: Cow::Borrowed(set), held: ManuallyDrop::new(held), past, told: Told::default() }
    }

    /// One that was to be had at once.
    #[inline]
    pub(crate) fn at_once(set: &'a LimitSet, grant: Grant) -> Self {
        Self::new(set, Held::local(grant), None)
    }

    pub(crate) fn local(set: &'a LimitSet, grant: Grant, asked: Time, arrival: Arrival) -> Self {
        Self::new(set, Held::local(grant), Some(Past { asked, arrival }))
    }

    pub(crate) fn remote(set: &'a LimitSet, permit: RemotePermit, asked: Time, arrival: Arrival) -> Self {
        Self::new(set, Held::Remote(Box::new(permit)), Some(Past { asked, arrival }))
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
    pub(crate) fn settle_known(&self, actual: &impl Amounts) {
        self.correct(actual.resolve_known(self.set(), &mut |_, _| {}));
    }

    pub(crate) fn correct(&self, actual: Demand) {
        match (&*self.held, &self.set().0) {
            (Held::Local { grant, corrected }, Store::Local(local)) => {
                let mut grant = corrected.get_or_init(|| Box::new(Mutex::new(grant.clone()))).lock();
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
    /// An unknown key, a resource, or a failing backend.
    pub fn sync(&self, key: impl Named, state: ServerState) -> Result<(), Error> {
        match &*self.held {
            Held::Local { grant, corrected } => {
                let corrected = corrected.get().map(|corrected| corrected.lock());
                self.set().sync_with(key, state, Some(corrected.as_deref().unwrap_or(grant)))
            }
            Held::Remote(permit) => {
                let index = key.index(self.set())?;
                let Store::Remote(remote) = &self.set().0 else { return Ok(()) };
                remote.heard(index, state.remaining);
                remote.change(Change::Sync(index, state, Some(permit.id())))
            }
            Held::Nothing => self.set().sync_with(key, state, None),
        }
    }

    /// Whether its set, which lives elsewhere, has given it to somebody else because it took this process for dead: what
    /// it was for should be given up.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(&*self.held, Held::Remote(permit) if permit.is_lost())
    }

    /// Notes that the request is on its way: how late that is tells [pacing](crate::LimitSetBuilder::pacing) what the
    /// sender itself adds to the distances between calls. Costs nothing without pacing.
    pub fn sent(&self) {
        match (&*self.held, &self.set().0) {
            (Held::Local { grant, .. }, Store::Local(local)) => local.sent(grant.at),
            (Held::Remote(permit), Store::Remote(remote)) => remote.sent(permit.admitted_at()),
            _ => {}
        }
    }

    /// Notes that the answer has begun, for a stream: the attempt's duration counts to here.
    pub fn first_byte(&self) {
        self.told.first_byte(self.set().plan().clock.now());
    }

    /// Says how the attempt that this permit was for has ended: once, what is said later is not heard. The permit stays
    /// good until it is dropped; one that is dropped without a verdict says nothing of the service.
    ///
    /// The set counts it and tells its [controller](crate::LimitSetBuilder::adaptive); a
    /// [`RateLimited`](Verdict::RateLimited) that names a wait pauses the whole set for as long. Everybody who shares the
    /// set is held up by that, and nobody else: a set is a quota group. All of it is one step, so nobody is admitted
    /// between a refusal and the closed gate. A refusal of an attempt that began before the latest cut closes the gate
    /// too, but does not cut again.
    ///
    /// A set that lives elsewhere is paused for everybody who shares it, and so is what it learns. Where its backend cannot be
    /// told, nobody hears of it.
    ///
    /// ```
    /// use paceline::{LimitSet, Verdict};
    /// use std::time::Duration;
    ///
    /// let api = LimitSet::builder("api").concurrency(8).build()?;
    /// let permit = api.try_acquire(())?;
    /// // … the service answers 429, with `Retry-After: 20` …
    /// permit.report(Verdict::RateLimited { retry_after: Some(Duration::from_secs(20)) });
    /// drop(permit);
    /// assert!(api.try_acquire(()).unwrap_err().retry_after() > Some(Duration::from_secs(19)));
    /// # Ok::<(), paceline::Error>(())
    /// ```
    pub fn report(&self, verdict: Verdict) {
        match (&*self.held, &self.set().0) {
            (Held::Local { grant, .. }, Store::Local(local)) => local.report(grant.at, &self.told, verdict),
            (Held::Remote(permit), Store::Remote(remote)) => remote.report(permit, &self.told, verdict),
            _ => {}
        }
    }

    /// Gives it back as if it had never been: its rates get back what they still can.
    pub(crate) fn undo(mut self) {
        match (self.take(), &self.set().0) {
            (Held::Local { grant, corrected }, Store::Local(local)) => {
                local.undo(corrected.into_inner().map_or(grant, |corrected| corrected.into_inner()));
            }
            (Held::Remote(permit), _) => permit.settle(permit.nothing()),
            _ => {}
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
        match self.take() {
            Held::Remote(permit) => permit.release().await.map_err(|error| error.of(self.set())),
            held => {
                self.held = ManuallyDrop::new(held);
                Ok(())
            }
        }
    }

    /// A permit of its own, which can outlive the borrow of its set.
    pub fn into_owned(mut self) -> Permit<'static> {
        let held = self.take();
        let (set, told) = (Cow::Owned(self.set().clone()), std::mem::take(&mut self.told));
        Permit { set, held: ManuallyDrop::new(held), past: self.past, told }
    }

    /// The set that granted it: of a pool, the member.
    #[must_use]
    pub fn set(&self) -> &LimitSet {
        &self.set
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
        Ok(match &*self.held {
            Held::Local { grant, corrected } => {
                let corrected = corrected.get().map(|corrected| corrected.lock());
                corrected.as_deref().unwrap_or(grant).charged.units(index).unwrap_or(0)
            }
            Held::Remote(permit) => permit.charged(index),
            Held::Nothing => 0,
        })
    }

    /// How long it was waited for.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.past.as_ref().map_or(Duration::ZERO, |past| self.admitted_at().since(past.asked))
    }

    /// The instant of admission, on the set's clock.
    #[must_use]
    pub fn admitted_at(&self) -> Time {
        match &*self.held {
            Held::Local { grant, .. } => grant.at,
            Held::Remote(permit) => permit.admitted_at(),
            Held::Nothing => Time::ZERO,
        }
    }

    /// When its call first asked, for a retry to keep: [`Request::arrived`](crate::Request::arrived).
    #[must_use]
    pub fn arrival(&self) -> Arrival {
        self.past.as_ref().map_or_else(|| first(self.admitted_at()), |past| past.arrival)
    }
}

impl Permit<'_> {
    /// What it holds; nothing is left.
    fn take(&mut self) -> Held {
        std::mem::replace(&mut *self.held, Held::Nothing)
    }

    #[cold]
    fn drop_held(&mut self) {
        if let (Held::Local { grant, corrected }, Store::Local(local)) = (self.take(), &self.set().0) {
            local.release(&corrected.into_inner().map_or(grant, |corrected| corrected.into_inner()));
        }
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        match (&mut *self.held, &self.set.0) {
            (Held::Local { grant, corrected }, Store::Local(local)) => {
                if corrected.get_mut().is_some() || !grant.charged.is_inline() {
                    return self.drop_held();
                }
                local.release(grant);
            }
            _ => self.drop_held(),
        }
    }
}

/// Labels as they were given.
pub(crate) fn lookup<'a>(config: &'a [(Arc<str>, Arc<str>)], name: &str) -> Option<&'a str> {
    config.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
}
