//! A node's limits in force: what its slots share, and the copy that each slot has for itself.

use std::sync::Arc;

use paceline::{Arrival, Controller, LimitKind, LimitSet, Pipeline, Template};
use tokio::sync::Mutex;

use crate::call::{Held, Lent};
use crate::effective::{MINUTE, NodeShape, starts_in};
use crate::error::Error;
use crate::limits::{Counts, Level, Limits};
use crate::outer::Outer;
use crate::stats::NodeStats;

/// What all slots share of a node's limits, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) limits: Limits,
    pub(crate) name: Arc<str>,
    own: Option<Template>,
    outer: Option<Outer>,
    /// Retries go through a pipeline without limits, so that each attempt acquires anew what its slot has to give, and
    /// the budget is one for all slots.
    pub(crate) retries: Option<Pipeline>,
}

/// A slot's own copy.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) own: Option<LimitSet>,
    outer: Option<Outer>,
    order: Order,
    /// Whose turn it is to take of both.
    turn: Mutex<()>,
}

/// How what is the slot's own and what is shared are taken where there are both. Not as one joint demand: each slot
/// would be another line in the queue of the shared set, and set a unit of it aside for as long as its own limits are
/// in the way.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// A place of its own, then the shared: nobody else could use the place meanwhile.
    OwnFirst,
    /// Both at one instant, one call at a time: what counts starts, or learns from what is in flight, must not count a
    /// wait.
    AtOnce,
}

/// What an item asks for, once for all attempts.
#[derive(Debug)]
pub(crate) struct Demand {
    own: Cost,
    outer: Cost,
    /// Where the item has sets of its own: those, with what the node shares.
    sets: Option<Outer>,
}

/// Units of limits, by their keys.
pub(crate) type Cost = Vec<(&'static str, u64)>;

/// So that some can wait to be made again while others run, and a free place finds somebody waiting.
const LEAST: usize = 16;

impl Plan {
    pub(crate) fn new(name: &Arc<str>, limits: Limits) -> Result<Self, Error> {
        let invalid = |source| Error::Limits { node: Arc::clone(name), source };
        let own = if limits.has_own() { Some(template(name, &limits).map_err(invalid)?) } else { None };
        if limits.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::Timeout { node: Arc::clone(name) });
        }
        let outer = match (&limits.pool, &*limits.sets) {
            (Some(_), [_, ..]) => return Err(Error::PoolAndSet { node: Arc::clone(name) }),
            (Some(pool), []) => Some(Outer::Pool(pool.clone())),
            (None, sets) => Outer::of(sets).map_err(invalid)?,
        };
        let retries = match &limits.retry {
            Some(retry) => {
                let free = LimitSet::builder(Arc::clone(name)).build().map_err(invalid)?;
                Some(Pipeline::over(free).retry(retry.clone()).build().map_err(invalid)?)
            }
            None => None,
        };
        Ok(Self { limits, name: Arc::clone(name), own, outer, retries })
    }

    /// A copy for another slot.
    pub(crate) fn open(&self) -> Lane {
        let own = self.own.as_ref().map(|template| template.make(Arc::clone(&self.name)));
        let counts_places = matches!(self.limits.level, Level::Fixed(_)) && self.limits.rates.is_empty();
        let order = if counts_places { Order::OwnFirst } else { Order::AtOnce };
        Lane { own, outer: self.outer.clone(), order, turn: Mutex::default() }
    }

    /// Figures that have counted nothing yet.
    pub(crate) fn stats(&self) -> NodeStats {
        NodeStats { max_concurrent: self.at_once(), max_per_minute: self.per_minute(), ..NodeStats::of(&self.name) }
    }

    pub(crate) fn shape(&self) -> NodeShape {
        let calls = self.limits.rates.iter().filter(|rate| rate.counts == Counts::Calls);
        NodeShape {
            name: Arc::clone(&self.name),
            at_once: self.at_once(),
            calls: calls.map(|rate| rate.quota).collect(),
            shared: self.limits.sets.clone(),
            pool: self.limits.pool.clone(),
        }
    }

    fn at_once(&self) -> Option<u64> {
        match &self.limits.level {
            Level::All => None,
            Level::Fixed(calls) => Some(*calls),
            Level::Adaptive(controller) => Some(controller.most()),
        }
    }

    fn per_minute(&self) -> Option<u64> {
        let calls = self.limits.rates.iter().filter(|rate| rate.counts == Counts::Calls);
        calls.map(|rate| starts_in(&rate.quota, MINUTE)).min()
    }
}

