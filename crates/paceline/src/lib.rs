#![doc = include_str!("../README.md")]

mod adapt;
pub mod backend;
mod batch;
mod clock;
mod error;
mod execute;
mod joint;
mod key;
mod limiter;
mod local;
mod panics;
mod permit;
mod pipeline;
mod plan;
mod pool;
pub mod presets;
mod registry;
mod request;
mod resets;
mod retry;
mod set;
pub mod telemetry;
#[cfg(feature = "tower")]
pub mod tower;
mod wait;
mod worker;

pub use adapt::{Feedback, Verdicts};
pub use batch::{Batch, BatchEvent, BatchHandle, BatchItem, BatchProgress, BatchReport};
pub use clock::{Clock, ManualClock};
pub use error::Error;
pub use execute::{Execute, ExecutePlan, Executed, execute};
pub use joint::{Joint, JointAcquire, JointPermit};
pub use key::{Amounts, Key, Named};
pub use limiter::{OnFull, RateLimitPolicy, RateLimiter};
pub use paceline_core::headers;
pub use paceline_core::{
    Aimd, AimdBuilder, Algorithm, Anchor, Arrival, Breaker, BreakerBuilder, BreakerState, ChangeError, Controller,
    CubicRate, Gradient, GradientBuilder, LimitKind, LimitView, Pacing, ParameterError, Pass, Priority, Quota,
    QuotaError, Reset, Sample, ServerState, Time, Vegas, VegasBuilder, Verdict,
};
pub use permit::Permit;
pub use pipeline::{
    Attempt, Call, CallError, Outcome, Pipeline, PipelineBuilder, RateLimitHit, Source, by_error, until,
};
pub use pool::{Choice, LimitPool, LimitPoolBuilder, PoolAcquire};
pub use registry::Registry;
pub use request::Request;
pub use resets::ResetsAt;
pub use retry::{Retry, RetryBudget};
pub use set::{LimitSet, LimitSetBuilder, LimitSnapshot, Snapshot, Template};
pub use wait::{Acquire, Waiting};
pub use worker::{TaskWorkers, ThreadWorkers, Worker, WorkerCall, WorkerError, WorkerLimits, WorkerOptions};
