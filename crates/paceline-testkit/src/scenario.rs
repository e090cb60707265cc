//! What the controllers make of simulated services, held against an oracle that knows each service.
//!
//! A plain discrete-event simulation: seconds of a service take milliseconds, and a seed decides all that is random. The
//! clients are what Paceline does: core's [`Set`](paceline_core::Set) with a concurrency resource that a controller
//! resizes and, where a row names it, a rate that CUBIC or the pacing sets; retries that wait holding nothing; a gate
//! that closes on Retry-After. The services share no code with the engine.
//!
//! [`table`] has the rows of the design, each with its bar; [`Who`] runs them: ours, or a rival on the same seeds.

mod bar;
mod client;
mod outcome;
mod retry;
mod rivals;
mod service;
mod setup;
mod sim;
mod table;

use std::borrow::Cow;
use std::time::Duration;

pub use bar::Bar;
pub use outcome::{Answer, Outcome, Trace};
pub use rivals::{Seed, Vector};
pub use service::{Change, Latency, Rule, Service};
pub use setup::{Extra, Load, Setup};
pub use sim::run;
pub use table::{levels, table, told, troubles};

/// A service, its clients, and what is expected of ours.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// In the words of the design's table.
    pub name: Cow<'static, str>,
    /// The service at the start.
    pub service: Service,
    /// What becomes of it.
    pub changes: Vec<Change>,
    /// Who calls it.
    pub clients: Vec<Setup>,
    /// How long.
    pub lasts: Duration,
    /// What an oracle that knows the service would have answered successfully in that time.
    pub ideal: f64,
    /// What our controllers must reach on every seed.
    pub bars: Vec<Bar>,
}

impl Scenario {
    /// Successes as a share of the oracle's.
    #[must_use]
    pub fn goodput(&self, outcome: &Outcome) -> f64 {
        outcome.successes() as f64 / self.ideal
    }

    /// The bars that an outcome does not reach.
    #[must_use]
    pub fn missed(&self, outcome: &Outcome) -> Vec<Bar> {
        self.bars.iter().copied().filter(|bar| !bar.holds(self, outcome)).collect()
    }
}

/// Whose rules decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Paceline's, with the controllers that the row names.
    Ours,
    /// Vector's adaptive request concurrency.
    Vector,
    /// Netflix's Gradient2.
    Gradient,
    /// PocketFlow Throttled's adaptive node.
    Seed,
}

impl Who {
    /// Ours first.
    pub const ALL: [Self; 4] = [Self::Ours, Self::Vector, Self::Gradient, Self::Seed];

    /// As the table has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "paceline",
            Self::Vector => "vector",
            Self::Gradient => "gradient2",
            Self::Seed => "seed",
        }
    }
}
