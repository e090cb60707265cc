//! How far a service's count is ahead of ours, as its answers show it.
//!
//! An answer tells what was left when its call arrived. By now others have left the window and others have been admitted,
//! so it is held against what was left here when that same call was admitted: a gap there is what somebody else used, or an
//! earlier run. Calls that are on their way together arrive in any order, and each may be counted before its elders. That
//! makes gaps too, of a few units each and as many that are none; taken at their word they would cost a unit or more of
//! every window. So the least gap counts among as many answers as there are calls in flight: one call at a time is believed
//! at once.

use std::collections::VecDeque;

use paceline_core::{LimitView, ServerState, Time};
use parking_lot::Mutex;

use crate::pipeline::Attempt;
use crate::set::{LimitSet, Snapshot};

/// More answers than this are not waited for, however many calls are in flight.
const MOST: usize = 64;

/// What was seen of each limit lately.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<Vec<Seen>>);

#[derive(Debug)]
struct Seen {
    set: LimitSet,
    key: Box<str>,
    /// Calls that were admitted up to then do not know of the latest correction.
    corrected: Time,
    latest: VecDeque<Answer>,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    gap: u64,
    /// Calls in flight when it came, its own included.
    together: usize,
}

impl Ahead {
    /// Takes the service's word on the limit `key`; `before` is how its set stood when the attempt was admitted.
    pub(super) fn sync(&self, attempt: &Attempt, before: &Snapshot, key: &str, state: ServerState) {
        let set = attempt.set();
        // Fails only where the set lives elsewhere, and then there is nothing to correct here.
        if set.sync(key, ServerState { remaining: None, ..state }).is_err() {
            return;
        }
        let Some(gap) = before.limit(key).and_then(|view| gap(view, &state)) else { return };
        let now = set.snapshot();
        let together = usize::try_from(now.active).unwrap_or(MOST);
        let (Some(here), Some(missing)) = (now.limit(key), self.note(attempt, key, together, gap)) else { return };
        tracing::debug!(set = set.name(), key, missing, "the service has counted more than was admitted here");
        let remaining = Some(here.available.saturating_sub(missing));
        let _ = set.sync(key, ServerState { limit: None, remaining, ..state });
    }

    /// What is certainly missing here, if anything is.
    fn note(&self, attempt: &Attempt, key: &str, together: usize, gap: u64) -> Option<u64> {
        let mut all = self.0.lock();
        let at = all.iter().position(|seen| *seen.key == *key && seen.set.is(attempt.set())).unwrap_or_else(|| {
            all.push(Seen::new(attempt.set(), key));
            all.len() - 1
        });
        let seen = &mut all[at];
        if attempt.admitted_at() <= seen.corrected && seen.corrected > Time::ZERO {
            return None;
        }
        let missing = seen.push(together, gap)?;
        seen.corrected = attempt.set().plan().clock.now();
        Some(missing)
    }
}

impl Seen {
    fn new(set: &LimitSet, key: &str) -> Self {
        Self { set: set.clone(), key: key.into(), corrected: Time::ZERO, latest: VecDeque::new() }
    }

    /// The least gap, once there are enough of them.
    fn push(&mut self, together: usize, gap: u64) -> Option<u64> {
        self.latest.push_back(Answer { gap, together: together.clamp(1, MOST) });
        // The last answers of a burst find few in flight, and are of that burst all the same.
        while self.latest.len() > self.together() {
            self.latest.pop_front();
        }
        let least = self.latest.iter().map(|answer| answer.gap).min()?;
        if self.latest.len() < self.together() || least == 0 {
            return None;
        }
        self.latest.clear();
        Some(least)
    }

    fn together(&self) -> usize {
        self.latest.iter().map(|answer| answer.together).max().unwrap_or(1)
    }
}

/// Units that were left here and not there.
fn gap(before: &LimitView, state: &ServerState) -> Option<u64> {
    let allowed = state.limit.map_or(u64::MAX, |limit| limit.saturating_sub(before.used));
    Some(before.available.min(allowed).saturating_sub(state.remaining?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> Seen {
        Seen::new(&LimitSet::builder("api").concurrency(1).build().unwrap(), "calls")
    }

    #[test]
    fn one_call_at_a_time_is_believed_at_once() {
        let mut seen = seen();
        assert_eq!((seen.push(1, 0), seen.push(1, 7)), (None, Some(7)));
    }

    #[test]
    fn calls_that_overtake_each_other_are_no_foreign_use() {
        let mut seen = seen();
        // Five admitted together, arriving in the reverse order: the first sees the others counted before it.
        let gaps = [4, 3, 2, 1, 0];
        assert!(gaps.iter().cycle().take(50).all(|gap| seen.push(5, *gap).is_none()));
        let found: Vec<_> = gaps.iter().filter_map(|gap| seen.push(5, gap + 9)).collect();
        assert_eq!(found, [9], "and what somebody else used is found among them");
    }

    #[test]
    fn the_last_answers_of_a_burst_still_count_as_of_one() {
        let mut seen = seen();
        let found: Vec<_> = (1..=9).rev().filter_map(|in_flight| seen.push(in_flight, in_flight as u64 - 1)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}
