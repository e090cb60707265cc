//! The task that keeps a set: it brings the store what is to be told and here what is new, keeps the lease, and keeps the
//! time while demands of this process wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use paceline::backend::BackendError;
use paceline_core::Time;
use paceline_replica::limits::difference;
use paceline_replica::{Member, Op, Replica};
use rand::Rng as _;
use redis::Value;

use super::Shared;
use super::apply::written;
use super::batch::Todo;
use super::own::Permit;
use super::state::{State, Trouble, somebody};
use crate::entry;
use crate::error::Error;
use crate::handle::described;
use crate::scripts::{Appended, Joined};

/// How much later others look than the one who should, at least.
const GRACE: Duration = Duration::from_millis(20);
/// How often those who wait ask what is new, should news have got lost; more or less.
const ASK: Duration = Duration::from_millis(250);
/// How long a member has to take note of what it was granted.
const SLOW: Duration = Duration::from_secs(2);
/// How many entries are left before an image, for those who are a little behind.
const LEFT: u64 = 256;
/// How soon to try again where the store cannot be used, at first and at last.
const SOONEST: Duration = Duration::from_millis(20);
pub(super) const LATEST: Duration = Duration::from_secs(1);
/// After how many failures in a row the store is away.
const FAILURES: u32 = 3;

/// What is to be done now.
enum Plan {
    Try,
    Rest(Instant),
    End,
}

pub(crate) async fn keep(shared: Arc<Shared>) {
    loop {
        match shared.with(|state| state.plan(Instant::now())) {
            Plan::Try => {
                let result = shared.attempt().await;
                shared.with(|state| state.tried(result, Instant::now()));
            }
            Plan::Rest(until) => tokio::select! {
                () = shared.work.notified() => {}
                () = tokio::time::sleep_until(until.into()) => {}
            },
            Plan::End => break,
        }
    }
    shared.line.leave(&shared.keys.channel, &shared).await;
}

impl Shared {
    async fn attempt(self: &Arc<Self>) -> Result<(), Error> {
        let listening = self.with(|state| state.listening);
        let listening = self.line.listen(&self.keys.channel, self, listening).await?;
        self.with(|state| state.behind |= std::mem::replace(&mut state.listening, listening) != listening);
        if let Some(why) = self.with(|state| state.damage.take()) {
            self.with(State::lose);
            return Err(self.damaged(why));
        }
        if !self.with(|state| state.joined) {
            self.join().await?;
        }
        self.append().await?;
        match self.with(State::image) {
            Some(image) => self.store(image).await,
            None => Ok(()),
        }
    }

    fn damaged(&self, why: &'static str) -> Error {
        Error::Damaged { set: self.name.to_string(), why }
    }

    async fn join(&self) -> Result<(), Error> {
        let mut image = None::<(Vec<u8>, Time, Vec<Member>)>;
        loop {
            let (me, known) = self.with(|state| (state.me, state.known));
            let script = &self.line.scripts.join;
            let mut call = script.key(self.keys.all());
            let incarnation = format!("{:016x}", rand::random::<u64>());
            call.arg(paceline_replica::VERSION).arg(self.described()).arg(incarnation);
            call.arg(me.word()).arg(u8::from(known)).arg(micros(self.lease));
            match &image {
                None => call.arg("").arg(0),
                Some((image, now, present)) => {
                    call.arg(image.as_slice()).arg(entry::micros(*now));
                    present.iter().fold(&mut call, |call, member| call.arg(member.word()))
                }
            };
            let asked = Instant::now();
            let reply: Value = self.line.run(&call).await?;
            match Joined::read(reply).ok_or_else(|| self.damaged("its answer to joining makes no sense"))? {
                Joined::None(now) => image = Some(self.first(now)?),
                Joined::Version(found) => {
                    let found = String::from_utf8_lossy(&found).into_owned();
                    let (set, known) = (self.name.to_string(), paceline_replica::VERSION);
                    return Err(Error::Version { set, found, known });
                }
                Joined::Limits(known) => {
                    let known = described(&known).ok_or_else(|| self.damaged("its limits cannot be read"))?;
                    let what = difference(&known, &self.limits).unwrap_or_else(|| "they are told otherwise".into());
                    return Err(Error::Limits { set: self.name.to_string(), what });
                }
                Joined::Taken => self.with(|state| state.me = somebody()),
                Joined::In { incarnation, told } => {
                    let entered = |state: &mut State| state.enter(incarnation, &told, asked, Instant::now());
                    return self.with(entered).map_err(|why| self.damaged(why));
                }
            }
        }
    }

