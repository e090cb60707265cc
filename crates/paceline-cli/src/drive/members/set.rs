//! The limit set of a quota group.

use std::sync::Arc;
use std::time::Duration;

use paceline::backend::Remote;
use paceline::{Clock, CubicRate, Error, LimitSet, LimitSetBuilder, Pacing};

use crate::endpoint::Group;
use crate::limits::Counted;
use crate::waits::Waits;

/// Services that refill evenly do so by the minute at most. In a longer window the first requests may all go at once: with
/// an even pace instead, the second of a day's thousand would wait for a minute and a half.
const LONGEST_PACED: Duration = Duration::from_secs(60);

/// One of this process: it learns from the answers what was not stated.
pub(super) fn alone(group: &Group, clock: &Clock, waits: &Arc<Waits>) -> Result<LimitSet, Error> {
    let mut set = stated(&group.name, group, clock, waits).find_limits();
    for limit in group.limits.iter().filter(|limit| limit.guard_grows) {
        let (name, quota) = (&*limit.name, limit.quota());
        // A demand of many units would not fit a small burst, and nobody refills a day's quota evenly.
        let paced = limit.counted == Counted::Requests && limit.window <= LONGEST_PACED;
        let pacing = if paced { Pacing::new(quota) } else { Pacing::steady(quota) };
        set = set.pacing(name, pacing.expect("checked when the limits were merged"));
    }
    match group.concurrency.controller()? {
        Some(controller) => set.adaptive(controller).adaptive_rate(CubicRate::default()).build(),
        None => set.concurrency(group.concurrency.most()).build(),
    }
}

/// One that other processes know by that name. What it is has to be the same for all of them, so nothing of it is found out.
pub(super) fn shared(
    name: &str,
    group: &Group,
    clock: &Clock,
    waits: &Arc<Waits>,
    backend: Arc<dyn Remote>,
) -> Result<LimitSet, Error> {
    stated(name, group, clock, waits).concurrency(group.concurrency.most()).backend(backend).build()
}

fn stated(name: &str, group: &Group, clock: &Clock, waits: &Arc<Waits>) -> LimitSetBuilder {
    let hook = Arc::clone(waits);
    let set = LimitSet::builder(name)
        .clock(clock.clone())
        .on_wait(move |waiting| hook.begin(waiting.limit.as_deref()));
    group.limits.iter().fold(set, |set, limit| match limit.counted {
        Counted::Requests => set.calls_as(&*limit.name, limit.quota()),
        _ => set.rate(&*limit.name, limit.quota()),
    })
}
