//! Graphs of any shape under limits of any kind, where everything fails now and then and is ended at any time: each
//! instance has one outcome, every permit comes back, and no service sees more than was allowed.

mod build;
mod plan;
mod world;

use std::time::Duration;

use paceline_flow::{BatchFlow, Report};
use proptest::prelude::*;

use build::{Builder, Sets};
use plan::{End, Plan, plan};
use world::World;

/// Longer than anything lasts: whoever takes as long hangs.
const EVER: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// Longer than any window, gate or backoff.
const REST: Duration = Duration::from_secs(60 * 60);

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_instance_has_one_outcome_and_every_permit_comes_back(plan in plan()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let wrong = runtime.block_on(holds(&plan));
        prop_assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// What of all that should hold does not.
async fn holds(plan: &Plan) -> Vec<String> {
    let mut builder = Builder { sets: Sets::new(plan), nodes: Vec::new() };
    let (flow, world) = (builder.flow(plan), World::seeded(plan.seed));
    let flow = &flow;
    let reports = run(plan, flow, &world).await;
    let (calls, events, now) = world.life();
    world.expect(now == 0, || format!("{now} calls go on"));
    idle(&builder, flow, &world);
    told_of(plan, flow, &world, reports.as_deref());

    tokio::time::sleep(REST).await;
    world.expect(world.life() == (calls, events, 0), || "something went on after the end".into());

    flow.handle().resume();
    world.calm_down();
    let instances = plan.slots * 2 + 1;
    match tokio::time::timeout(EVER, flow.run_over(&world, 5_000..5_000 + instances)).await {
        Err(_) => world.expect(false, || "what is run afterwards hangs".into()),
        Ok(report) => after(plan, &builder, &world, &report.unwrap()),
    }
    idle(&builder, flow, &world);
    world.wrong()
}

/// The reports, or none where it was dropped.
async fn run(plan: &Plan, flow: &BatchFlow<'_, World, u64>, world: &World) -> Option<Vec<Report>> {
    let runs = if plan.twice { 2 } else { 1 };
    let params = |run: u64| run * 1_000..run * 1_000 + plan.instances;
    let runs = futures::future::join_all((0..runs).map(|run| flow.run_over(world, params(run))));
    let handle = flow.handle();
    let after = async |millis| tokio::time::sleep(Duration::from_millis(millis)).await;
    let reports = match plan.end {
        End::Dropped(millis) => tokio::time::timeout(Duration::from_millis(millis), runs).await.ok()?,
        End::Cancelled(millis) => {
            tokio::join!(ever(runs), async {
                after(millis).await;
                handle.cancel()
            })
            .0?
        }
        End::Drained(millis) => {
            tokio::join!(ever(runs), async {
                after(millis).await;
                handle.drain()
            })
            .0?
        }
        End::Itself | End::Deadline(_) => ever(runs).await?,
    };
    Some(reports.into_iter().map(|report| report.expect("it has no post")).collect())
}

async fn ever<F: Future>(future: F) -> Option<F::Output> {
    Some(tokio::time::timeout(EVER, future).await.expect("it hangs"))
}

/// Every set is as if nobody had been there.
fn idle(builder: &Builder, flow: &BatchFlow<'_, World, u64>, world: &World) {
    for set in builder.sets.all() {
        let seen = set.snapshot();
        let used = seen.limit("concurrency").map_or(0, |limit| limit.used);
        let (active, waiting) = (seen.active, seen.waiting);
        world.expect((active, waiting, used) == (0, 0, 0), || {
            format!("{}: {active} permits are out, {used} in use, {waiting} wait", set.name())
        });
    }
    let stats = flow.stats();
    world.expect(stats.running == 0, || format!("{} instances run", stats.running));
    let most = stats.max_concurrent_flows;
    world.expect(stats.slots <= most && stats.peak_running <= most, || format!("more than {most}: {stats:?}"));
    for node in flow.node_stats() {
        let name = node.node.rsplit('/').next().unwrap();
        let calls = world.calls(name);
        world.expect(node.in_flight == 0, || format!("{name}: {} in flight", node.in_flight));
        world.expect(node.attempts == calls, || format!("{name}: {} attempts, {calls} calls", node.attempts));
        world.expect(node.completed + node.failed <= node.items, || format!("{node:?}"));
    }
}

/// One outcome each, or of a run that was dropped at most one.
fn told_of(plan: &Plan, flow: &BatchFlow<'_, World, u64>, world: &World, reports: Option<&[Report]>) {
    let outcomes = world.outcomes();
    let runs = if plan.twice { 2 } else { 1 };
    let Some(reports) = reports else {
        let most = (0..plan.instances).map(|at| outcomes.iter().filter(|outcome| **outcome == at).count()).max();
        return world.expect(most.unwrap_or(0) <= runs, || format!("{outcomes:?} of {runs} runs"));
    };
    let each = (0..plan.instances).flat_map(|at| std::iter::repeat_n(at, runs));
    world.expect(each.eq(outcomes.iter().copied()), || format!("{outcomes:?} of {runs} runs"));
    for report in reports {
        world.expect(report.instances() == plan.instances, || format!("{report}"));
    }
    let stats = flow.stats();
    let ended = stats.completed + stats.failed + stats.rate_limited + stats.cancelled;
    world.expect(ended == plan.instances * runs as u64, || format!("{stats:?}"));
}

/// All slots are free again, with all of their own limits.
fn after(plan: &Plan, builder: &Builder, world: &World, report: &Report) {
    if let End::Deadline(_) = plan.end {
        return;
    }
    world.expect(report.is_complete(), || format!("afterwards: {report}"));
    for (name, node) in &builder.nodes {
        let Some(free) = node.free() else { continue };
        for peak in world.peaks(&format!("{name} of ")) {
            world.expect(peak == free, || format!("{name}: {peak} at once afterwards, where {free} may be"));
        }
    }
}
