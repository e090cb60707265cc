//! A demand with its terms: priority, deadline, first arrival.

use std::time::Duration;

use paceline_core::{Arrival, Demand, Priority, Time};

use crate::error::Error;
use crate::local::arrive;
use crate::permit::Permit;
use crate::set::LimitSet;
use crate::wait::Acquire;

/// How a demand wants to be treated.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    pub(crate) priority: Priority,
    pub(crate) deadline: Option<Duration>,
    pub(crate) arrival: Option<Arrival>,
}

impl Terms {
    /// When it first arrived: then, or now.
    pub(crate) fn arrived(&self, now: Time) -> Arrival {
        self.arrival.unwrap_or_else(|| arrive(now))
    }
}

/// A demand on a set that is about to be made: [`LimitSet::request`].
///
/// ```
/// use paceline::{LimitSet, Priority, Quota};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline::Error> {
/// let api = LimitSet::builder("api").calls(Quota::per_second(100)).build()?;
/// let permit = api.request(()).priority(Priority::High).within(Duration::from_secs(5)).acquire().await?;
/// # drop(permit); Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until one of its three verbs is called"]
pub struct Request<'a> {
    set: &'a LimitSet,
    demand: Result<Demand, Error>,
    terms: Terms,
}

impl<'a> Request<'a> {
    pub(crate) fn new(set: &'a LimitSet, demand: Result<Demand, Error>) -> Self {
        Self { set, demand, terms: Terms::default() }
    }

    /// Goes before less urgent demands, until those have waited [`Priority::HEAD_START`] longer a step.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.terms.priority = priority;
        self
    }

    /// Gives up after `deadline`; at once where it could not be met even if every permit that is out came back now.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.terms.deadline = Some(deadline);
        self
    }

    /// Takes the place of an earlier demand, as a retry does: see [`Permit::arrival`].
    pub fn arrived(mut self, arrival: Arrival) -> Self {
        self.terms.arrival = Some(arrival);
        self
    }

    /// Acquires now or not at all.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::try_acquire`].
    pub fn try_acquire(self) -> Result<Permit<'a>, Error> {
        self.set.try_with(self.demand?, &self.terms)
    }

    /// Waits its turn.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As [`Acquire`].
    pub fn acquire(self) -> Acquire<'a> {
        Acquire::new(self.set, self.demand, Some(Box::new(self.terms)))
    }

    /// Waits its turn on this thread.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::acquire_blocking`].
    pub fn acquire_blocking(self) -> Result<Permit<'a>, Error> {
        self.set.block_with(self.demand?, &self.terms)
    }
}
