//! The limit set of a quota group.

use std::sync::Arc;
use std::time::Duration;

use paceline::backend::Remote;
use paceline::{Clock, CubicRate, Error, LimitSet, LimitSetBuilder, Pacing};

use crate::endpoint::Group;
use crate::job::Concurrency;
use crate::limits::Counted;
use crate::waits::Waits;

/// Services that refill evenly do so by the minute at most. In a longer window the first requests may all go at once: with
/// an even pace instead, the second of a day's thousand would wait for a minute and a half.
const LONGEST_PACED: Duration = Duration::from_secs(60);

/// One of this process: it finds out from the answers what was not stated.
pub(super) fn alone(group: &Group, clock: &Clock, waits: &Arc<Waits>) -> Result<LimitSet, Error> {
    let set = stated(&group.name, group, clock, waits)?.find_limits();
    match group.concurrency {
        Concurrency::Fixed(_) => set.build(),
        Concurrency::Adaptive { .. } => set.adaptive_rate(CubicRate::default()).build(),
    }
}

/// One that other processes know by that name. What it is has to be the same for all of them, so no limit of it is found out.
pub(super) fn shared(
    name: &str,
    group: &Group,
    clock: &Clock,
    waits: &Arc<Waits>,
    backend: Arc<dyn Remote>,
) -> Result<LimitSet, Error> {
    stated(name, group, clock, waits)?.backend(backend).build()
}

fn stated(name: &str, group: &Group, clock: &Clock, waits: &Arc<Waits>) -> Result<LimitSetBuilder, Error> {
    let hook = Arc::clone(waits);
    let mut set =
        LimitSet::builder(name).clock(clock.clone()).on_wait(move |waiting| hook.begin(waiting.limit.as_deref()));
    for limit in &group.limits {
        let (name, quota) = (&*limit.name, limit.quota());
        set = match limit.counted {
            Counted::Requests => set.calls_as(name, quota),
            _ => set.rate(name, quota),
        };
        if limit.guard_grows {
            // A demand of many units would not fit a small burst, and nobody refills a day's quota evenly.
            let paced = limit.counted == Counted::Requests && limit.window <= LONGEST_PACED;
            let pacing = if paced { Pacing::new(quota) } else { Pacing::steady(quota) };
            set = set.pacing(name, pacing.expect("checked when the limits were merged"));
        }
    }
    Ok(match group.concurrency.controller()? {
        Some(controller) => set.adaptive(controller),
        None => set.concurrency(group.concurrency.most()),
    })
}
