//! The flow that a plan describes.

use std::time::Duration;

use paceline::{Aimd, LimitPool, LimitSet, Quota, RateLimitHit, Retry};
use paceline_flow::{Action, BatchFlow, BoxError, Context, Cx, Flow, Graph, Limits, Node, Result};

use super::plan::{BatchPlan, End, GraphPlan, Level, NodePlan, Outer, Plan, StagePlan};
use super::world::{Gauge, World};

/// Times that an instance comes somewhere before it is sent to its end.
const VISITS: u32 = 8;

/// What nodes share, with how many calls at once and in a minute.
#[derive(Clone)]
pub(super) struct Sets {
    shared: [(LimitSet, u64, u64); 2],
    tenants: [LimitSet; 2],
    pool: LimitPool,
}

const TENANT: u64 = 2;
const MEMBER: u64 = 2;

impl Sets {
    pub(super) fn new(plan: &Plan) -> Self {
        let set = |name: &str, at_once| LimitSet::builder(name).concurrency(at_once);
        let shared = [0, 1].map(|at| {
            let (at_once, per_minute) = plan.sets[at];
            let set = set(&format!("set {at}"), at_once).calls(Quota::per_minute(per_minute)).build().unwrap();
            (set, at_once, per_minute)
        });
        let tenants = ["tenant 0", "tenant 1"].map(|name| set(name, TENANT).build().unwrap());
        let members = ["member 0", "member 1"].map(|name| set(name, MEMBER).build().unwrap());
        let pool = members.into_iter().fold(LimitPool::builder("pool"), |pool, member| pool.member(member));
        Self { shared, tenants, pool: pool.build().unwrap() }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &LimitSet> {
        self.shared.iter().map(|(set, ..)| set).chain(&self.tenants).chain(self.pool.members())
    }
}

/// Makes flows, and keeps what it made of nodes: each with its name and how many instances may be at it at once.
pub(super) struct Builder {
    pub(super) sets: Sets,
    pub(super) nodes: Vec<(String, NodePlan)>,
}

impl Builder {
    pub(super) fn flow(&mut self, plan: &Plan) -> BatchFlow<'static, World, u64> {
        let flow = BatchFlow::over(self.graph(&plan.graph, plan.slots));
        let mut flow =
            if plan.adaptive { flow.adaptive(aimd(plan.slots)) } else { flow.max_concurrent_flows(plan.slots) };
        if let Some(instances) = plan.per_minute {
            flow = flow.max_flows_per_minute(instances);
        }
        if let Some(attempts) = plan.attempts {
            flow = flow.retry(Retry::attempts(attempts).seed(plan.seed));
        }
        if let End::Deadline(millis) = plan.end {
            flow = flow.deadline(Duration::from_millis(millis));
        }
        flow.on_outcome(|world: &World, outcome| world.ended(outcome.instance)).build().unwrap()
    }

    fn graph(&mut self, plan: &GraphPlan, slots: u64) -> Flow<'static, World, u64> {
        let mut graph = Graph::new();
        let stages: Vec<_> = plan
            .stages
            .iter()
            .map(|stage| match stage {
                StagePlan::Node(node) => {
                    let name = format!("node {}", self.nodes.len());
                    self.nodes.push((name.clone(), node.clone()));
                    let caller = Caller { name: name.clone(), plan: node.clone(), slots, sets: self.sets.clone() };
                    let limits = caller.limits();
                    graph.add_as(&name, caller, limits)
                }
                StagePlan::Flow(inner) => graph.add_flow("flow", self.graph(inner, slots), made),
                StagePlan::Batch(inner) => {
                    let BatchPlan { slots: inside, instances, has_post, .. } = *inner;
                    let batch = BatchFlow::over(self.graph(&inner.graph, slots * inside)).max_concurrent_flows(inside);
                    let batch = if has_post {
                        batch.post(move |world, report| {
                            world.expect(report.instances() == instances, || {
                                format!("{report} of {instances} nested ones")
                            });
                            Ok(action(world))
                        })
                    } else {
                        batch
                    };
                    let params = move |cx: Context<'_, World, u64>| {
                        let first = made(cx)? * 100 + 1;
                        Ok((first..first + instances).collect())
                    };
                    graph.add_batch("batch", batch.build().unwrap(), params)
                }
            })
            .collect();
        for (from, action, to) in &plan.edges {
            graph.on(stages[*from], *action, stages[*to]);
        }
        graph.start(stages[0]).unwrap()
    }
}

/// Parameters of a nested flow.
fn made(cx: Context<'_, World, u64>) -> Result<u64> {
    trouble(cx.shared, 3)?;
    Ok(*cx.params)
}

/// An error or a panic, so many times in a hundred.
fn trouble(world: &World, percent: u64) -> Result<()> {
    let roll = world.roll(200);
    if world.is_calm() || roll >= percent * 2 {
        return Ok(());
    }
    assert!(roll >= percent, "it panicked");
    Err("it failed".into())
}

fn action(world: &World) -> Action {
    let roll = world.roll(8) as usize;
    if world.is_calm() { "next" } else { ["next", "next", "next", "next", "a", "a", "b", "stray"][roll] }.into()
}

fn aimd(most: u64) -> Aimd {
    Aimd::builder().initial_concurrent(most.div_ceil(2)).max_concurrent(most).build().unwrap()
}

