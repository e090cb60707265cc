//! Every name under which Paceline tells of itself. They are promises: dashboards and alerts are written with them.

use paceline_core::Verdict;

/// Spans.
pub mod spans {
    /// A wait for limits, from asking to its end. Fields: `set` (of a pool, its name), `limit`, `expected` and `ahead`
    /// as [`Waiting`](crate::Waiting) has them, and once it is granted `waited`.
    pub const WAIT: &str = "paceline.wait";
    /// A call of a pipeline, its retries included. Fields: `source` (the set or pool), and when it is over `attempts`,
    /// `waited`, `backed_off` and the last `verdict`.
    pub const CALL: &str = "paceline.call";
    /// One attempt of a call, from its admission to its verdict. Fields: `set`, `attempt` (1 is the first), `verdict`.
    pub const ATTEMPT: &str = "paceline.attempt";
}

/// Events.
pub mod events {
    /// A demand begins to wait: what for is said by the span that it lies in, [`WAIT`](super::spans::WAIT).
    pub const WAITING: &str = "paceline.waiting";
    /// A hook of [`on_wait`](crate::LimitSetBuilder::on_wait) panicked; a warning. Field: `set`.
    pub const HOOK_PANICKED: &str = "paceline.hook_panicked";
    /// A call is going to be tried again. Fields: `source`, `attempts` so far, the last `verdict`, `wait`.
    pub const RETRYING: &str = "paceline.retrying";
    /// A breaker opened; a warning. Fields: `set`, and how long it is `left` alone.
    pub const BREAKER_OPENED: &str = "paceline.breaker_opened";
}

/// Fields of spans and events; the first three are the labels of metrics too. Times are in seconds.
pub mod fields {
    /// A limit set's name.
    pub const SET: &str = "set";
    /// A limit's key.
    pub const LIMIT: &str = "limit";
    /// How an attempt ended: [`verdict`](super::verdict).
    pub const VERDICT: &str = "verdict";
    /// The name of a set or a pool.
    pub const SOURCE: &str = "source";
    /// How long a wait will take, those ahead left aside, by what is known when it begins; none where that depends on a
    /// permit coming back.
    pub const EXPECTED: &str = "expected";
    /// How many wait already.
    pub const AHEAD: &str = "ahead";
    /// How long limits were waited for.
    pub const WAITED: &str = "waited";
    /// Which attempt of its call it is.
    pub const ATTEMPT: &str = "attempt";
    /// How many attempts there were.
    pub const ATTEMPTS: &str = "attempts";
    /// How long a call waited to try again.
    pub const BACKED_OFF: &str = "backed_off";
    /// How long it will wait to try again.
    pub const WAIT: &str = "wait";
    /// How long a breaker stays open.
    pub const LEFT: &str = "left";
}

/// Metrics. Those of sets are labelled with `set`, and what else they have is said.
pub mod metrics {
    /// Counter: demands granted.
    pub const ADMITTED: &str = "paceline_admitted_total";
    /// Counter: of those, how many had to wait.
    pub const WAITED: &str = "paceline_waited_total";
    /// Counter, also by `verdict`: attempts that ended so.
    pub const VERDICTS: &str = "paceline_verdicts_total";
    /// Counter: how often controllers cut.
    pub const CUTS: &str = "paceline_cuts_total";
    /// Counter: attempts of pipelines beyond their call's first.
    pub const RETRIES: &str = "paceline_retries_total";
    /// Gauge: permits that are out.
    pub const IN_FLIGHT: &str = "paceline_in_flight";
    /// Gauge: demands that wait.
    pub const WAITING: &str = "paceline_waiting";
    /// Gauge: who shares the set; one for a set of this process.
    pub const MEMBERS: &str = "paceline_members";
    /// Gauge: how many the controller lets be in flight; none without a controller.
    pub const LEVEL: &str = "paceline_level";
    /// Gauge: for how many seconds the gate stays closed; zero where it is open.
    pub const PAUSED: &str = "paceline_paused_seconds";
    /// Gauge, also by `limit`: units in use as a share of what can be used; 1 is full, more is debt.
    pub const FILL: &str = "paceline_limit_fill";
    /// Gauge, also by `limit`: the most units that one demand can ask for, by what is in force.
    pub const CAPACITY: &str = "paceline_limit_capacity";
    /// Histogram: seconds that those waited who had to and were granted.
    pub const WAIT_SECONDS: &str = "paceline_wait_seconds";
    /// Histogram, also by `verdict`: seconds from an attempt's admission to its verdict; where its value is still in
    /// use then, such as a body to be read, to its beginning.
    pub const CALL_SECONDS: &str = "paceline_call_seconds";
}

/// How a verdict is written, in fields and labels.
#[must_use]
pub const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Success => "success",
        Verdict::RateLimited { .. } => "rate_limited",
        Verdict::Overloaded => "overloaded",
        Verdict::Transient => "transient",
        Verdict::Permanent => "permanent",
        Verdict::Cancelled => "cancelled",
    }
}