    /// What a set is made with: what is known here, if the store has forgotten it, else nothing used.
    fn first(&self, now: u64) -> Result<(Vec<u8>, Time, Vec<Member>), Error> {
        let known = self.with(|state| {
            let seen = state.seen.as_ref()?;
            Some((written(&seen.replica), seen.replica.now(), seen.replica.present()))
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let now = entry::instant(now).ok_or_else(|| self.damaged("its time makes no sense"))?;
        let wrong = |what: paceline::ChangeError| Error::Limits { set: self.name.to_string(), what: what.to_string() };
        let fresh = Replica::of(&self.limits, now).map_err(wrong)?;
        Ok((written(&fresh), now, Vec::new()))
    }

    async fn append(&self) -> Result<(), Error> {
        let call = self.with(|state| {
            let leaving = state.leave();
            // As long as it is not known to be back, it is asked and not told.
            if state.away.as_ref().is_none_or(|away| away.over) {
                state.fill(Instant::now());
            }
            let (seen, sent) = (state.seen.as_ref()?, state.sent.as_ref());
            let mut call = self.line.scripts.append.key(self.keys.all());
            call.arg(seen.incarnation.as_slice()).arg(state.me.word()).arg(sent.map_or(0, |sent| sent.batch));
            match &seen.mark {
                Some(mark) => call.arg(seen.number).arg(mark.as_slice()),
                None => call.arg(seen.number).arg(""),
            };
            call.arg(if leaving { 0 } else { micros(self.lease) });
            call.arg(sent.map_or(&[][..], |sent| &sent.bytes)).arg(&self.keys.channel);
            Some(call)
        });
        let Some(call) = call else { return Ok(()) };
        let asked = Instant::now();
        let reply: Value = self.line.run(&call).await?;
        match Appended::read(reply).ok_or_else(|| self.damaged("its answer makes no sense"))? {
            Appended::Done(told) => {
                let answered = self.with(|state| state.answered(&told, asked, Instant::now()));
                answered.map_err(|why| self.damaged(why))?;
                self.with(State::arrived);
            }
            Appended::Lost => self.with(State::lose),
            Appended::Gone | Appended::Diverged => {
                tracing::warn!(set = %self.name, "the store of shared limits has lost what it was told; told again");
                self.with(State::begin_anew);
            }
        }
        Ok(())
    }

    async fn store(&self, (number, mark, image): (u64, entry::Mark, Vec<u8>)) -> Result<(), Error> {
        let incarnation = self.with(|state| state.seen.as_ref().map(|seen| seen.incarnation.clone()));
        let mut call = self.line.scripts.image.key(self.keys.imaged());
        call.arg(incarnation.unwrap_or_default()).arg(number).arg(mark.as_slice()).arg(image).arg(LEFT);
        self.line.run::<u64>(&call).await.map(|_| ())
    }
}

impl State {
    fn plan(&mut self, now: Instant) -> Plan {
        self.expire(now);
        let alone = self.pump_alone(now);
        let grace = self.pump_grace(now);
        if let Some(trouble) = &self.trouble {
            let again = alone.map_or(trouble.again, |alone| trouble.again.min(alone));
            let now_due = now >= trouble.again;
            let overdue = self.give_up(now);
            return match !now_due {
                true => Plan::Rest(overdue.map_or(again, |overdue| again.min(overdue))),
                // The lease ends by itself.
                false if self.closing => Plan::End,
                false => Plan::Try,
            };
        }
        if !self.joined {
            return if self.closing && self.todo.is_empty() { Plan::End } else { Plan::Try };
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
            || self.closing
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
        let wait = then.since(self.seen.as_ref()?.now(now));
        // Where the first does not see to it, the others do, not all at once.
        let grace = if mine { Duration::ZERO } else { rand::rng().random_range(GRACE..2 * GRACE) };
        let overdue = self.seen.as_ref()?.now(now).since(then);
        Some(if wait > Duration::ZERO { wait + grace } else { grace.saturating_sub(overdue) })
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

    /// The last word of a member that goes, in its last batch.
    fn leave(&mut self) -> bool {
        let last = self.closing && self.joined && self.away.is_none() && self.sent.is_none() && self.todo.len() < 1_024;
        if last {
            let clear = Todo::Op(Op::Clear(self.me));
            for grant in self.stock.all() {
                self.later(Todo::Undo(grant));
            }
            self.later(clear);
            self.joined = false;
        }
        last
    }

    /// After an answer: what was sent must be among what it told.
    fn arrived(&mut self) {
        if self.sent.is_some() {
            // It came long ago, and what it led to is in an image by now, which does not tell.
            self.lose();
        }
    }

    fn tried(&mut self, result: Result<(), Error>, now: Instant) {
        let Err(error) = result else {
            self.worked = true;
            if self.trouble.take().is_some_and(|trouble| trouble.failures >= FAILURES || !trouble.away) {
                tracing::info!(set = %self.name, "the store of shared limits is back");
            }
            if let Some(away) = self.away.as_mut().filter(|_| self.joined) {
                away.over = true;
            }
            return;
        };
        let away = error.is_away();
        let error = BackendError::from(error);
        let (since, failures, mut backoff) = match self.trouble.take() {
            Some(before) if before.away == away => (before.since, before.failures + 1, before.backoff),
            Some(before) => (before.since, 1, before.backoff),
            None => (now, 1, backoff()),
        };
        // Drawn here: its own jitter adds to the delay instead of drawing from it.
        let delay = if away { backoff.next().unwrap_or(LATEST) } else { LATEST };
        let again = now + delay.mul_f64(rand::rng().random_range(0.5..1.0));
        if failures == if away { FAILURES } else { 1 } {
            tracing::warn!(set = %self.name, %error, "the store of shared limits cannot be used");
        }
        self.trouble = Some(Trouble { error, away, since, again, failures, backoff });
        match &mut self.away {
            Some(away) => away.over = false,
            None if away && failures >= FAILURES => self.go_away(now),
            None => {}
        }
    }

    /// Has all who have waited too long for the store told so; when the next will have.
    fn give_up(&mut self, now: Instant) -> Option<Instant> {
        let trouble = self.trouble.as_ref()?;
        let (error, since) = (trouble.error.clone(), trouble.since);
        let patience = if error.retryable { self.response } else { Duration::ZERO };
        let mut next = None;
        // Who waits for a set that was there waits for its return; what is wrong, or was never there, is told.
        if !(trouble.away && self.worked) {
            let ends = self.permits.iter().filter_map(|(permit, what)| match what {
                Permit::Waiting { place, .. } => Some((*permit, place.began.max(since) + patience)),
                _ => None,
            });
            let (over, waiting): (Vec<_>, Vec<_>) = ends.partition(|(_, ends)| *ends <= now);
            next = waiting.into_iter().map(|(_, ends)| ends).min();
            over.into_iter().for_each(|(permit, _)| self.fail(permit, &error, now));
        }
        if now >= since + patience {
            self.give_up_arrivals(now.checked_sub(patience).unwrap_or(now), &error);
        }
        next
    }

    /// Has somebody who waits told of an error.
    pub(super) fn fail(&mut self, permit: u128, error: &BackendError, now: Instant) {
        if let Some(Permit::Waiting { asked, .. }) = self.permits.get(&permit) {
            self.end_wait(permit, Permit::Failed { error: error.clone(), asked: *asked });
            self.cancel_alone(permit, now);
        }
    }
}

impl Trouble {
    /// Whether it is more than a moment's.
    pub(super) fn lasts(&self, now: Instant, response: Duration) -> bool {
        !self.error.retryable || now.saturating_duration_since(self.since) >= response
    }
}

fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(SOONEST).with_max_delay(LATEST).without_max_times().build()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
