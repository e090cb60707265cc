//! What is done under the lock.

use std::task::Waker;
use std::time::{Duration, Instant};

use paceline::Time;
use paceline::backend::{PermitId, Report, Standing};
use paceline_core::{Demand, Grant};
use paceline_replica::{Effect, Key, Member, Op, Replica, Verdict};

use super::{Owed, Own, Permit, Place, Shared};
use crate::error::Error;
use crate::journal::{CLAIMS, Damage, Seen};
use crate::lock::{self, NotHeld};

/// How often members are looked after by those who wait: what a death costs the others.
const SWEEP: Duration = Duration::from_millis(50);

/// How many nanoseconds a member has to take note of what it was granted: one that takes longer is stopped, or as good as.
const SLOW: u64 = 250_000_000;

/// One step: both locks are held and the replica is up to date.
pub(crate) struct Step<'a> {
    shared: &'a Shared,
    own: &'a mut Own,
    /// Taken from `own` and put back at the end: after a panic in between it would not be what the journal says.
    seen: Box<Seen>,
    now: Time,
    /// To be woken afterwards: here, and elsewhere.
    woken: Vec<Waker>,
    rung: Vec<Member>,
    damage: Option<Damage>,
}

impl Shared {
    /// One step.
    pub(crate) fn step<R>(&self, call: impl FnOnce(&mut Step<'_>) -> R) -> Result<R, Error> {
        let membership = &self.membership;
        // Before any lock: in a child they may be held by threads that are not there.
        if membership.fork.is_gone() {
            return Err(Error::Forked);
        }
        let mut own = self.own.lock();
        let lock = lock::take(self.journal.lock(), &membership.members, membership.patience);
        // First: where others have other memory, nobody may be left to let go of the lock.
        if let Some(error) = self.cut_off() {
            return Err(error);
        }
        let lock = lock.map_err(|held| self.not_held(held))?;
        let damaged = |Damage(why)| Error::Damaged { path: self.path.clone(), why };
        let seen = own.seen.take();
        let seen = self.journal.catch_up(seen, &mut own.scratch).map_err(damaged)?;
        // Nobody's clock goes back in what all have seen.
        let now = membership.clock.now().max(seen.replica.now());
        let (woken, rung) = (Vec::new(), Vec::new());
        let mut step = Step { shared: self, own: &mut own, seen, now, woken, rung, damage: None };
        let result = step.run(call);
        let Step { seen, woken, rung, damage, .. } = step;
        own.seen = damage.is_none().then_some(seen);
        drop(lock);
        drop(own);
        woken.into_iter().for_each(Waker::wake);
        rung.into_iter().for_each(|member| membership.members.ring(member));
        damage.map_or(Ok(result), |damage| Err(damaged(damage)))
    }

    fn not_held(&self, held: NotHeld) -> Error {
        match held {
            NotHeld::By(member) => Error::Stuck {
                set: self.name.to_string(),
                pid: self.membership.members.pid(member),
                held: self.membership.patience,
            },
            NotHeld::Damaged => Error::Damaged { path: self.path.clone(), why: "its lock is held by nobody" },
        }
    }
}

impl Step<'_> {
    fn run<R>(&mut self, call: impl FnOnce(&mut Self) -> R) -> R {
        let (me, before) = (self.me(), self.replica().next());
        // Of what others have decided they ring the bells themselves.
        self.replica().decided().retain(|key| key.member == me);
        self.note();
        // First what could not be done when it was its time.
        self.pay();
        let result = call(self);
        self.note();
        if !self.own.owed.is_empty() {
            self.pay();
            self.note();
        }
        self.tell_time(before);
        result
    }

    fn replica(&mut self) -> &mut Replica {
        &mut self.seen.replica
    }

