//! What each window is padded by, while the run goes.
//!
//! A service counts a request when it arrives, the limit set when it admits it. A fixed pad covers the network's jitter. On
//! top of it comes what this process itself adds, which can be seen: the time from a request's admission until its bytes
//! are handed to the connection. It is long for the first requests, which must connect, and whenever the machine is busy;
//! an interval between two requests shrinks by at most the lateness of the earlier one. So the pad is the fixed one plus
//! the greatest lateness among the requests that are in the window. A 429 within the known quota doubles the fixed one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline::{Clock, LimitSet, Time};

use crate::limits::Limit;

/// The pads of a run's limits.
pub(crate) struct Guards {
    set: LimitSet,
    clock: Clock,
    pads: Mutex<Vec<Pad>>,
}

struct Pad {
    limit: Limit,
    /// The greatest lateness, as two generations of at least a window each.
    since: Time,
    late: [Duration; 2],
    /// When a 429 last doubled the fixed part.
    raised: Option<Time>,
    applied: Duration,
}

impl Guards {
    /// For the limits of `set`; none where the pads are to stay as they were given.
    pub(crate) fn learning(set: &LimitSet, clock: Clock, limits: &[Limit]) -> Arc<Self> {
        let now = clock.now();
        let pad = |limit: &Limit| Pad {
            applied: limit.guard,
            limit: limit.clone(),
            since: now,
            late: [Duration::ZERO; 2],
            raised: None,
        };
        let pads = limits.iter().filter(|limit| limit.guard_grows).map(pad).collect();
        Arc::new(Self { set: set.clone(), clock, pads: Mutex::new(pads) })
    }

    /// The bytes of a request admitted then are on their way only now.
    pub(crate) fn left(&self, admitted: Time) {
        let now = self.clock.now();
        self.each(|pad| pad.late(now, now.since(admitted)));
    }

    /// The service refused a request that was within the quota.
    pub(crate) fn refused(&self) {
        let now = self.clock.now();
        self.each(|pad| pad.raise(now));
    }

    fn each(&self, change: impl Fn(&mut Pad)) {
        let mut pads = self.pads.lock().unwrap_or_else(PoisonError::into_inner);
        for pad in pads.iter_mut() {
            change(pad);
            let wanted = pad.wanted();
            if wanted != pad.applied {
                pad.applied = wanted;
                let quota = pad.limit.quota().guard(wanted);
                tracing::debug!(limit = pad.limit.name, guard = ?wanted, "the guard changes");
                self.set.set_quota(&*pad.limit.name, quota).expect("a limit of the set, with a longer pad");
            }
        }
    }
}

impl Pad {
    fn late(&mut self, now: Time, late: Duration) {
        if now.since(self.since) > self.limit.window.saturating_add(self.most()) {
            (self.since, self.late) = (now, [self.late[1], Duration::ZERO]);
        }
        self.late[1] = self.late[1].max(late);
    }

    /// Once a window, so that one burst of refusals counts as one.
    fn raise(&mut self, now: Time) {
        if self.raised.is_none_or(|at| now.since(at) > self.limit.window) {
            self.raised = Some(now);
            self.limit.guard = (self.limit.guard * 2).min(self.most());
        }
    }

    /// In whole milliseconds, so that small changes are none.
    fn wanted(&self) -> Duration {
        let late = self.late[0].max(self.late[1]).as_nanos().div_ceil(1_000_000).saturating_sub(1);
        let late = Duration::from_millis(u64::try_from(late).unwrap_or(u64::MAX));
        self.limit.guard.saturating_add(late).min(self.most().max(self.limit.guard))
    }

    /// A twentieth of the window, but no less than a busy machine needs.
    fn most(&self) -> Duration {
        (self.limit.window / 20).max(Duration::from_millis(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Time = Time::ZERO;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pad(window: Duration) -> Pad {
        let limit = crate::limits::merge(
            [
                vec![crate::limits::Stated {
                    limit: crate::limits::LimitFlag::window(crate::limits::Counted::Requests, 100, window),
                    by: "a test".into(),
                }],
                vec![],
                vec![],
            ],
            None,
        );
        let limit = limit.unwrap().remove(0);
        Pad { applied: limit.guard, limit, since: ZERO, late: [Duration::ZERO; 2], raised: None }
    }

    #[test]
    fn lateness_counts_for_a_window_and_is_forgotten_after() {
        let mut pad = pad(Duration::from_secs(10));
        assert_eq!(pad.wanted(), ms(50));
        pad.late(ZERO + ms(30), ms(30));
        assert_eq!(pad.wanted(), ms(50 + 29));
        pad.late(ZERO + ms(11_000), ms(2));
        assert_eq!(pad.wanted(), ms(50 + 29), "what came just before may still be in the window");
        pad.late(ZERO + ms(22_000), ms(2));
        assert_eq!(pad.wanted(), ms(50 + 1));
    }

    #[test]
    fn it_never_takes_more_than_a_twentieth() {
        let mut pad = pad(Duration::from_secs(10));
        pad.late(ZERO, Duration::from_secs(5));
        assert_eq!(pad.wanted(), ms(500));
        let mut short = self::pad(ms(500));
        short.late(ZERO, Duration::from_secs(5));
        assert_eq!(short.wanted(), ms(50));
    }

    #[test]
    fn a_burst_of_refusals_counts_once() {
        let mut pad = pad(Duration::from_secs(10));
        for at in [0, 1, 2] {
            pad.raise(ZERO + ms(at));
        }
        assert_eq!(pad.wanted(), ms(100));
        (1..9).for_each(|round| pad.raise(ZERO + Duration::from_secs(11 * round)));
        assert_eq!(pad.wanted(), ms(500));
    }
}
