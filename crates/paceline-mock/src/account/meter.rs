//! One limit: what it enforces, and the fullest window it ever saw.

use std::time::Duration;

use super::bucket::Bucket;
use super::window::Window;
use super::{Reading, Room};
use crate::{LimitKey, LimitStats, MockLimit};

#[derive(Debug)]
pub(super) struct Meter {
    limit: MockLimit,
    rule: Rule,
    /// What was admitted, whatever the rule: `worst` is judged by the strict window even where a bucket decides.
    admitted: Window,
    worst: u128,
}

/// What decides.
#[derive(Debug)]
enum Rule {
    /// The window of admitted charges.
    Admitted,
    /// A window of admitted charges and of refusals.
    AndRefused(Window),
    Bucket(Bucket),
}

impl Meter {
    pub(super) fn new(limit: MockLimit, bucket: Option<u64>, count_refused: bool) -> Self {
        let rule = match bucket {
            Some(size) => Rule::Bucket(Bucket::new(size, limit.amount, limit.window)),
            None if count_refused && limit.key == LimitKey::Requests => Rule::AndRefused(Window::new(limit.window)),
            None => Rule::Admitted,
        };
        Meter { limit, rule, admitted: Window::new(limit.window), worst: 0 }
    }

    pub(super) fn limit(&self) -> MockLimit {
        self.limit
    }

    pub(super) fn advance(&mut self, now: Duration) {
        self.admitted.advance(now);
        match &mut self.rule {
            Rule::Admitted => {}
            Rule::AndRefused(window) => window.advance(now),
            Rule::Bucket(bucket) => bucket.advance(now),
        }
    }

    /// Whether `units` fit at `now`, to which it has been advanced.
    pub(super) fn room(&self, now: Duration, units: u64) -> Room {
        let most = match &self.rule {
            Rule::Bucket(bucket) => bucket.size(),
            Rule::Admitted | Rule::AndRefused(_) => self.limit.amount,
        };
        if units > most {
            return Room::Never;
        }
        let wait = match &self.rule {
            Rule::Admitted => self.admitted.until_used_at_most(most - units, now),
            Rule::AndRefused(window) => window.until_used_at_most(most - units, now),
            Rule::Bucket(bucket) => bucket.until_holds(units),
        };
        if wait.is_zero() { Room::Now } else { Room::In(wait) }
    }

    pub(super) fn admit(&mut self, now: Duration, units: u64) {
        self.admitted.enter(now, units);
        self.worst = self.worst.max(self.admitted.used());
        self.charge(now, units);
    }

    /// Charges a refused call's request, without counting it as admitted.
    pub(super) fn refuse(&mut self, now: Duration) {
        if self.limit.key == LimitKey::Requests {
            self.charge(now, 1);
        }
    }

    fn charge(&mut self, now: Duration, units: u64) {
        match &mut self.rule {
            Rule::Admitted => {}
            Rule::AndRefused(window) => window.enter(now, units),
            Rule::Bucket(bucket) => bucket.drain(units),
        }
    }

    pub(super) fn reading(&self, now: Duration) -> Reading {
        let left = |window: &Window| {
            let used = u64::try_from(window.used()).unwrap_or(u64::MAX);
            (self.limit.amount.saturating_sub(used), window.until_empty(now))
        };
        let (remaining, until_full) = match &self.rule {
            Rule::Admitted => left(&self.admitted),
            Rule::AndRefused(window) => left(window),
            Rule::Bucket(bucket) => (bucket.remaining(), bucket.until_holds(bucket.size())),
        };
        Reading { limit: self.limit, remaining, until_full }
    }

    pub(super) fn stats(&self) -> LimitStats {
        LimitStats {
            amount: self.limit.amount,
            window: self.limit.window,
            worst: u64::try_from(self.worst).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn forget_worst(&mut self) {
        self.worst = 0;
    }
}
