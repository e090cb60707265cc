//! The task that keeps a set: as [planned](super::plan), it brings the store what is to be told and here what is new.

use std::sync::Arc;
use std::time::{Duration, Instant};

use paceline_core::Time;
use paceline_replica::limits::difference;
use paceline_replica::{Member, Replica};
use redis::Value;

use super::Shared;
use super::apply::written;
use super::plan::Plan;
use super::state::{Reached, State, somebody};
use crate::entry;
use crate::error::{Error, escaped, plain};
use crate::handle::described;
use crate::scripts::{Appended, Joined, VERSION};

/// How many entries are left before an image, for those who are a little behind.
const LEFT: u64 = 256;

/// What a set can be made with.
struct First {
    reached: Reached,
    image: Vec<u8>,
    now: Time,
    /// The members in it.
    present: Vec<Member>,
}

/// A set that is kept: however that ends, by a panic too, nobody waits for it any more.
pub(crate) struct Kept(Arc<Shared>);

impl Kept {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.with(|state| state.stop(Instant::now()));
    }
}

pub(crate) async fn keep(kept: Kept) {
    let shared = &kept.0;
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
    shared.way.leave(&shared.keys.channel, shared).await;
}

impl Shared {
    async fn attempt(self: &Arc<Self>) -> Result<(), Error> {
        let result = self.follow().await.map_err(|error| match error {
            error if error.is_of_a_script() => self.damaged("a script cannot work with its keys"),
            error => error,
        });
        if let Err(Error::Damaged { .. }) = result {
            self.leave().await;
        }
        result
    }

    /// Ends the lease of a member that cannot read what there is, so that nobody need wait for that. What it held is cleared
    /// by those who can.
    async fn leave(&self) {
        let (me, known) = self.with(|state| (state.me.word(), state.known));
        let mut end = redis::cmd(if known { "ZADD" } else { "ZREM" });
        end.arg(self.keys.members());
        if known {
            end.arg("XX").arg(0);
        }
        // Where that fails, it ends by itself.
        let _: Result<u64, Error> = self.way.ask(&*end.arg(me)).await;
        if known {
            self.with(State::let_go);
        }
    }

    async fn follow(self: &Arc<Self>) -> Result<(), Error> {
        let listening = self.with(|state| state.listening);
        let listening = self.way.listen(&self.keys.channel, self, listening).await?;
        self.with(|state| state.behind |= std::mem::replace(&mut state.listening, listening) != listening);
        if let Some(why) = self.with(|state| state.damage.take()) {
            return Err(self.damaged(why));
        }
        if !self.with(|state| state.joined) {
            self.join().await?;
        }
        self.append().await?;
        // It was found elsewhere.
        if !self.way.listens() {
            self.with(State::fetch);
        }
        match self.with(State::image) {
            Some(image) => self.store(image).await,
            None => Ok(()),
        }
    }

    fn damaged(&self, why: &'static str) -> Error {
        Error::Damaged { set: self.name.to_string(), why }
    }

    async fn join(&self) -> Result<(), Error> {
        let mut first = None::<First>;
        loop {
            let (me, known) = self.with(|state| (state.me, state.known));
            let reached =
                first.as_ref().map_or_else(|| self.with(|state| state.reached()), |first| first.reached.clone());
            let script = &self.way.nodes.scripts.join;
            let mut call = script.key(self.keys.all());
            let incarnation = format!("{:016x}", rand::random::<u64>());
            call.arg(VERSION).arg(self.described()).arg(incarnation);
            call.arg(me.word()).arg(u8::from(known)).arg(micros(self.lease)).arg(&self.keys.channel).arg(self.keep);
            call.arg(reached.incarnation).arg(reached.number).arg(reached.mark);
            match &first {
                None => call.arg("").arg(0),
                Some(First { image, now, present, .. }) => {
                    call.arg(image.as_slice()).arg(entry::micros(*now));
                    present.iter().fold(&mut call, |call, member| call.arg(member.word()))
                }
            };
            let asked = Instant::now();
            let reply: Value = self.way.ask(&call).await?;
            match Joined::read(reply).ok_or_else(|| self.damaged("its answer to joining makes no sense"))? {
                Joined::None(now) => first = Some(self.first(now)?),
                Joined::Version(found) => {
                    let found = plain(&String::from_utf8_lossy(&found));
                    return Err(Error::Version { set: self.name.to_string(), found, known: VERSION });
                }
                Joined::Limits(known) => {
                    let known = described(&known).ok_or_else(|| self.damaged("its limits cannot be read"))?;
                    let what = difference(&known, &self.limits).unwrap_or_else(|| "they are told otherwise".into());
                    let what = escaped(&what);
                    return Err(Error::Limits { set: self.name.to_string(), what });
                }
                Joined::Taken => self.with(|state| state.me = somebody()),
                Joined::Torn => return Err(Error::Torn { set: self.name.to_string() }),
                Joined::Foreign(key) => {
                    let key = plain(&String::from_utf8_lossy(&key));
                    return Err(Error::Foreign { set: self.name.to_string(), key });
                }
                Joined::In { incarnation, told } => {
                    let entered = |state: &mut State| state.enter(incarnation, &told, asked, Instant::now());
                    return self.with(entered).map_err(|why| self.damaged(why));
                }
            }
        }
    }

