//! What became of one instance.

use std::sync::Arc;
use std::time::Duration;

use crate::action::Action;
use crate::failure::Failure;

/// What became of one instance of a batch flow.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Its place in the parameters, from 0.
    pub instance: u64,
    /// What the flow's [label](crate::BatchFlowBuilder::label) says of its parameters.
    pub label: Option<String>,
    /// How it ended.
    pub ending: Ending,
    /// How often it was begun: more than once where the flow [tries again](crate::BatchFlowBuilder::retry).
    pub attempts: u32,
    /// How long it waited for the flow's limits.
    pub waited: Duration,
}

/// How an instance ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ending {
    /// It came to its end.
    Completed {
        /// The last node.
        node: Arc<str>,
        /// What that said.
        action: Action,
    },
    /// A node failed for good.
    Failed(Failure),
    /// A node was refused for its rate and [handed that on](crate::Limits::propagate_rate_limit).
    RateLimited(Failure),
    /// It was given up: the flow was drained or cancelled, or its deadline passed.
    Cancelled {
        /// Whether it had begun.
        begun: bool,
    },
}

impl Outcome {
    /// Whether it came to its end.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        matches!(self.ending, Ending::Completed { .. })
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match &self.ending {
            Ending::Failed(failure) | Ending::RateLimited(failure) => Some(failure),
            Ending::Completed { .. } | Ending::Cancelled { .. } => None,
        }
    }
}

/// Where a walk through a graph ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) node: Arc<str>,
    pub(crate) action: Action,
}
