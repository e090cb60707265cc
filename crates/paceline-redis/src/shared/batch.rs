//! What the store is to be told, and how it goes into a batch.

use std::time::{Duration, Instant};

use paceline::backend::{BackendError, Report};
use paceline_core::image::Image as _;
use paceline_core::{Demand, Grant, Index, Verdict};
use paceline_replica::{Key, Op};
use tokio::sync::oneshot;

use super::away::Used;
use super::own::Permit;
use super::state::State;
use super::trouble::LATEST;
use crate::entry;
use crate::error::Error;

/// The most that goes into one batch: more goes with the next.
const MOST: usize = 4_096;

/// Something the store is to be told.
#[derive(Debug)]
pub(super) enum Todo {
    Ask(u128),
    Settle(u128),
    Back(u128, Option<Done>),
    Cancel(u128),
    /// A grant that nobody wants.
    Undo(Grant),
    /// One more for a shelf.
    Stock(u64),
    /// How carefully we would have a quota counted.
    Pace(Index),
    /// Since when it is to be told.
    Change(Op, Instant),
    /// Nothing: all before it has been told by then.
    Mark(Option<Done>),
    /// What this client has, told to a store that may not know it.
    Hold,
    /// What it has taken without asking, besides.
    Took(Vec<u128>),
    /// What it has used of a limit without asking.
    Used(Index, Used),
    Op(Op),
}

/// Who waits to hear that it arrived.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) tell: oneshot::Sender<Result<(), BackendError>>,
    pub(super) began: Instant,
}

/// What an operation of a batch was for, to know whom its outcome concerns.
#[derive(Debug)]
pub(super) enum Tag {
    Ask(u128),
    Settle(u128, Demand),
    Done(Option<Done>),
    Stock(u64),
    Change(Op, Instant),
    Mark(Option<Done>),
    Hold(Vec<u128>),
    Used(Index, Used),
}

/// A batch on its way. It is sent again as it is until it is known to have arrived; its number says which it is.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) batch: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) tags: Vec<Tag>,
    /// Before it was first sent.
    pub(super) began: Instant,
    /// Of its demand that came here last, when, and how long ago that is told to be.
    pub(super) latest: Option<(Instant, Duration)>,
}

