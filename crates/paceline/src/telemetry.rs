//! What Paceline tells of itself: spans, events and metrics, under the [names] of one file.
//!
//! **`tracing`**, all at debug level but for two warnings. Whoever has to wait for limits is in a span
//! [`paceline.wait`](names::spans::WAIT), beneath the span in which it asked. A call of a [`Pipeline`](crate::Pipeline)
//! is a span [`paceline.call`](names::spans::CALL), which has its waits and its attempts beneath it; what an attempt
//! does itself is within its own, [`paceline.attempt`](names::spans::ATTEMPT). A span without `waited`, or without
//! `verdict`, was given up before it came to one.
//!
//! **`metrics`**, with the feature of that name. What a set counts anyway is read from its
//! [`snapshot`](crate::LimitSet::snapshot) by an `Exporter`, whenever somebody wants to see it. What no count can show,
//! how waits and calls are spread, is a histogram: [`WAIT_SECONDS`](names::metrics::WAIT_SECONDS) and
//! [`CALL_SECONDS`](names::metrics::CALL_SECONDS).
//!
//! No label and no field has anything of a demand's or an answer's content: they are the names of sets and limits, how
//! attempts ended, and figures.
//!
//! # Cost
//!
//! Acquiring what is free, and giving it back, is told nobody and costs nothing more. A wait costs a span and an event,
//! and with the feature one look-up in the recorder; each attempt of a pipeline as much. Without a subscriber and a
//! recorder that is a look at an atomic for each.
//!
//! # Elsewhere
//!
//! Of a set that lives [elsewhere](crate::backend) an `Exporter` tells how all of it stands, for all who share it: so each
//! of them tells the same, which is not to be added up. Waits and attempts are this process's own. A wait for a round trip
//! to the store counts as one in [`WAIT_SECONDS`](names::metrics::WAIT_SECONDS), though nothing was lacking; it has no
//! span. `paceline_waited_total` stays at zero, since no backend counts that.

pub mod names;

#[cfg(feature = "metrics")]
mod exporter;
#[cfg(feature = "metrics")]
mod meter;
mod spans;
#[cfg(not(feature = "metrics"))]
mod unmetered;

#[cfg(feature = "metrics")]
pub use exporter::Exporter;
#[cfg(not(feature = "metrics"))]
use unmetered as meter;

pub(crate) use meter::retried;
pub(crate) use spans::{attempt, attempted, call, called, granted, wait};
