//! Nodes joined to graphs, run many at a time, under limits at every level.

mod action;
mod batch_flow;
mod call;
mod context;
mod effective;
mod error;
mod event;
mod failure;
mod flow;
mod graph;
mod lane;
mod limits;
mod nested;
mod node;
mod panics;
pub mod presets;
mod stage;
mod stats;
mod step;

pub use action::Action;
pub use batch_flow::{BatchFlow, BatchFlowBuilder, Ending, FlowHandle, FlowStats, Outcome, Report, Warning};
pub use context::{Context, Cx};
pub use error::Error;
pub use event::Event;
pub use failure::{BoxError, Cause, Failure, Result};
pub use flow::Flow;
pub use graph::{Graph, NodeId};
pub use limits::Limits;
pub use node::Node;
pub use stats::NodeStats;
