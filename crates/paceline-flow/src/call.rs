//! One attempt at an item: the permits it holds, and what it was told.

use std::sync::Arc;
use std::time::Duration;

use paceline::{Arrival, JointPermit, LimitKind, LimitSet, Named, Permit, ServerState, Verdict};
use parking_lot::Mutex;

/// What an attempt holds.
#[derive(Debug)]
pub(crate) struct Held {
    /// Of its slot.
    pub(crate) own: Option<Permit<'static>>,
    /// Of what is shared.
    pub(crate) lent: Lent,
}

/// What an attempt holds of what its node shares with others.
#[derive(Debug)]
pub(crate) enum Lent {
    Nothing,
    One(Permit<'static>),
    /// Several, and the place of the one that serves the call.
    Joint(JointPermit, usize),
}

impl Lent {
    pub(crate) fn joint(permit: JointPermit, serving: &LimitSet) -> Self {
        let serving = permit.permits().iter().position(|part| part.set().is(serving)).unwrap_or_default();
        Self::Joint(permit, serving)
    }

    /// When it first asked, where a retry can keep that.
    pub(crate) fn arrival(&self) -> Option<Arrival> {
        match self {
            Self::One(permit) => Some(permit.arrival()),
            Self::Nothing | Self::Joint(..) => None,
        }
    }

    fn permits(&self) -> &[Permit<'static>] {
        match self {
            Self::Nothing => &[],
            Self::One(permit) => std::slice::from_ref(permit),
            Self::Joint(joint, _) => joint.permits(),
        }
    }
}

impl Held {
    fn permits(&self) -> impl Iterator<Item = &Permit<'static>> {
        self.own.iter().chain(self.lent.permits())
    }

    /// The arrival that a retry keeps.
    pub(crate) fn arrival(&self) -> Option<Arrival> {
        self.lent.arrival().or_else(|| self.own.as_ref().map(Permit::arrival))
    }

    /// Gives it back as if it had never been: rates get back what they still can.
    pub(crate) fn undo(self) {
        for permit in self.permits() {
            let limits = permit.set().snapshot().limits;
            for limit in limits.iter().filter(|limit| matches!(limit.view.kind, LimitKind::Rate(_))) {
                // Only what was charged: naming the others would put them into the demand.
                if permit.charged(&limit.key).is_ok_and(|units| units > 0) {
                    let _ = permit.settle([(&limit.key, 0)]);
                }
            }
        }
    }
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

    /// How long it was waited for, at the most of its sets.
    pub(crate) fn waited(&self) -> Duration {
        self.held.permits().map(Permit::waited).max().unwrap_or_default()
    }

    fn serving(&self) -> Option<&Permit<'static>> {
        match &self.held.lent {
            Lent::Nothing => self.held.own.as_ref(),
            Lent::One(permit) => Some(permit),
            Lent::Joint(joint, serving) => joint.permits().get(*serving),
        }
    }

    pub(crate) fn served_by(&self) -> Option<&LimitSet> {
        self.serving().map(Permit::set)
    }

    /// Corrects each key on every set that has it.
    pub(crate) fn settle<'k>(&self, actual: impl IntoIterator<Item = (&'k str, u64)>) -> Result<(), paceline::Error> {
        for (key, units) in actual {
            let mut unknown = None;
            let mut settled = false;
            for permit in self.held.permits() {
                match permit.settle([(key, units)]) {
                    Ok(()) => settled = true,
                    Err(error) => unknown = Some(error),
                }
            }
            if let Some(error) = unknown.filter(|_| !settled) {
                return Err(error);
            }
        }
        Ok(())
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
        self.held.permits().for_each(|permit| permit.report(verdict));
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