    pub(crate) fn me(&self) -> Member {
        self.shared.membership.members.me()
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    pub(super) fn places_left(&mut self) -> bool {
        let places = self.shared.journal.places();
        self.replica().places() < places
    }

    /// Does an operation here and for everybody.
    pub(crate) fn execute(&mut self, op: &Op) -> Effect {
        if self.damage.is_some() {
            return Effect::Nothing;
        }
        let (journal, scratch) = (&self.shared.journal, &mut self.own.scratch);
        if let Err(damage) = journal.make_room(&self.seen, scratch) {
            self.damage = Some(damage);
            return Effect::Nothing;
        }
        journal.execute(&mut self.seen, self.now, op, scratch)
    }

    /// Takes note of what became of demands: one's own are claimed, for others a bell is rung.
    #[inline]
    fn note(&mut self) {
        if self.seen.anew || !self.replica().decided().is_empty() {
            self.note_decided();
        }
    }

    #[inline(never)]
    fn note_decided(&mut self) {
        let me = self.me();
        let mut decided = std::mem::take(self.seen.replica.decided());
        if std::mem::take(&mut self.seen.anew) {
            let mut own: Vec<u128> = self.seen.replica.unclaimed_of(me).collect();
            own.extend(self.own.permits.iter().filter(|(_, permit)| permit.waits()).map(|(permit, _)| *permit));
            decided.extend(own.into_iter().map(|permit| Key { member: me, permit }));
        }
        let (mut claims, mut passed) = (Vec::new(), Vec::new());
        for key in decided.drain(..) {
            if key.member != me {
                if !self.rung.contains(&key.member) {
                    self.rung.push(key.member);
                }
            } else if claims.contains(&key.permit) || passed.contains(&key.permit) {
                // Granted, passed by and granted again are one matter: what counts is how it stands now.
            } else if let Some(verdict) = self.replica().unclaimed(key.permit).cloned() {
                claims.push(key.permit);
                self.decide(key.permit, verdict);
            } else if !self.replica().is_waiting(key.permit) {
                passed.push(key.permit);
            }
        }
        *self.replica().decided() = decided;
        for claims in claims.chunks(CLAIMS) {
            self.execute(&Op::Claim(claims.to_vec()));
        }
        if !passed.is_empty() {
            self.ask_again(passed);
        }
    }

    /// Others have gone first while this process stood still: its demands take their old places again.
    fn ask_again(&mut self, passed: Vec<u128>) {
        let (me, now) = (self.me(), self.now);
        let mut again = Vec::new();
        for permit in passed {
            if let Some(Permit::Waiting { place, .. }) = self.own.permits.get(&permit) {
                again.push((permit, Place::clone(place)));
            }
        }
        again.sort_by_key(|(_, place)| place.arrived);
        for (permit, place) in again {
            let verdict = match self.execute(&Op::Ask(place.again(Key { member: me, permit }, now))) {
                Effect::Granted(grant) => Verdict::Granted(grant),
                Effect::Never(refusal) => Verdict::Refused(refusal),
                Effect::Queued => continue,
                _ => Verdict::TooLate,
            };
            self.decide(permit, verdict);
        }
        self.note();
    }

    fn decide(&mut self, permit: u128, verdict: Verdict) {
        let decided = match verdict {
            Verdict::Granted(grant) => Permit::Held { grant, told: false },
            over => Permit::Over(over),
        };
        match self.own.put(permit, decided) {
            Some(Permit::Waiting { waker, .. }) => self.woken.extend(waker),
            // Nobody here asked for it.
            _ => self.own.owed.push(Owed::Forget(PermitId(permit))),
        }
    }

    /// Tells whoever keeps the time of the first that waits, where there is another first or another time.
    fn tell_time(&mut self, before: Option<(Time, Member)>) {
        let Some((next, first)) = self.replica().next() else { return };
        let sooner = before.is_none_or(|(then, whose)| next < then || first != whose);
        if sooner && !self.rung.contains(&first) {
            self.rung.push(first);
        }
    }

    /// Lets time decide what it can.
    pub(crate) fn pump(&mut self) {
        let now = self.now;
        if self.replica().next().is_some_and(|(next, _)| next <= now) {
            self.execute(&Op::Pump);
            self.note();
        }
    }

    /// Whether a demand of this process waits.
    pub(crate) fn waits_here(&self) -> bool {
        self.own.is_busy()
    }

    /// When to look next, and whether it is on this process to be in time.
    pub(crate) fn next(&mut self) -> (Time, bool) {
        let me = self.me();
        self.replica().next().map_or((Time::MAX, false), |(next, first)| (next, first == me))
    }

    pub(crate) fn sweep_is_due(&self) -> bool {
        self.own.swept.is_none_or(|swept| swept.elapsed() >= SWEEP)
    }

    /// Gives back what the dead held, and what those who stand still were granted.
    pub(crate) fn sweep(&mut self) {
        self.own.swept = Some(Instant::now());
        let members = &self.shared.membership.members;
        for member in self.replica().present() {
            members.if_gone(member, || {
                self.execute(&Op::Clear(member));
            });
        }
        let (me, then) = (self.me(), Time::from_nanos(self.now.as_nanos().saturating_sub(SLOW)));
        for member in self.replica().slow(then) {
            if member != me {
                self.execute(&Op::PassBy(member));
            }
        }
        self.note();
    }

    /// Does what could not be done before.
    fn pay(&mut self) {
        for owed in std::mem::take(&mut self.own.owed) {
            match owed {
                Owed::Forget(permit) => self.give_back(permit),
                Owed::Settle(permit, actual) => self.settle(permit, &actual),
                Owed::Report(began, report) => {
                    self.execute(&Op::Report(began, report));
                }
            }
        }
    }

    pub(crate) fn grant(&self, permit: PermitId) -> Option<Grant> {
        self.own.grant(permit).cloned()
    }

    pub(super) fn permit(&mut self, permit: PermitId) -> Option<&mut Permit> {
        self.own.permits.get_mut(&permit.0)
    }

    pub(super) fn keep(&mut self, permit: PermitId, as_what: Permit) {
        self.own.put(permit.0, as_what);
    }

    pub(crate) fn settle(&mut self, permit: PermitId, actual: &Demand) {
        let Some(grant) = self.grant(permit) else { return };
        let corrected = self.execute(&Op::Settle(self.me(), grant, actual.clone()));
        if let (Effect::Settled(corrected), Some(Permit::Held { grant, .. })) = (corrected, self.permit(permit)) {
            *grant = corrected;
        }
    }

    /// An attempt ended; of a permit that was lost meanwhile it is not known when it began.
    pub(crate) fn report(&mut self, permit: PermitId, report: Report) {
        let began = self.own.grant(permit).map(|grant| grant.at);
        self.execute(&Op::Report(began, report));
    }

    pub(crate) fn give_back(&mut self, permit: PermitId) {
        let me = self.me();
        match self.own.take(permit) {
            Some(Permit::Held { grant, told: true }) => self.execute(&Op::Release(me, grant)),
            Some(Permit::Held { grant, told: false }) => self.execute(&Op::Undo(me, grant)),
            Some(Permit::Waiting { .. }) => self.execute(&Op::Cancel(permit.0)),
            Some(Permit::Over(_)) | None => Effect::Nothing,
        };
    }

    pub(crate) fn standing(&mut self) -> Standing {
        let (now, members) = (self.now, self.shared.membership.members.count());
        Standing { members, ..self.replica().standing(now) }
    }
}
