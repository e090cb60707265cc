//! What a member learns for itself, and what it says of it: how carefully the quotas of a shared set are to be counted.
//!
//! Round trips and lateness are a member's own, so each paces by its own attempts and tells the backend the outcome. What it
//! cannot tell, since the backend is away, it tells with the next attempt.

use std::sync::Arc;

use paceline_core::{Index, Quota, QuotaError, Sample, Time, Verdict};

use super::{Change, Home, RemotePermit, RemoteSet, Report};
use crate::adapt::{Pace, Told};
use crate::error::Error;

/// How this member paces each quota that is paced.
#[derive(Debug, Default)]
pub(super) struct Paces {
    each: Vec<Pace>,
    /// Somebody tells the backend: of two who do, the later could be heard first.
    telling: bool,
    /// The backend could not be told.
    owing: bool,
}

impl Paces {
    pub(super) fn new(each: Vec<Pace>) -> Self {
        Self { each, ..Self::default() }
    }

    /// What the backend does not know yet.
    fn news(&mut self) -> Vec<(Index, Quota)> {
        let changed: Vec<_> = self.each.iter_mut().filter_map(Pace::changed).collect();
        if std::mem::take(&mut self.owing) { self.each.iter().map(Pace::in_force).collect() } else { changed }
    }
}

impl RemoteSet {
    /// The attempt of a permit ended so.
    pub(crate) fn report(&self, permit: &RemotePermit, told: &Told, verdict: Verdict) {
        let (Some(first_byte), Ok(home)) = (told.end(), self.home()) else { return };
        let (began, now) = (permit.admitted_at(), self.plan.clock.now());
        let duration = first_byte.unwrap_or(now).since(began);
        let sample = Sample { verdict, began, duration, in_flight: 1 };
        let explained = self.paces.lock().each.iter_mut().fold(false, |explained, pace| {
            let explains = pace.update(&sample, now);
            explained | explains
        });
        home.report(permit.id(), Report { verdict, duration, explained });
        self.tell(home);
    }

    /// A request that was admitted at `admitted` is on its way only now.
    pub(crate) fn sent(&self, admitted: Time) {
        if self.plan.described.paces() {
            let now = self.plan.clock.now();
            self.paces.lock().each.iter_mut().for_each(|pace| pace.late(now.since(admitted), now));
            self.home().iter().for_each(|home| self.tell(home));
        }
    }

    /// The service says what remains of a limit.
    pub(crate) fn heard(&self, limit: Index, remaining: Option<u64>) {
        self.paces.lock().each.iter_mut().for_each(|pace| pace.heard(limit, remaining));
    }

    /// Another quota is stated for a limit.
    pub(crate) fn requote(&self, limit: Index, quota: Quota) -> Result<(), Error> {
        let mut paces = self.paces.lock();
        let paced = paces.each.iter_mut().find(|pace| pace.is_of(limit));
        let restated = paced.map_or(Ok(quota), |pace| pace.restate(quota).map(|()| pace.first()));
        drop(paces);
        let named = |error: QuotaError| Error::limit(&self.name, &self.plan.keys()[usize::from(limit)], error);
        self.change(Change::Quota(limit, restated.map_err(named)?))?;
        self.tell(self.home()?);
        Ok(())
    }

    /// Forgets all that was learnt.
    pub(crate) fn unlearn(&self) -> Result<(), Error> {
        self.paces.lock().each.iter_mut().for_each(Pace::reset);
        self.change(Change::Unlearn)?;
        self.tell(self.home()?);
        Ok(())
    }

    /// Tells the backend what is new. Not under the lock: whom it wakes may end an attempt at once.
    fn tell(&self, home: &Arc<dyn Home>) {
        loop {
            let mut paces = self.paces.lock();
            if paces.telling {
                return;
            }
            let news = paces.news();
            if news.is_empty() {
                return;
            }
            paces.telling = true;
            drop(paces);
            let told = news.into_iter().map(|(limit, quota)| home.change(Change::Pace(limit, quota)));
            let owing = told.filter(Result::is_err).count() > 0;
            let mut paces = self.paces.lock();
            (paces.telling, paces.owing) = (false, owing);
            if owing {
                return;
            }
        }
    }
}
