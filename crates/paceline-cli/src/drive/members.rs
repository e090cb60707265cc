//! The quota groups at work: each a limit set, in which its endpoints take turns.

mod set;

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline::{Breaker, BreakerState, Clock, LimitPool, LimitSet, Pass, Source, Time, Verdict};

use crate::endpoint::{Group, Speech};
use crate::job::{Concurrency, Job};
use crate::limits::{Counted, Limit};
use crate::sharing::Store;
use crate::waits::Waits;

/// All of them.
pub(crate) struct Members {
    all: Box<[Member]>,
    pub(crate) waits: Arc<Waits>,
    clock: Clock,
}

/// One quota and the endpoints that share it.
pub(crate) struct Member {
    name: String,
    pub(crate) set: LimitSet,
    pub(crate) limits: Box<[Limit]>,
    /// The place of the first of its limits among all limits of the run.
    pub(crate) first_limit: usize,
    pub(crate) concurrency: Concurrency,
    pub(crate) speech: Speech,
    /// The first of its endpoints among all of the run; the others follow.
    first: usize,
    seats: Mutex<Vec<Seat>>,
}

/// An endpoint's place in its group.
struct Seat {
    weight: i64,
    credit: i64,
    breaker: Breaker,
    /// Not asked again in this run.
    out: bool,
}

/// Leave to send to an endpoint.
pub(super) struct Turn {
    /// Its place among all of the run.
    pub(super) endpoint: usize,
    pass: Option<Pass>,
}

/// What became of an endpoint that is to be asked no more.
pub(super) struct Left {
    /// Nobody had said so before.
    pub(super) first: bool,
    /// How many others there are.
    pub(super) others: usize,
}

/// How long an endpoint that fails call after call is left alone.
const COOL_DOWN: Duration = Duration::from_secs(5);

impl Members {
    /// Each quota group as a set of its own, of this process or in a store.
    pub(crate) fn new(job: &Job, clock: Clock, store: Option<&Store>) -> Result<Self, paceline::Error> {
        let waits = Arc::<Waits>::default();
        let (mut first, mut first_limit) = (0, 0);
        let mut all = Vec::with_capacity(job.groups.len());
        for group in &job.groups {
            let set = match store {
                None => set::alone(group, &clock, &waits),
                Some(store) => {
                    let name = store.set(&group.name, job.groups.len());
                    set::shared(&name, group, &clock, &waits, store.remote())
                }
            };
            all.push(Member::new(group, set?, first, first_limit)?);
            (first, first_limit) = (first + group.endpoints.len(), first_limit + group.limits.len());
        }
        Ok(Self { all: all.into(), waits, clock })
    }

    /// Where permits come from: the one set, or a pool of them.
    pub(super) fn source(&self) -> Result<Source, paceline::Error> {
        if let [only] = &*self.all {
            return Ok((&only.set).into());
        }
        let add =
            |pool: paceline::LimitPoolBuilder, member: &Member| pool.weighted(member.set.clone(), member.weight());
        Ok(self.all.iter().fold(LimitPool::builder("run"), add).build()?.into())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.all.iter()
    }

    /// The most requests that can be in flight.
    pub(super) fn most(&self) -> u64 {
        self.all.iter().fold(0, |sum, member| member.concurrency.most().saturating_add(sum))
    }

    /// The limits that a demand names, each name once. Those that every request takes one of unasked are not among them.
    pub(super) fn keys(&self) -> Vec<(Arc<str>, Counted)> {
        let named = self.all.iter().flat_map(|member| &member.limits);
        let named = named.filter(|limit| limit.counted != Counted::Requests);
        let keys: BTreeMap<&str, Counted> = named.map(|limit| (&*limit.name, limit.counted)).collect();
        keys.into_iter().map(|(name, counted)| (name.into(), counted)).collect()
    }

    /// Whether there is only one.
    pub(crate) fn are_one(&self) -> bool {
        self.all.len() == 1
    }