/// A node that calls the services.
struct Caller {
    name: String,
    plan: NodePlan,
    /// Of all flows that it is in, multiplied.
    slots: u64,
    sets: Sets,
}

impl Caller {
    fn limits(&self) -> Limits {
        let plan = &self.plan;
        let mut limits = match plan.level {
            Level::All => Limits::none(),
            Level::Fixed(most) => Limits::concurrent(most),
            Level::Adaptive(most) => Limits::adaptive(aimd(most)),
        };
        limits = plan.per_minute.into_iter().fold(limits, Limits::per_minute);
        limits = plan.tokens.into_iter().fold(limits, |limits, most| limits.rate("tokens", Quota::per_minute(most)));
        limits = plan.attempts.into_iter().fold(limits, |limits, most| limits.retry(Retry::attempts(most).seed(7)));
        let timeout = plan.timeout.map(Duration::from_millis);
        limits = timeout.into_iter().fold(limits, Limits::timeout);
        limits = match plan.outer {
            Outer::Nothing => limits,
            Outer::Pool => limits.pool(&self.sets.pool),
            Outer::Sets(which, _) => {
                let named = self.sets.shared.iter().zip(which).filter(|(_, named)| *named);
                named.fold(limits, |limits, ((set, ..), _)| limits.shared(set))
            }
        };
        if plan.propagates { limits.propagate_rate_limit() } else { limits }
    }

    /// What sees this call, and what each may see.
    fn gauges(&self, cx: Cx<'_, Self>, item: u64) -> Vec<Gauge> {
        let gauge = |name, at_once, per_minute| Gauge { name, at_once, per_minute };
        let (most, times) = (self.plan.level.most(), |each: u64| each * self.slots);
        let mut gauges = vec![
            gauge(format!("{} of {}", self.name, cx.params), most, None),
            gauge(self.name.clone(), most.map(times), self.plan.per_minute.map(times)),
        ];
        match self.plan.outer {
            Outer::Nothing => {}
            Outer::Pool => {
                let member = cx.served_by().expect("it has limits").name().to_owned();
                gauges.push(gauge(member, Some(MEMBER), None));
            }
            Outer::Sets(which, tenants) => {
                let named = self.sets.shared.iter().zip(which).filter(|(_, named)| *named);
                gauges
                    .extend(named.map(|((set, most, rate), _)| gauge(set.name().to_owned(), Some(*most), Some(*rate))));
                gauges.extend(tenants.then(|| gauge(format!("tenant {}", item % 2), Some(TENANT), None)));
            }
        }
        gauges
    }
}

impl Node for Caller {
    type Shared = World;
    type Params = u64;
    type Item = u64;
    type Output = u64;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u64>> {
        cx.shared.happened();
        trouble(cx.shared, 3)?;
        if cx.shared.is_calm() {
            return Ok((0..self.plan.free().unwrap_or(2)).collect());
        }
        tokio::time::sleep(Duration::from_millis(cx.shared.roll(20))).await;
        Ok((0..self.plan.items).collect())
    }

    async fn exec(&self, cx: Cx<'_, Self>, item: &u64) -> Result<u64> {
        let world = cx.shared;
        let _inside = world.enter(self.gauges(cx, *item));
        if world.is_calm() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            return Ok(*item);
        }
        let fate = world.roll(100);
        let takes = if (94..97).contains(&fate) { 100_000 } else { world.roll(200) };
        tokio::time::sleep(Duration::from_millis(takes)).await;
        match fate {
            0..10 => Err("it failed".into()),
            10..18 => Err(RateLimitHit::new("slow down").retry_after(Duration::from_millis(world.roll(2_000))).into()),
            18..20 => Err(RateLimitHit::new("slow down").into()),
            20..24 => panic!("it panicked"),
            24..28 => {
                cx.retry_after(Duration::from_millis(world.roll(500)));
                cx.report(paceline::Verdict::Overloaded);
                Ok(*item)
            }
            _ => {
                if self.plan.tokens.is_some() {
                    cx.settle([("tokens", world.roll(14))])?;
                }
                Ok(*item)
            }
        }
    }

    async fn fallback(&self, cx: Cx<'_, Self>, item: &u64, error: BoxError) -> Result<u64> {
        trouble(cx.shared, 3)?;
        if self.plan.rescues { Ok(*item) } else { Err(error) }
    }

    async fn post(&self, cx: Cx<'_, Self>, items: Vec<u64>, outputs: Vec<u64>) -> Result<Action> {
        cx.shared.happened();
        cx.shared.expect(items == outputs, || format!("{}: {outputs:?} of {items:?}", self.name));
        trouble(cx.shared, 3)?;
        let last = !cx.shared.is_calm() && cx.shared.visit(*cx.params) > VISITS;
        Ok(if last { "end".into() } else { action(cx.shared) })
    }

    fn cost(&self, cx: Cx<'_, Self>, _: &u64) -> Vec<(&'static str, u64)> {
        let most = if cx.shared.is_calm() { 1 } else { 13 };
        self.plan.tokens.map(|_| ("tokens", cx.shared.roll(most))).into_iter().collect()
    }

    fn sets(&self, _: Cx<'_, Self>, item: &u64) -> Result<Vec<LimitSet>> {
        Ok(match self.plan.outer {
            Outer::Sets(_, true) => vec![self.sets.tenants[(*item % 2) as usize].clone()],
            _ => Vec::new(),
        })
    }
}
