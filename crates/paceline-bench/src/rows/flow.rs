//! What a flow costs a node execution, beside the same futures awaited without one.
//!
//! 1,000 instances, 16 at once, each of three nodes of one item, whose call gives way once and else does nothing. The
//! peer calls the same methods of the same nodes in the same order, as many at once. The first row has no limits but
//! that; the others have more than is ever used, so nothing waits.

use std::hint::black_box;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use paceline::Clock;
use paceline_flow::{BatchFlow, Context, Cx, Graph, Limits, Node, Result};
use tokio::runtime::Runtime;

use crate::harness::{Effort, compare};
use crate::ours::{self, window_quota};
use crate::table::Row;

const INSTANCES: u64 = 1_000;
const AT_ONCE: usize = 16;
const EXECUTIONS: u32 = 3 * INSTANCES as u32;

/// A call is a run of all instances.
const RUNS: Effort = Effort { rounds: 201, calls: 1 };

pub(crate) fn rows() -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let shared = ours::one_bucket(Clock::tokio());
    let own = || Limits::concurrent(5).calls(window_quota());
    vec![
        row(&runtime, "no limits", &Limits::none()),
        row(&runtime, "5 at once", &Limits::concurrent(5)),
        row(&runtime, "5 at once, a window", &own()),
        row(&runtime, "5 at once, a window, a shared bucket", &own().shared(&shared)),
    ]
}

fn row(runtime: &Runtime, name: &str, limits: &Limits) -> Row {
    let flow = flow(limits);
    let ours = || {
        let report = runtime.block_on(flow.run_over(&(), 0..INSTANCES)).expect("it has no post");
        assert!(report.is_complete(), "{report}");
    };
    let both = compare(RUNS, ours, || runtime.block_on(bare()));
    let each = |run: Duration| (run / EXECUTIONS).as_nanos();
    Row::new(format!("flow: a node execution, {name}"), both.ratio).peer("bare futures").note(format!(
        "{} against {} ns",
        each(both.ours),
        each(both.theirs)
    ))
}

struct GivesWay;

impl Node for GivesWay {
    type Shared = ();
    type Params = u64;
    type Item = u64;
    type Output = u64;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u64>> {
        Ok(vec![*cx.params])
    }

    async fn exec(&self, _: Cx<'_, Self>, item: &u64) -> Result<u64> {
        tokio::task::yield_now().await;
        Ok(black_box(*item))
    }
}

fn flow(limits: &Limits) -> BatchFlow<'static, (), u64> {
    let mut graph = Graph::new();
    let [first, second, third] = std::array::from_fn(|_| graph.add(GivesWay, limits.clone()));
    graph.then(first, second).then(second, third);
    let flow = BatchFlow::over(graph.start(first).expect("a valid graph"));
    flow.max_concurrent_flows(AT_ONCE as u64).build().expect("a valid flow")
}

async fn bare() {
    let instances = stream::iter(0..INSTANCES).map(|params| async move {
        for node in [GivesWay, GivesWay, GivesWay] {
            let cx = Context::new(&(), &params);
            let items = node.prep(cx).await?;
            let mut outputs = Vec::with_capacity(items.len());
            for item in &items {
                outputs.push(node.exec(cx, item).await?);
            }
            node.post(cx, items, outputs).await?;
        }
        Ok(())
    });
    let done = instances
        .buffer_unordered(AT_ONCE)
        .filter(|result: &Result<()>| std::future::ready(result.is_ok()))
        .count()
        .await;
    assert_eq!(done as u64, INSTANCES);
}