    pub(crate) fn of(&self, set: &LimitSet) -> &Member {
        self.all.iter().find(|member| member.set.is(set)).expect("the sets are theirs")
    }

    /// That of an endpoint.
    pub(super) fn serving(&self, endpoint: usize) -> &Member {
        self.all.iter().rfind(|member| member.first <= endpoint).expect("the first begins at 0")
    }

    /// A limit's name where people see it.
    pub(crate) fn label(&self, member: &Member, limit: &str) -> String {
        if self.are_one() { limit.to_owned() } else { format!("{}:{limit}", member.name) }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Asks an endpoint no more, or with `whole` its whole group.
    pub(super) fn leave_out(&self, endpoint: usize, whole: bool) -> Left {
        let member = self.serving(endpoint);
        let mut seats = member.seats();
        let before = !seats[endpoint - member.first].out;
        for (at, seat) in seats.iter_mut().enumerate() {
            seat.out |= whole || member.first + at == endpoint;
        }
        let nobody = seats.iter().all(|seat| seat.out);
        drop(seats);
        let others = self.all.iter().map(|member| member.seats().iter().filter(|seat| !seat.out).count()).sum();
        if nobody && others > 0 {
            // Whoever waits there waits on elsewhere. Sets of this process can always be closed.
            let _ = member.set.close();
        }
        Left { first: before, others }
    }
}

impl Member {
    fn new(group: &Group, set: LimitSet, first: usize, first_limit: usize) -> Result<Self, paceline::Error> {
        let breaker = breaker()?;
        let seat = |weight: u8| Seat { weight: weight.into(), credit: 0, breaker: breaker.clone(), out: false };
        Ok(Self {
            name: group.name.clone(),
            set,
            limits: group.limits.clone().into(),
            first_limit,
            concurrency: group.concurrency,
            speech: group.speech,
            first,
            seats: Mutex::new(group.endpoints.iter().map(|endpoint| seat(endpoint.weight)).collect()),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// That of all its endpoints together.
    fn weight(&self) -> NonZeroU16 {
        let sum: i64 = self.seats().iter().map(|seat| seat.weight).sum();
        u16::try_from(sum).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MAX)
    }

    /// The endpoint whose turn it is, of those that are not left alone.
    pub(super) fn choose(&self, now: Time) -> Turn {
        let mut seats = self.seats();
        let works = |seat: &Seat| match seat.breaker.state(now) {
            BreakerState::Closed => true,
            BreakerState::HalfOpen { free } => free > 0,
            BreakerState::Open { .. } => false,
        };
        let of = |fit: &dyn Fn(&Seat) -> bool| -> Vec<usize> {
            (0..seats.len()).filter(|at| !seats[*at].out && fit(&seats[*at])).collect()
        };
        let free = of(&works);
        // Where all fail, that is for the breaker of the group as a whole.
        let free = if free.is_empty() { of(&|_| true) } else { free };
        free.iter().for_each(|at| seats[*at].credit += seats[*at].weight);
        let sum: i64 = free.iter().map(|at| seats[*at].weight).sum();
        let most = free.into_iter().rev().max_by_key(|at| seats[*at].credit).unwrap_or(0);
        seats[most].credit -= sum;
        Turn { endpoint: self.first + most, pass: seats[most].breaker.try_pass(now).ok() }
    }

    /// What came of a turn.
    pub(super) fn note(&self, turn: Turn, verdict: Verdict, now: Time) {
        if let Some(pass) = turn.pass {
            self.seats()[turn.endpoint - self.first].breaker.record(pass, verdict, now);
        }
    }

    /// Its endpoints, by their places among all of the run.
    pub(crate) fn endpoints(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.seats().len()
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a pool leaves alone that fails call after call.
pub(super) fn breaker() -> Result<Breaker, paceline::Error> {
    Ok(Breaker::builder().cool_down(COOL_DOWN).build()?)
}
