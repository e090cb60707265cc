//! A node's limits in force: what its slots share, and the copy that each slot has for itself.

use std::sync::Arc;

use paceline::{Arrival, Joint, LimitKind, LimitPool, LimitSet, Pipeline, Template};

use crate::call::Held;
use crate::effective::{MINUTE, NodeShape, starts_in};
use crate::error::Error;
use crate::limits::{Counts, Level, Limits};
use crate::stats::NodeStats;

/// What all slots share of a node's limits, checked.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) limits: Limits,
    pub(crate) name: Arc<str>,
    own: Option<Template>,
    /// Retries go through a pipeline without limits, so that each attempt acquires anew what its slot has to give, and the
    /// budget is one for all slots.
    pub(crate) retries: Option<Pipeline>,
}

/// A slot's own copy.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) own: Option<LimitSet>,
    admission: Admission,
}

/// What an attempt has to acquire.
#[derive(Debug)]
enum Admission {
    Free,
    Set(LimitSet),
    /// All at one instant; beside them the first of the shared ones, which serves the call.
    Joint(Joint, LimitSet, Box<[LimitSet]>),
    /// One inside the other: what cannot be acquired together. The own has no rates then, so it is counted right.
    Within(LimitSet, Outer),
    Pool(LimitPool),
}

#[derive(Debug)]
enum Outer {
    Set(LimitSet),
    Pool(LimitPool),
}

/// Units of limits, by their keys.
type Cost = Vec<(&'static str, u64)>;

/// What an item asks for, once for all attempts.
#[derive(Debug)]
pub(crate) struct Demand {
    cost: Cost,
    /// Where the item has sets of its own: all of them with those of the node, and the first of its own.
    joint: Option<(Joint, LimitSet)>,
}

/// So that some can wait to be made again while others run, and a free place finds somebody waiting.
const LEAST: usize = 16;

impl Plan {
    pub(crate) fn new(name: &Arc<str>, limits: Limits) -> Result<Self, Error> {
        let invalid = |source| Error::Limits { node: Arc::clone(name), source };
        let own = if limits.has_own() { Some(template(name, &limits).map_err(invalid)?) } else { None };
        if limits.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(Error::Timeout { node: Arc::clone(name) });
        }
        if limits.pool.is_some() && !limits.sets.is_empty() {
            return Err(Error::PoolAndSet { node: Arc::clone(name) });
        }
        if limits.pool.is_some() && !limits.rates.is_empty() {
            return Err(Error::RateWithin { node: Arc::clone(name) });
        }
        let retries = match &limits.retry {
            Some(retry) => {
                let free = LimitSet::builder(Arc::clone(name)).build().map_err(invalid)?;
                Some(Pipeline::over(free).retry(retry.clone()).build().map_err(invalid)?)
            }
            None => None,
        };
        let plan = Self { limits, name: Arc::clone(name), own, retries };
        // A lane is made whenever a slot is: what could go wrong then has to go wrong now.
        plan.try_open()?;
        Ok(plan)
    }

    /// A copy for another slot.
    pub(crate) fn open(&self) -> Lane {
        self.try_open().expect("it could be opened when the graph was checked")
    }

    fn try_open(&self) -> Result<Lane, Error> {
        let own = self.own.as_ref().map(|template| template.make(Arc::clone(&self.name)));
        let admission = match (&own, &self.limits.pool, &*self.limits.sets) {
            (None, None, []) => Admission::Free,
            (Some(own), None, []) => Admission::Set(own.clone()),
            (None, None, [set]) => Admission::Set(set.clone()),
            (None, Some(pool), _) => Admission::Pool(pool.clone()),
            (Some(own), Some(pool), _) => Admission::Within(own.clone(), Outer::Pool(pool.clone())),
            (own, None, sets @ [first, ..]) => match LimitSet::all(own.iter().chain(sets)) {
                Ok(joint) => Admission::Joint(joint, first.clone(), own.iter().chain(sets).cloned().collect()),
                Err(source) => match (own, sets) {
                    (Some(own), [set]) if self.limits.rates.is_empty() => {
                        Admission::Within(own.clone(), Outer::Set(set.clone()))
                    }
                    _ => return Err(Error::Limits { node: Arc::clone(&self.name), source }),
                },
            },
        };
        Ok(Lane { own, admission })
    }
}