impl Lane {
    /// What an item asks for: units, of whatever counts them, and sets of its own beside those of the node.
    pub(crate) fn demand(&self, cost: Cost, sets: Vec<LimitSet>) -> Result<Demand, paceline::Error> {
        let sets = if sets.is_empty() { None } else { Some(Outer::with(self.outer.as_ref(), sets)?) };
        if cost.is_empty() {
            return Ok(Demand { own: cost, outer: Vec::new(), sets });
        }
        let shared = sets.as_ref().or(self.outer.as_ref());
        let is_own = |key: &str| self.own.as_ref().is_some_and(|own| own.keys().any(|own| own == key));
        // What nobody knows is left to whoever is asked last, who says so.
        let is_shared = |key: &str| !is_own(key) || shared.is_some_and(|shared| shared.knows(key));
        let own = cost.iter().copied().filter(|(key, _)| shared.is_none() || is_own(key)).collect();
        let outer = cost.iter().copied().filter(|(key, _)| is_shared(key)).collect();
        Ok(Demand { own, outer, sets })
    }

    /// Waits for all that one attempt needs. A retry keeps the place of its first attempt where that is in one set.
    pub(crate) async fn acquire(&self, demand: &Demand, first: Option<Arrival>) -> Result<Held, paceline::Error> {
        match (&self.own, demand.sets.as_ref().or(self.outer.as_ref())) {
            (None, None) => Ok(Held { own: None, lent: Lent::Nothing }),
            (Some(own), None) => {
                let own = match first {
                    None => own.acquire(&*demand.own).await?,
                    Some(first) => own.request(&*demand.own).arrived(first).acquire().await?,
                };
                Ok(Held { own: Some(own.into_owned()), lent: Lent::Nothing })
            }
            (None, Some(outer)) => Ok(Held { own: None, lent: outer.acquire(&demand.outer, first).await? }),
            (Some(own), Some(outer)) => match self.order {
                Order::OwnFirst => {
                    let own = own.acquire(&*demand.own).await?.into_owned();
                    Ok(Held { own: Some(own), lent: outer.acquire(&demand.outer, first).await? })
                }
                Order::AtOnce => self.at_once(own, outer, demand, first).await,
            },
        }
    }

    /// Takes of both at one instant. It has its turn alone, so the room that it found in its own limits is still there
    /// when the shared have some; where that is not so, since they have just been cut or paused, it lets go and begins
    /// anew.
    async fn at_once(
        &self,
        own: &LimitSet,
        outer: &Outer,
        demand: &Demand,
        first: Option<Arrival>,
    ) -> Result<Held, paceline::Error> {
        let _turn = self.turn.lock().await;
        let mut arrival = first;
        loop {
            let permit = own.acquire(&*demand.own).await?;
            match outer.try_acquire(&demand.outer, arrival) {
                Ok(lent) => return Ok(Held { own: Some(permit.into_owned()), lent }),
                Err(error) => {
                    Held { own: Some(permit.into_owned()), lent: Lent::Nothing }.undo();
                    not_now(error)?;
                }
            }
            let lent = outer.acquire(&demand.outer, arrival).await?;
            match own.try_acquire(&*demand.own) {
                Ok(permit) => return Ok(Held { own: Some(permit.into_owned()), lent }),
                Err(error) => {
                    arrival = lent.arrival();
                    Held { own: None, lent }.undo();
                    not_now(error)?;
                }
            }
        }
    }

    /// Whether another attempt is likely to be served by another set.
    pub(crate) fn chooses(&self) -> bool {
        matches!(self.outer, Some(Outer::Pool(_)))
    }

    /// How many of `items` may be in progress now: waiting, running, or waiting to be made again. Whoever shares a
    /// limit should not find a whole batch before him.
    pub(crate) fn bound(&self, items: usize) -> usize {
        if items <= LEAST {
            return items;
        }
        let own = self.own.as_ref().and_then(in_flight);
        let most = own.into_iter().chain(self.outer.as_ref().and_then(Outer::in_flight)).min();
        most.map_or(items, |most| usize::try_from(most.saturating_mul(2)).unwrap_or(items).max(LEAST))
    }
}

/// Whether there is only no room now.
fn not_now(error: paceline::Error) -> Result<(), paceline::Error> {
    if matches!(error, paceline::Error::NotNow { .. }) { Ok(()) } else { Err(error) }
}

/// Calls that a set lets be in flight, if it limits that.
pub(crate) fn in_flight(set: &LimitSet) -> Option<u64> {
    let resources = set.snapshot().limits.into_iter().filter(|limit| limit.view.kind == LimitKind::Resource);
    resources.map(|limit| limit.view.capacity).min().filter(|most| *most < u64::MAX)
}

fn template(name: &Arc<str>, limits: &Limits) -> Result<Template, paceline::Error> {
    let mut set = LimitSet::builder(Arc::clone(name));
    for rate in &limits.rates {
        set = match rate.counts {
            Counts::Calls => set.calls_as(Arc::clone(&rate.key), rate.quota),
            Counts::Units => set.rate(Arc::clone(&rate.key), rate.quota),
        };
    }
    set = match &limits.level {
        Level::All => set,
        Level::Fixed(calls) => set.concurrency(*calls),
        Level::Adaptive(controller) => set.adaptive(controller.clone()),
    };
    set.template()
}
