//! One attempt at an item: the permits it holds, and what it was told.

use std::sync::Arc;
use std::time::Duration;

use paceline::{Amounts, JointPermit, LimitSet, Named, Permit, ServerState, Verdict};
use parking_lot::Mutex;

/// What an attempt holds.
#[derive(Debug)]
pub(crate) enum Held {
    Nothing,
    One(Permit<'static>),
    /// All of them at one instant; which of them serves the call.
    Joint(JointPermit, usize),
    /// A place of the node's own, and what a pool or a set that lives elsewhere has given within it.
    Within(Permit<'static>, Permit<'static>),
}

/// An attempt under way. Whoever still has a handle holds its permits: a thread that nobody can stop, say.
#[derive(Debug)]
pub(crate) struct Call {
    number: u32,
    held: Held,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    verdict: Option<Verdict>,
    retry_after: Option<Duration>,
    reported: bool,
}

impl Call {
    pub(crate) fn new(number: u32, held: Held) -> Arc<Self> {
        Arc::new(Self { number, held, told: Mutex::default() })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    fn permits(&self) -> impl Iterator<Item = &Permit<'static>> {
        let (first, second): (&[Permit<'static>], _) = match &self.held {
            Held::Nothing => (&[], None),
            Held::One(permit) => (std::slice::from_ref(permit), None),
            Held::Joint(joint, _) => (joint.permits(), None),
            Held::Within(own, permit) => (std::slice::from_ref(own), Some(permit)),
        };
        first.iter().chain(second)
    }

    /// How long it was waited for: the longest of its permits, which wait together, but for one that waits within another.
    pub(crate) fn waited(&self) -> Duration {
        match &self.held {
            Held::Within(own, permit) => own.waited() + permit.waited(),
            _ => self.permits().map(Permit::waited).max().unwrap_or_default(),
        }
    }

    fn serving(&self) -> Option<&Permit<'static>> {
        match &self.held {
            Held::Nothing => None,
            Held::One(permit) | Held::Within(_, permit) => Some(permit),
            Held::Joint(joint, serving) => joint.permits().get(*serving),
        }
    }

    pub(crate) fn served_by(&self) -> Option<&LimitSet> {
        self.serving().map(Permit::set)
    }

    pub(crate) fn settle(&self, actual: impl Amounts) -> Result<(), paceline::Error> {
        match &self.held {
            Held::Joint(joint, _) => joint.settle(actual),
            _ => self.serving().map_or(Ok(()), |permit| permit.settle(actual)),
        }
    }

    pub(crate) fn sync(&self, key: impl Named, state: ServerState) -> Result<(), paceline::Error> {
        self.serving().map_or(Ok(()), |permit| permit.sync(key, state))
    }

    /// The first word on how it ended counts.
    pub(crate) fn tell(&self, verdict: Verdict) {
        self.told.lock().verdict.get_or_insert(verdict);
    }

    pub(crate) fn retry_after(&self, wait: Duration) {
        self.told.lock().retry_after = Some(wait);
    }

    /// Ends it as it was told, or as `judged`: the verdict, and how long the service asks to wait.
    pub(crate) fn end(&self, judged: impl FnOnce() -> Verdict) -> (Verdict, Option<Duration>) {
        let told = self.told.lock().verdict;
        let judged = told.unwrap_or_else(judged);
        let mut told = self.told.lock();
        let verdict = *told.verdict.get_or_insert(judged);
        let retry_after = told.retry_after;
        told.reported = true;
        drop(told);
        self.report(verdict);
        (verdict, retry_after)
    }

    fn report(&self, verdict: Verdict) {
        self.permits().for_each(|permit| permit.report(verdict));
    }
}

impl Drop for Call {
    /// One that did not come to its end was cancelled.
    fn drop(&mut self) {
        if !self.told.get_mut().reported {
            self.report(Verdict::Cancelled);
        }
    }
}
