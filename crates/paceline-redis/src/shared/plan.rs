//! What is to be done for a set next, and when.

use std::time::{Duration, Instant};

use paceline::backend::BackendError;
use paceline_core::Time;
use paceline_replica::Op;
use rand::Rng as _;

use super::batch::{Tag, Todo, tell};
use super::state::State;

/// How much later others look than the one who should, at least.
const LATER: Duration = Duration::from_millis(20);
/// How often those who wait ask what is new, should news have got lost; more or less.
const ASK: Duration = Duration::from_millis(250);
/// How long a member has to take note of what it was granted.
const SLOW: Duration = Duration::from_secs(2);

/// What is to be done now.
pub(super) enum Plan {
    Try,
    Rest(Instant),
    End,
}

impl State {
    pub(super) fn plan(&mut self, now: Instant) -> Plan {
        self.expire(now);
        let alone = self.pump_alone(now);
        let grace = self.pump_grace(now);
        if let Some(trouble) = &self.trouble {
            let (again, passes) = (trouble.again, trouble.passes);
            let overdue = self.give_up(now);
            // What is to be told may still be; the lease ends by itself.
            let until =
                self.closing.map(|since| if passes && self.has_to_tell() { since + self.response } else { since });
            if until.is_some_and(|until| until <= now) {
                return Plan::End;
            }
            if now < again {
                let times = [alone, overdue, until];
                return Plan::Rest(times.into_iter().flatten().fold(again, Instant::min));
            }
            return Plan::Try;
        }
        if !self.joined {
            return if self.closing.is_some() && self.todo.is_empty() { Plan::End } else { Plan::Try };
        }
        self.clear_stock(now);
        self.pass_slow_ones(now);
        let pump = self.pump_in(now);
        if pump == Some(Duration::ZERO) {
            self.later(Todo::Op(Op::Pump));
        }
        let ask = self.waits().then(|| self.renewed + rand::rng().random_range(ASK / 2..ASK));
        let goes = self.goes(now);
        if self.sent.is_some()
            || goes.is_some_and(|goes| goes <= now)
            || self.behind
            || self.closing.is_some()
            || self.away.is_some()
            || ask.is_some_and(|ask| ask <= now)
        {
            return Plan::Try;
        }
        let renew = self.renewed + self.lease / 3;
        if renew <= now {
            return Plan::Try;
        }
        let times = [ask, goes, grace, self.stock.next(), pump.map(|pump| now + pump)];
        Plan::Rest(times.into_iter().flatten().fold(renew, Instant::min))
    }

    /// How long until time decides something, as far as it is on us.
    fn pump_in(&self, now: Instant) -> Option<Duration> {
        let (then, mine) = self.due().filter(|_| self.waits())?;
        let at = self.store_time(now);
        // Where the first does not see to it, the others do, not all at once.
        let later = if mine { Duration::ZERO } else { rand::rng().random_range(LATER..2 * LATER) };
        Some(if then > at { then.since(at) + later } else { later.saturating_sub(at.since(then)) })
    }

    /// Lets others go before those who do not take note of what they were granted.
    fn pass_slow_ones(&mut self, now: Instant) {
        let Some(seen) = self.seen.as_ref().filter(|_| self.waits()) else { return };
        let then = seen.now(now).as_nanos().saturating_sub(SLOW.as_nanos() as u64);
        let me = self.me;
        for member in seen.replica.slow(Time::from_nanos(then)) {
            if member != me {
                self.later(Todo::Op(Op::PassBy(member)));
            }
        }
    }

    /// Has a member that goes say its last word, in its last batch. Whether that is on its way.
    pub(super) fn leave(&mut self) -> bool {
        let last = self.closing.is_some()
            && self.joined
            && self.away.is_none()
            && self.sent.is_none()
            && self.todo.len() < 1_024;
        if last {
            let clear = Todo::Op(Op::Clear(self.me));
            for grant in self.stock.all() {
                self.later(Todo::Undo(grant));
            }
            self.later(clear);
            self.leaving = true;
        }
        self.leaving
    }

    /// It is no member any more; whether all that was to be told has arrived.
    pub(super) fn left(&mut self, arrived: Result<(), BackendError>) {
        (self.joined, self.leaving) = (false, false);
        let tags = self.sent.take().map(|sent| sent.tags).unwrap_or_default();
        for tag in tags {
            match tag {
                Tag::Done(done) => tell(done, Ok(())),
                Tag::Mark(done) => tell(done, arrived.clone()),
                _ => {}
            }
        }
        for todo in std::mem::take(&mut self.todo) {
            match todo {
                Todo::Back(_, done) => tell(done, Ok(())),
                Todo::Mark(done) => tell(done, arrived.clone()),
                _ => {}
            }
        }
    }

    /// When time decides something next, and whether it is on this member to be in time.
    pub(super) fn due(&self) -> Option<(Time, bool)> {
        let seen = self.seen.as_ref()?;
        let (then, first) = seen.replica.next()?;
        Some((then, first == self.me))
    }
}
