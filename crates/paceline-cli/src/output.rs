//! The results: one line each, written by a thread of its own in the order that was asked for.

mod compact;
mod disk;
mod line;
mod order;
mod resume;
mod retake;
mod sink;
mod writer;

pub(crate) use line::{Body, Origin, Reply, ResultId, ResultLine};
pub(crate) use retake::retake;
pub(crate) use sink::{Resumed, Sink};
pub(crate) use writer::{Outcome, Results, Written, spawn};
