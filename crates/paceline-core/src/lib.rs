//! The decisions of Paceline: what a limit allows, who is next, and when.
//!
//! Core reads no clock, does no I/O, knows no runtime and has no unsafe code: time is an argument and answers carry
//! relative waits. It cannot fail on the outside world, so every path through it can be tested with plain numbers. Most
//! people want the `paceline` crate, which adds the clock, the lock, waiting and the guards.
//!
//! Read it in this order: [`Quota`] (what is allowed), `algorithm` (four ways to count it), [`Limit`] (a rate or a
//! resource), [`Demand`] (what a call asks for), [`Set`] (limits acquired together, and who may pass whom), `queue`
//! (the waiting order). Beside them, [`headers`] reads what a service's answers say of its limits.
//!
//! ```
//! use paceline_core::{Arrival, Decision, Demand, Events, Limit, Order, Priority, Quota, Set, Time};
//! use std::time::Duration;
//!
//! let now = Time::ZERO;
//! let limits = [Limit::rate(Quota::per_minute(2), now)?, Limit::resource(8)?];
//! let mut set = Set::<()>::new(1, limits);
//! let order = |number| Order::new(Arrival { at: now, number }, Priority::Normal);
//! let mut events = Events::default();
//!
//! let mut demand: Demand = [(0, 2), (1, 1)].into_iter().collect();
//! assert_eq!(set.try_acquire(now, &mut demand, order(1), &mut events), Decision::Granted);
//! let mut next: Demand = [(0, 1)].into_iter().collect();
//! let wait = Decision::Wait(Duration::from_secs(60));
//! assert_eq!(set.try_acquire(now, &mut next, order(2), &mut events), wait);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adaptive;
mod algorithm;
mod breaker;
mod claim;
mod decision;
mod demand;
mod error;
pub mod headers;
pub mod image;
mod limit;
mod order;
mod queue;
mod quota;
mod resource;
mod returns;
mod server;
mod set;
mod time;
mod verdict;
mod view;

pub use adaptive::{
    Aimd, AimdBuilder, Controller, CubicRate, Gradient, GradientBuilder, Pacing, Sample, Vegas, VegasBuilder,
};
pub use breaker::{Breaker, BreakerBuilder, BreakerState, Pass};
pub use claim::Claim;
pub use decision::{Decision, Refusal};
pub use demand::{Demand, Grant, Index, Part};
pub use error::{ChangeError, ParameterError, QuotaError};
pub use limit::Limit;
pub use order::{Arrival, Order, Priority};
pub use queue::{Outcome, Party, Ticket, Waiter};
pub use quota::{Algorithm, Anchor, Quota};
pub use returns::Returns;
pub use server::{Reset, ServerState};
pub use set::{Events, Set};
pub use time::Time;
pub use verdict::Verdict;
pub use view::{LimitKind, LimitView, View};
