//! How much memory a batch flow takes, and that it is the same for ten times as many instances.
//!
//! A binary of its own with one test, since the allocator that counts does so for the whole process.

use std::alloc::System;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use paceline::{LimitSet, Quota};
use paceline_flow::{Action, BatchFlow, Cx, Graph, Limits, Node, Outcome, Result};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn held() -> usize {
    let stats = HEAP.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// A node whose item and output are of a kilobyte: held once too long, they would show.
struct Copies;

#[derive(Default)]
struct Most {
    bytes: AtomicU64,
    instances: AtomicU64,
}

impl Node for Copies {
    type Shared = Most;
    type Params = u64;
    type Item = Vec<u64>;
    type Output = Vec<u64>;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<Vec<u64>>> {
        Ok(vec![vec![*cx.params; 128]])
    }

    async fn exec(&self, _: Cx<'_, Self>, item: &Vec<u64>) -> Result<Vec<u64>> {
        tokio::time::sleep(Duration::from_millis(item[0] * 7_919 % 10)).await;
        Ok(item.clone())
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<Vec<u64>>, _: Vec<Vec<u64>>) -> Result<Action> {
        cx.shared.bytes.fetch_max(held() as u64, Relaxed);
        Ok(Action::DEFAULT)
    }
}

/// The most bytes that were held whenever a node was done, above those before, and what was left at the end.
async fn peak_of(instances: u64) -> (u64, u64) {
    let before = held() as u64;
    let api = LimitSet::builder("api").calls(Quota::per_second(50_000)).concurrency(150).build().unwrap();
    let mut graph = Graph::new();
    let limits =
        [Limits::concurrent(2), Limits::none().shared(&api), Limits::concurrent(2).per_second(500).shared(&api)];
    let [first, second, third] = limits.map(|limits| graph.add(Copies, limits));
    graph.then(first, second).then(second, third);
    let flow = BatchFlow::over(graph.start(first).unwrap()).max_concurrent_flows(100).label(u64::to_string);
    let most = Most::default();
    let told = |most: &Most, _: &Outcome| {
        most.instances.fetch_add(1, Relaxed);
    };
    let flow = flow.on_outcome(told).build().unwrap();
    let report = flow.run_over(&most, 0..instances).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.completed, most.instances.into_inner()), (instances, instances));
    drop((report, flow, api));
    (most.bytes.into_inner() - before, (held() as u64).saturating_sub(before))
}

#[tokio::test(start_paused = true)]
async fn the_heap_of_a_batch_flow_does_not_grow_with_its_instances() {
    // What is made once, by whoever comes first, is not the flow's.
    peak_of(1_000).await;
    let (few_peak, _) = peak_of(10_000).await;
    let (peak, left) = peak_of(100_000).await;
    println!("10,000 instances: {few_peak} bytes at most; 100,000 instances: {peak} bytes at most, {left} left");
    assert!(peak < 2 * 1024 * 1024, "100 instances with a kilobyte twice, and the limits of their slots: {peak} bytes");
    assert!(peak < few_peak + few_peak / 20, "{peak} bytes for 100,000 instances, {few_peak} for a tenth");
    assert!(left < 128 * 1024, "{left} bytes left");
}
