//! Ending a run when its time is over.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Bound, Bounds};
use crate::screen::{Screen, count};
use crate::stop::{Cause, Stop};
use crate::time;

/// What is in flight at the end may still be answered for this long; what is not is sent again by the next run. Less than
/// most answers take would throw away what is paid for, much more would be no deadline.
const GRACE: Duration = Duration::from_secs(30);

/// How often the clock is looked at: a machine that was suspended, or whose clock was set, is late by this at most.
const LOOK: Duration = Duration::from_secs(5);

/// Waits until the run's time is over and stops it. Never returns where it has all the time in the world.
pub(crate) async fn watch(bounds: Bounds, stop: Arc<Stop>, screen: Arc<Screen>, in_flight: impl Fn() -> u64) {
    let began = Instant::now();
    let bound = loop {
        match next(&bounds, began.elapsed(), Timestamp::now()) {
            None => return std::future::pending().await,
            Some((Duration::ZERO, bound)) => break bound,
            Some((left, _)) => tokio::time::sleep(left.min(LOOK)).await,
        }
    };
    stop.drain(Cause::Bound(bound));
    let reached = match bound {
        Bound::Elapsed(_) => "--max-elapsed is reached",
        _ => "--deadline is reached",
    };
    let waiting = match in_flight() {
        0 => String::new(),
        some => format!("; waiting {} at most for {} in flight", time::exact(GRACE), count(some, "request")),
    };
    screen.say(&format!("stopping: {reached}; nothing more is sent{waiting}"));
    tokio::time::sleep(GRACE).await;
    screen.say("aborting: what is in flight is dropped, and sent again by the next run");
    stop.abort(Cause::Bound(bound));
}

/// The bound that comes first, and how far away it is.
fn next(bounds: &Bounds, elapsed: Duration, now: Timestamp) -> Option<(Duration, Bound)> {
    let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
    let deadline = bounds.deadline.map(|at| (until(at), Bound::Deadline(at)));
    let length = bounds.elapsed.map(|most| (most.saturating_sub(elapsed), Bound::Elapsed(most)));
    deadline.into_iter().chain(length).min_by_key(|(left, _)| *left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Progress;

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_at_the_end_has_a_while() {
        let hour = Duration::from_secs(3_600);
        let (stop, screen) = (Arc::<Stop>::default(), Arc::new(Screen::new(Progress::None, true)));
        let bounds = Bounds { elapsed: Some(hour), ..Bounds::default() };
        let began = Instant::now();
        let watching = tokio::spawn(watch(bounds, Arc::clone(&stop), screen, || 1));
        stop.draining().await;
        assert!(began.elapsed().abs_diff(hour) < Duration::from_millis(10));
        assert_eq!(stop.cause(), Some(&Cause::Bound(Bound::Elapsed(hour))));
        stop.aborting().await;
        assert!(began.elapsed().abs_diff(hour + GRACE) < Duration::from_millis(20));
        watching.await.unwrap();
    }

    #[test]
    fn the_nearer_bound_counts() {
        let now = Timestamp::UNIX_EPOCH;
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        let bounds = Bounds { deadline: Some(now + hour), elapsed: Some(2 * hour), ..Bounds::default() };
        assert_eq!(next(&bounds, minute, now), Some((hour, Bound::Deadline(now + hour))));
        assert_eq!(next(&bounds, 2 * hour, now), Some((Duration::ZERO, Bound::Elapsed(2 * hour))));
        assert_eq!(next(&bounds, minute, now + 2 * hour), Some((Duration::ZERO, Bound::Deadline(now + hour))));
        assert_eq!(next(&Bounds::default(), hour, now), None);
    }
}