impl State {
    /// Puts what is to be told into a batch, unless one is on its way.
    pub(super) fn fill(&mut self, now: Instant) {
        let me = self.me;
        if self.sent.is_some() {
            return;
        }
        if let Some(away) = self.away.take_if(|away| away.over) {
            let (told, share) = self.tell_alone(away, now);
            let anew = |todo: &&Todo| matches!(todo, Todo::Op(Op::Clear(_)) | Todo::Hold);
            let first = self.todo.iter().take_while(anew).count();
            self.todo.splice(first..first, told);
            self.begin_grace(share, LATEST + 2 * self.response, now);
        }
        let (at, mut latest) = (self.store_time(now), None::<(Instant, Duration)>);
        let (mut words, mut tags) = (Vec::new(), Vec::new());
        if !self.claims.is_empty() {
            Op::Claim(std::mem::take(&mut self.claims)).write(&mut words);
            tags.push(Tag::Done(None));
        }
        let count = self.todo.len().min(MOST);
        for todo in self.todo.drain(..count).collect::<Vec<_>>() {
            let (op, tag) = match todo {
                Todo::Ask(permit) => {
                    let Some(Permit::Waiting { place, asked: asked @ false, .. }) = self.permits.get_mut(&permit)
                    else {
                        continue;
                    };
                    *asked = true;
                    let (arrived, waited) = (place.arrived(), place.waited(now, at, self.latest));
                    if latest.is_none_or(|(before, _)| before <= arrived) {
                        latest = Some((arrived, waited));
                    }
                    (place.asked(Key { member: me, permit }, waited, now), Tag::Ask(permit))
                }
                Todo::Settle(permit) => {
                    let held = self.permits.get_mut(&permit);
                    let Some(Permit::Held { grant, actual, returning: false, .. }) = held else { continue };
                    let Some(actual) = actual.take() else { continue };
                    (Op::Settle(me, grant.clone(), actual.clone()), Tag::Settle(permit, actual))
                }
                Todo::Back(permit, done) => match self.permits.remove(&permit) {
                    Some(Permit::Held { grant, told, actual, .. }) => {
                        let op = match (told, actual) {
                            (false, _) => Op::Undo(me, grant),
                            (true, None) => Op::Release(me, grant),
                            (true, Some(actual)) => Op::End(me, grant, actual),
                        };
                        (op, Tag::Done(done))
                    }
                    // It went back with a lease that was lost.
                    _ => {
                        tell(done, Ok(()));
                        continue;
                    }
                },
                Todo::Cancel(permit) => (Op::Cancel(permit), Tag::Done(None)),
                Todo::Undo(grant) => (Op::Undo(me, grant), Tag::Done(None)),
                Todo::Stock(shelf) => match self.stock.ask(me, shelf, self.is_waited_for()) {
                    Some(op) => (op, Tag::Stock(shelf)),
                    None => continue,
                },
                Todo::Pace(limit) => {
                    let Some(word) = self.words.get(&limit) else { continue };
                    (Op::Pace(me, limit, *word), Tag::Done(None))
                }
                Todo::Change(op, since) => {
                    (late(op.clone(), now.saturating_duration_since(since)), Tag::Change(op, since))
                }
                Todo::Mark(done) => (Op::Pump, Tag::Mark(done)),
                Todo::Hold => {
                    let (permits, grants) = self.held().unzip();
                    (Op::Hold(me, grants), Tag::Hold(permits))
                }
                Todo::Took(permits) => {
                    let grants = permits.iter().filter_map(|permit| self.permits.get(permit)?.grant().cloned());
                    (Op::Took(me, grants.collect()), Tag::Done(None))
                }
                Todo::Used(limit, used) => (Op::Used(limit, used.ages(now)), Tag::Used(limit, used)),
                Todo::Op(op) => (op, Tag::Done(None)),
            };
            op.write(&mut words);
            tags.push(tag);
        }
        self.went(!self.todo.is_empty());
        if !tags.is_empty() {
            self.batch += 1;
            self.sent = Some(Sent { batch: self.batch, bytes: entry::bytes(&words), tags, began: now, latest });
        }
    }

