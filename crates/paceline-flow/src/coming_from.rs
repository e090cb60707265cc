#![doc = include_str!("../docs/coming-from.md")]

#[cfg(doc)]
use crate::{
    Action, BatchFlow, BlockingNode, Cause, Context, Flow, FlowHandle, FlowStats, Graph, Limits, Node, NodeStats,
    Report,
};
#[cfg(doc)]
use paceline::{
    Aimd, Algorithm, Batch, BatchEvent, BatchProgress, Breaker, CallError, Choice, Execute, LimitPool, LimitSet,
    ManualClock, Permit, Pipeline, Quota, RateLimitHit, RateLimitPolicy, RateLimiter, Registry, Retry, Snapshot,
    Template, Worker, WorkerCall, WorkerOptions, until,
};
