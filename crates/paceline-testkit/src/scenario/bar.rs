//! What a row expects, as something that can be checked and said.

use std::fmt;
use std::time::Duration;

use paceline_core::Time;

use super::{Outcome, Scenario};

/// One expectation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Successes are at least this share of the oracle's.
    Goodput(f64),
    /// 429s are at most this share of all attempts.
    Throttled(f64),
    /// No 429 comes later than this.
    NoThrottleAfter(Duration),
    /// Never more in flight.
    InFlight(u64),
    /// The level stays within these bounds from the one instant to the other.
    Level {
        /// From here.
        from: Duration,
        /// To here.
        to: Duration,
        /// At least.
        low: u64,
        /// At most.
        high: u64,
    },
    /// The level never exceeds this.
    NeverAbove(u64),
    /// Exactly so many cuts.
    Cuts(u64),
    /// Successes a second reach this within the second before the instant.
    Speed {
        /// The instant.
        by: Duration,
        /// Successes a second.
        rate: f64,
    },
    /// Jain's fairness index of the clients' successes over the whole time.
    Fairness(f64),
}

impl Bar {
    /// Whether an outcome reaches it.
    #[must_use]
    pub fn holds(self, scenario: &Scenario, outcome: &Outcome) -> bool {
        match self {
            Self::Goodput(least) => scenario.goodput(outcome) >= least,
            Self::Throttled(most) => outcome.throttled() <= most,
            Self::NoThrottleAfter(after) => outcome.throttles().all(|at| at <= Time::ZERO + after),
            Self::InFlight(most) => outcome.traces.iter().all(|trace| trace.most_in_flight <= most),
            Self::Level { from, to, low, high } => outcome.traces.iter().all(|trace| {
                let range = trace.range(from, to);
                range.0 >= low && range.1 <= high
            }),
            Self::NeverAbove(most) => {
                let range = |trace: &super::Trace| trace.range(Duration::ZERO, scenario.lasts);
                outcome.traces.iter().all(|trace| range(trace).1 <= most)
            }
            Self::Cuts(cuts) => outcome.traces.iter().all(|trace| trace.cuts == cuts),
            Self::Speed { by, rate } => {
                let second = Duration::from_secs(1);
                let done: usize = (0..outcome.traces.len()).map(|it| outcome.between(it, by - second, by)).sum();
                done as f64 >= rate
            }
            Self::Fairness(least) => fairness(scenario, outcome) >= least,
        }
    }
}

/// (Σx)² / (n · Σx²): Jain, Chiu, Hawe, A quantitative measure of fairness, 1984.
fn fairness(scenario: &Scenario, outcome: &Outcome) -> f64 {
    let shares = (0..outcome.traces.len()).map(|it| outcome.between(it, Duration::ZERO, scenario.lasts) as f64);
    let (sum, squares) = shares.fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (outcome.traces.len() as f64 * squares)
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goodput(least) => write!(f, "goodput >= {:.0} %", least * 100.0),
            Self::Throttled(most) => write!(f, "429s <= {:.0} %", most * 100.0),
            Self::NoThrottleAfter(after) => write!(f, "no 429 after {after:?}"),
            Self::InFlight(most) => write!(f, "in flight <= {most}"),
            Self::Level { from, low, high, .. } if low == high => write!(f, "L = {low} from {from:?}"),
            Self::Level { from, low, high, .. } => write!(f, "L {low} to {high} from {from:?}"),
            Self::NeverAbove(most) => write!(f, "L <= {most}"),
            Self::Cuts(1) => write!(f, "1 cut"),
            Self::Cuts(cuts) => write!(f, "{cuts} cuts"),
            Self::Speed { by, rate } => write!(f, ">= {rate:.0}/s by {by:?}"),
            Self::Fairness(least) => write!(f, "fairness >= {least}"),
        }
    }
}