    /// The store has forgotten us, or what we told it last: what is held is held again, and who waits is asked for anew.
    /// What was given back has come back with the rest.
    pub(super) fn begin_anew(&mut self) {
        (self.joined, self.leaving) = (false, false);
        let tags = self.sent.take().map(|sent| sent.tags).unwrap_or_default();
        let (cleared, todo): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.todo).into_iter().partition(|todo| matches!(todo, Todo::Op(Op::Clear(_))));
        self.permits.retain(|_, permit| !matches!(permit, Permit::Held { returning: true, .. }));
        // By whom it was known before: what that one had is held again, or nobody's.
        self.todo.extend(cleared);
        if self.known || self.held().next().is_some() {
            self.todo.push(Todo::Hold);
        }
        self.todo.extend(self.words.keys().copied().map(Todo::Pace));
        let mut marks = Vec::new();
        for tag in tags {
            match tag {
                Tag::Change(op, since) => self.todo.push(Todo::Change(op, since)),
                Tag::Mark(done) => marks.push(Todo::Mark(done)),
                Tag::Done(done) => tell(done, Ok(())),
                // Should it have arrived and be known to whoever restored the store, it counts twice: that is the safe side.
                Tag::Used(limit, used) => self.todo.push(Todo::Used(limit, used)),
                Tag::Settle(permit, told) => {
                    if let Some(Permit::Held { actual: actual @ None, .. }) = self.permits.get_mut(&permit) {
                        *actual = Some(told);
                    }
                }
                _ => {}
            }
        }
        for todo in todo {
            match todo {
                Todo::Change(op, since) => self.todo.push(Todo::Change(op, since)),
                Todo::Mark(done) => marks.push(Todo::Mark(done)),
                Todo::Used(limit, used) => self.todo.push(Todo::Used(limit, used)),
                Todo::Back(_, done) => tell(done, Ok(())),
                _ => {}
            }
        }
        self.claims.clear();
        self.stock.lose();
        for permit in self.permits.values_mut() {
            if let Permit::Waiting { asked, .. } | Permit::Failed { asked, .. } = permit {
                *asked = false;
            }
        }
        let unsettled =
            self.permits.iter().filter(|(_, permit)| matches!(permit, Permit::Held { actual: Some(_), .. }));
        self.todo.extend(unsettled.map(|(permit, _)| Todo::Settle(*permit)));
        let waiting = self.waiting();
        waiting.into_iter().for_each(|permit| self.ask_for(Todo::Ask(permit)));
        self.todo.extend(marks);
        self.hurry();
    }

    /// Whether the store is still to hear what this member holds, and that it has nothing else. What others' doings decide for
    /// it until then is not its own to take: it is asked for anew, and others may have it by then.
    pub(super) fn is_about_to_hold(&self) -> bool {
        let mut tags = self.sent.iter().flat_map(|sent| &sent.tags);
        tags.any(|tag| matches!(tag, Tag::Hold(_))) || self.todo.iter().any(|todo| matches!(todo, Todo::Hold))
    }

    fn held(&self) -> impl Iterator<Item = (u128, Grant)> {
        self.permits.iter().filter_map(|(permit, what)| Some((*permit, what.grant()?.clone())))
    }

    /// Tells those who wait for an arrival that it does not come, if they have waited since before `then`.
    pub(super) fn give_up_arrivals(&mut self, then: Instant, error: &BackendError) {
        let in_todo = self.todo.iter_mut().filter_map(|todo| match todo {
            Todo::Back(_, done) | Todo::Mark(done) => Some(done),
            _ => None,
        });
        let in_sent = self.sent.iter_mut().flat_map(|sent| &mut sent.tags).filter_map(|tag| match tag {
            Tag::Done(done) | Tag::Mark(done) => Some(done),
            _ => None,
        });
        for done in in_todo.chain(in_sent) {
            tell(done.take_if(|done| done.began <= then), Err(error.clone()));
        }
    }

    /// Tells of the arrival of all that is to be told, if there is something.
    pub(crate) fn flush(&mut self, now: Instant) -> Option<Told> {
        let is_to_leave = self.closing.is_some() && self.joined;
        if !self.has_to_tell() && !is_to_leave {
            return None;
        }
        let (tell, told) = oneshot::channel();
        self.later(Todo::Mark(Some(Done { tell, began: now })));
        self.give_up_stopped(now);
        Some(told)
    }

    /// Whether the store has still to hear something.
    pub(super) fn has_to_tell(&self) -> bool {
        let used = self.away.iter().flat_map(|away| &away.used).any(|used| !used.is_empty());
        used || !self.todo.is_empty() || !self.claims.is_empty() || self.sent.is_some()
    }
}

/// Where to hear that something has arrived.
pub(crate) type Told = oneshot::Receiver<Result<(), BackendError>>;

/// Waits for that.
pub(crate) async fn arrived(told: Told) -> Result<(), BackendError> {
    told.await.unwrap_or_else(|_| Err(Error::Stopped.into()))
}

/// What was to be done a while ago: of a pause there is less left.
fn late(op: Op, age: Duration) -> Op {
    match op {
        Op::Pause(pause) => Op::Pause(pause.saturating_sub(age)),
        Op::Report(
            began,
            Report { verdict: Verdict::RateLimited { retry_after: Some(pause) }, duration, explained },
        ) => {
            let verdict = Verdict::RateLimited { retry_after: Some(pause.saturating_sub(age)) };
            Op::Report(began, Report { verdict, duration, explained })
        }
        other => other,
    }
}

pub(super) fn tell(done: Option<Done>, what: Result<(), BackendError>) {
    if let Some(Done { tell, .. }) = done {
        // Whoever waits no more need not know.
        let _ = tell.send(what);
    }
}
