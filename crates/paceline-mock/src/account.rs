//! The provider's accounting: what is admitted, what is refused, and what that leaves.
//!
//! A plain structure without clock, randomness or I/O: time is an argument, measured from any fixed origin, and must
//! not run backwards. One call's decision takes all limits at one instant, and costs O(limits), amortised, plus
//! O(log entries) for a refusal.

mod bucket;
mod meter;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

use meter::Meter;

use crate::{Charge, LimitKey, LimitStats, MockConfig, MockLimit};

/// Limits and calls in flight of a simulated provider.
#[derive(Debug)]
pub struct Account {
    meters: Vec<Meter>,
    count_refused: bool,
    concurrency: Option<u64>,
    in_flight: u64,
    peak_in_flight: u64,
}

/// The decision on one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Charged, and in flight until [`Account::leave`].
    Admitted,
    /// Not charged, except as [`MockConfig::count_refused`] says.
    Refused(Refusal),
}

/// Why a call was refused, and for how long it would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What refused it: of several limits, the one to wait for longest.
    pub cause: Cause,
    /// When the call would fit, if nothing else came; `None` if it never can. For concurrency, whose end nobody
    /// knows, a second.
    pub retry_after: Option<Duration>,
}

/// What refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Too many at once.
    Concurrency {
        /// How many may be.
        limit: u64,
    },
    /// Too many units in a window, or too few in a bucket.
    Limit {
        /// The limit as it stands after the refusal.
        reading: Reading,
        /// The units asked for.
        requested: u64,
    },
}

/// What a limit's headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The limit.
    pub limit: MockLimit,
    /// Units that would be admitted now.
    pub remaining: u64,
    /// Until nothing of it is used, if nothing else comes.
    pub until_full: Duration,
}

/// Whether a charge fits.
enum Room {
    Now,
    In(Duration),
    Never,
}

/// What a refusal for concurrency names as the time to wait.
const SLOT_WAIT: Duration = Duration::from_secs(1);

impl Account {
    /// The accounting that `config` describes, nothing charged yet.
    #[must_use]
    pub fn new(config: &MockConfig) -> Self {
        let meter = |&limit: &MockLimit| Meter::new(limit, config.bucket_for(limit.key), config.count_refused);
        Account {
            meters: config.limits.iter().map(meter).collect(),
            count_refused: config.count_refused,
            concurrency: config.concurrency,
            in_flight: 0,
            peak_in_flight: 0,
        }
    }

    /// Decides on a call that arrives at `now`: all limits at this instant, or none.
    pub fn arrive(&mut self, now: Duration, charge: Charge) -> Verdict {
        for meter in &mut self.meters {
            meter.advance(now);
        }
        if let Some(limit) = self.concurrency.filter(|&limit| self.in_flight >= limit) {
            self.count_refusal(now);
            return Verdict::Refused(Refusal { cause: Cause::Concurrency { limit }, retry_after: Some(SLOT_WAIT) });
        }
        if self.meters.iter().any(|meter| !matches!(meter.room(now, charge.units(meter.limit().key)), Room::Now)) {
            // Before the wait is computed, which the refusal itself may lengthen.
            self.count_refusal(now);
            return Verdict::Refused(self.refusal(now, charge));
        }
        for meter in &mut self.meters {
            meter.admit(now, charge.units(meter.limit().key));
        }
        self.in_flight += 1;
        self.peak_in_flight = self.peak_in_flight.max(self.in_flight);
        Verdict::Admitted
    }

    /// Ends an admitted call.
    pub fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// What each limit has left at `now`.
    #[must_use]
    pub fn readings(&mut self, now: Duration) -> Vec<Reading> {
        let read = |meter: &mut Meter| {
            meter.advance(now);
            meter.reading(now)
        };
        self.meters.iter_mut().map(read).collect()
    }

    /// Calls admitted that have not left.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The most calls that were in flight together.
    #[must_use]
    pub fn peak_in_flight(&self) -> u64 {
        self.peak_in_flight
    }

    /// Each limit's fullest window, by name: the key, and for a further limit of that key `key/window`, such as
    /// `requests/86400s`.
    #[must_use]
    pub fn limits(&self) -> BTreeMap<String, LimitStats> {
        let limits: Vec<MockLimit> = self.meters.iter().map(Meter::limit).collect();
        names(&limits).into_iter().zip(self.meters.iter().map(Meter::stats)).collect()
    }

    /// Starts the records (fullest windows, peak) anew; charges and calls in flight stay.
    pub fn forget_records(&mut self) {
        self.peak_in_flight = self.in_flight;
        for meter in &mut self.meters {
            meter.forget_worst();
        }
    }

    fn count_refusal(&mut self, now: Duration) {
        if self.count_refused {
            for meter in &mut self.meters {
                meter.refuse(now);
            }
        }
    }

    fn refusal(&self, now: Duration, charge: Charge) -> Refusal {
        let wait = |meter: &Meter| match meter.room(now, charge.units(meter.limit().key)) {
            Room::Now => Duration::ZERO,
            Room::In(wait) => wait,
            Room::Never => Duration::MAX,
        };
        let waits = self.meters.iter().map(|meter| (wait(meter), meter));
        let (wait, meter) = waits.max_by_key(|(wait, _)| *wait).expect("a meter had no room");
        Refusal {
            cause: Cause::Limit { reading: meter.reading(now), requested: charge.units(meter.limit().key) },
            retry_after: (wait != Duration::MAX).then_some(wait),
        }
    }
}

impl Reading {
    /// The reading that binds among those of `keys`: the least remaining share.
    pub(crate) fn tightest(readings: &[Reading], keys: &[LimitKey]) -> Option<Reading> {
        let share = |r: &Reading| u128::from(r.remaining) * u128::from(u32::MAX) / u128::from(r.limit.amount);
        readings.iter().filter(|r| keys.contains(&r.limit.key)).min_by_key(|r| share(r)).copied()
    }
}

/// A name for each limit: its key, and for a further limit of that key the window too.
pub(crate) fn names(limits: &[MockLimit]) -> Vec<String> {
    let name = |(index, limit): (usize, &MockLimit)| {
        let first = limits[..index].iter().all(|earlier| earlier.key != limit.key);
        if first { limit.key.to_string() } else { format!("{}/{}s", limit.key, limit.window.as_secs_f64()) }
    };
    limits.iter().enumerate().map(name).collect()
}
