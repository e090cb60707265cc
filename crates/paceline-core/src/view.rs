//! What a monitor can see of a set.

use std::time::Duration;

use crate::quota::Quota;

/// One limit as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitView {
    /// A rate with the quota in force, or a resource.
    pub kind: LimitKind,
    /// The most that one demand can ask for.
    pub capacity: u64,
    /// Units that stand charged, or are in use.
    pub used: u64,
    /// Units that could be charged at once.
    pub available: u64,
    /// Units beyond what is allowed: overruns, or permits out above a shrunken capacity.
    pub debt: u64,
}

impl LimitView {
    /// Used units as a share of what can be used: 1 is full, more is debt.
    #[must_use]
    pub fn fill(&self) -> f64 {
        let whole = (self.used + self.available).saturating_sub(self.debt).max(1);
        // For people to look at; no decision rests on it.
        self.used as f64 / whole as f64
    }
}

/// Which sort of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Units per period, by the quota in force.
    Rate(Quota),
    /// Units at once.
    Resource,
}

/// A whole set as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Its limits, by index.
    pub limits: Vec<LimitView>,
    /// Demands that wait.
    pub waiting: usize,
    /// Demands granted so far.
    pub granted: u64,
    /// How long the gate stays closed, if it is.
    pub paused: Option<Duration>,
    /// Whether it was closed for good.
    pub closed: bool,
}
