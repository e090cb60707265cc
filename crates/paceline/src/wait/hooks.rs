//! Telling the owner of a set who waits for what.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::names::events;
use crate::telemetry::names::fields::SET;

/// A demand that begins to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The limit set.
    pub set: Arc<str>,
    /// The limit it waits for the longest; none where the set is paused or others go first.
    pub limit: Option<Arc<str>>,
    /// How long by what is known now; none where it depends on a permit coming back.
    pub expected: Option<Duration>,
    /// How many wait already.
    pub ahead: usize,
}

type Hook = dyn Fn(&Waiting) + Send + Sync;

/// What to call when a demand begins to wait.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Vec<Arc<Hook>>);

impl Hooks {
    pub(crate) fn push(&mut self, hook: impl Fn(&Waiting) + Send + Sync + 'static) {
        self.0.push(Arc::new(hook));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A hook that panics harms nobody: the wait goes on.
    pub(crate) fn call(&self, waiting: &Waiting) {
        for hook in &self.0 {
            if catch_unwind(AssertUnwindSafe(|| hook(waiting))).is_err() {
                tracing::warn!(name: events::HOOK_PANICKED, { { SET } = &*waiting.set }, "an on_wait hook panicked");
            }
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooks({})", self.0.len())
    }
}
