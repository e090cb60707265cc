//! Letting time pass on a set's own clock.
//!
//! A limit set whose one slot is taken for ever: whoever waits for it gets no further than to its deadline. So futures
//! and threads wait for time as they wait for limits, under a manual clock too, and one timer serves them all.

use std::time::Duration;

use crate::clock::Clock;
use crate::error::Error;
use crate::permit::Permit;
use crate::set::LimitSet;

#[derive(Debug)]
pub(crate) struct Timer {
    set: LimitSet,
    _taken: Permit<'static>,
}

impl Timer {
    pub(crate) fn new(name: &str, clock: &Clock) -> Result<Self, Error> {
        let set = LimitSet::builder(format!("{name}: trying again")).concurrency(1).clock(clock.clone()).build()?;
        let _taken = set.try_acquire(())?.into_owned();
        Ok(Self { set, _taken })
    }

    pub(crate) async fn wait(&self, time: Duration) -> Result<(), Error> {
        match time {
            Duration::ZERO => Ok(()),
            time => passed(self.set.request(()).within(time).acquire().await),
        }
    }

    pub(crate) fn wait_blocking(&self, time: Duration) -> Result<(), Error> {
        match time {
            Duration::ZERO => Ok(()),
            time => passed(self.set.request(()).within(time).acquire_blocking()),
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.set.snapshot().waiting
    }
}

fn passed(waited: Result<Permit<'_>, Error>) -> Result<(), Error> {
    match waited {
        Ok(_) | Err(Error::DeadlineExceeded { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