impl Lane {
    /// What an item asks for: units, and sets of its own beside those of the node.
    pub(crate) fn demand(&self, cost: Cost, sets: Vec<LimitSet>) -> Result<Demand, paceline::Error> {
        let others: &[LimitSet] = match &self.admission {
            _ if sets.is_empty() => return Ok(Demand { cost, joint: None }),
            Admission::Free => &[],
            Admission::Set(set) => std::slice::from_ref(set),
            Admission::Joint(_, _, sets) => sets,
            Admission::Pool(_) | Admission::Within(..) => {
                return Err(paceline::Error::NotJoinable { why: "the node has a pool, or a set that lives elsewhere" });
            }
        };
        let joint = LimitSet::all(others.iter().chain(&sets))?;
        let serving = sets.into_iter().next();
        Ok(Demand { cost, joint: serving.map(|serving| (joint, serving)) })
    }

    /// Waits for all that one attempt needs. A retry of the slot's own or of one shared set keeps the place of its first
    /// attempt.
    pub(crate) async fn acquire(&self, demand: &Demand, first: Option<Arrival>) -> Result<Held, paceline::Error> {
        let cost = &*demand.cost;
        if let Some((joint, serving)) = &demand.joint {
            return all_of(joint, serving, cost).await;
        }
        Ok(match &self.admission {
            Admission::Free => Held::Nothing,
            Admission::Set(set) => {
                let permit = match first {
                    None => set.acquire(cost).await?,
                    Some(first) => set.request(cost).arrived(first).acquire().await?,
                };
                Held::One(permit.into_owned())
            }
            Admission::Joint(joint, serving, _) => all_of(joint, serving, cost).await?,
            Admission::Pool(pool) => Held::One(pool.acquire(cost).await?.into_owned()),
            Admission::Within(own, outer) => {
                let own = own.acquire(()).await?.into_owned();
                let permit = match outer {
                    Outer::Set(set) => set.acquire(cost).await?.into_owned(),
                    Outer::Pool(pool) => pool.acquire(cost).await?.into_owned(),
                };
                Held::Within(own, permit)
            }
        })
    }

    /// Whether another attempt is likely to be served by another set.
    pub(crate) fn chooses(&self) -> bool {
        matches!(self.admission, Admission::Pool(_) | Admission::Within(_, Outer::Pool(_)))
    }

    /// How many of `items` may be in progress now: waiting, running, or waiting to be made again. Whoever shares a limit
    /// should not find a whole batch before him.
    pub(crate) fn bound(&self, items: usize) -> usize {
        if items <= LEAST {
            return items;
        }
        let most = match &self.admission {
            Admission::Free => None,
            Admission::Set(set) => in_flight(set),
            Admission::Joint(_, _, sets) => sets.iter().filter_map(in_flight).min(),
            Admission::Within(own, _) => in_flight(own),
            Admission::Pool(pool) => {
                pool.members().iter().map(in_flight).try_fold(0_u64, |sum, each| Some(sum.saturating_add(each?)))
            }
        };
        most.map_or(items, |most| usize::try_from(most.saturating_mul(2)).unwrap_or(items).max(LEAST))
    }
}

async fn all_of(joint: &Joint, serving: &LimitSet, cost: &[(&'static str, u64)]) -> Result<Held, paceline::Error> {
    let permit = joint.acquire(cost).await?;
    let serving = permit.permits().iter().position(|part| part.set().is(serving)).unwrap_or_default();
    Ok(Held::Joint(permit, serving))
}

/// Calls that a set lets be in flight, if it limits that.
fn in_flight(set: &LimitSet) -> Option<u64> {
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

impl Plan {
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
            Level::Adaptive(controller) => Some(controller.max_concurrent()),
        }
    }

    fn per_minute(&self) -> Option<u64> {
        let calls = self.limits.rates.iter().filter(|rate| rate.counts == Counts::Calls);
        calls.map(|rate| starts_in(&rate.quota, MINUTE)).min()
    }
}