    /// What a set is made with: what is known here, if the store has forgotten it, else nothing used.
    fn first(&self, now: u64) -> Result<First, Error> {
        let known = self.with(|state| {
            let replica = &state.seen.as_ref()?.replica;
            let (image, now, present) = (written(replica), replica.now(), replica.present());
            Some(First { reached: state.reached(), image, now, present })
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let now = entry::instant(now).ok_or_else(|| self.damaged("its time makes no sense"))?;
        let wrong = |what: paceline::ChangeError| Error::Limits { set: self.name.to_string(), what: what.to_string() };
        let fresh = Replica::of(&self.limits, now).map_err(wrong)?;
        Ok(First { reached: Reached::default(), image: written(&fresh), now, present: Vec::new() })
    }

    async fn append(&self) -> Result<(), Error> {
        let call = self.with(|state| {
            let leaving = state.leave();
            // As long as it is not known to be back, it is asked and not told.
            if state.away.as_ref().is_none_or(|away| away.over) {
                state.fill(Instant::now());
            }
            let (seen, sent) = (state.seen.as_ref()?, state.sent.as_ref());
            let mut call = self.way.nodes.scripts.append.key(self.keys.all());
            call.arg(seen.incarnation.as_slice()).arg(state.me.word()).arg(sent.map_or(0, |sent| sent.batch));
            match &seen.mark {
                Some(mark) => call.arg(seen.number).arg(mark.as_slice()),
                None => call.arg(seen.number).arg(""),
            };
            call.arg(if leaving { 0 } else { micros(self.lease) });
            call.arg(sent.map_or(&[][..], |sent| &sent.bytes)).arg(&self.keys.channel).arg(self.keep);
            Some(call)
        });
        let Some(call) = call else { return Ok(()) };
        let asked = Instant::now();
        let reply: Value = self.way.ask(&call).await?;
        match Appended::read(reply).ok_or_else(|| self.damaged("its answer makes no sense"))? {
            Appended::Done(told) => {
                let answered = self.with(|state| state.answered(&told, asked, Instant::now()));
                answered.map_err(|why| self.damaged(why))?;
                self.with(|state| if state.leaving { state.left(Ok(())) } else { state.arrived() });
            }
            // Whether by its last word, which is sent again, or by the end of its lease, nobody knows.
            Appended::Lost => self.with(|state| match state.leaving {
                true => state.left(Err(state.lease_ended())),
                false => state.lose(),
            }),
            Appended::Torn => return Err(Error::Torn { set: self.name.to_string() }),
            Appended::Gone | Appended::Diverged => {
                tracing::warn!(set = %self.name, "the store of shared limits has lost what it was told; told again");
                self.with(State::begin_anew);
            }
        }
        Ok(())
    }

    async fn store(&self, (number, mark, image): (u64, entry::Mark, Vec<u8>)) -> Result<(), Error> {
        let incarnation = self.with(|state| state.seen.as_ref().map(|seen| seen.incarnation.clone()));
        let mut call = self.way.nodes.scripts.image.key(self.keys.imaged());
        call.arg(incarnation.unwrap_or_default()).arg(number).arg(mark.as_slice()).arg(image).arg(LEFT);
        self.way.ask::<u64>(&call).await.map(|_| ())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use paceline::Priority;
    use paceline::backend::{Ask, LimitSpec, PermitId};

    use super::*;
    use crate::nodes::Nodes;
    use crate::options::Options;
    use crate::tls::Tls;

    #[tokio::test]
    async fn a_panic_of_who_keeps_a_set_ends_all_waits_for_it() {
        let nodes = Nodes::new("redis://nowhere", &Tls::default(), Duration::from_secs(1)).unwrap();
        let limits = [("limit".into(), LimitSpec::Resource(1))];
        let shared = Shared::new("set".into(), &limits, &Options::new("redis://nowhere"), Arc::new(nodes)).unwrap();
        let shared = Arc::new(shared);
        let demand = [(0, 1)].into_iter().collect();
        let (permit, waited) = (PermitId(1), Duration::ZERO);
        let ask = Ask { permit, demand, priority: Priority::Normal, waited, within: None };
        let look = || shared.with(|state| state.look(permit, &Context::from_waker(Waker::noop())));
        shared.with(|state| state.begin(&ask, Instant::now()));
        assert!(look().is_pending());
        let kept = Kept::new(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            kept.0.with(|_| panic!("as if something were wrong"));
        });
        assert!(task.await.unwrap_err().is_panic());
        assert!(matches!(look(), Poll::Ready(Err(error)) if error.message.contains("panicked")));
    }
}
