//! What nobody means to do: it has a clear outcome, hangs nobody, and the rest goes on.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures::FutureExt;
use paceline::LimitSet;
use paceline_flow::{Action, BatchFlow, Blocking, BlockingNode, Cause, Context, Cx, Flow, Graph, Limits, Node, Result};

use crate::support::{Job, World, only};

const SOON: Duration = Duration::from_secs(10);

fn job() -> Job<'static> {
    Job::taking(1, 10)
}

#[tokio::test(start_paused = true)]
async fn parameters_that_panic_are_their_callers_and_leave_the_flow_as_it_was() {
    let (set, world) = (LimitSet::builder("shared").concurrency(2).build().unwrap(), World::default());
    let flow =
        BatchFlow::over(only(job(), Limits::concurrent(1).shared(&set))).max_concurrent_flows(2).build().unwrap();
    let params = (0..50).inspect(|at| assert_ne!(*at, 30));
    let run = std::panic::AssertUnwindSafe(flow.run_over(&world, params)).catch_unwind();
    assert!(run.await.is_err());
    assert_eq!((set.snapshot().active, flow.stats().running, world.service.now()), (0, 0, 0));
    assert!(flow.run_over(&world, 0..5).await.unwrap().is_complete());
}

#[tokio::test(start_paused = true)]
async fn one_flow_run_twice_at_once_keeps_its_limits() {
    let world = World::default();
    let flow =
        BatchFlow::over(only(Job::taking(4, 10), Limits::concurrent(2))).max_concurrent_flows(3).build().unwrap();
    let (first, second) = tokio::join!(flow.run_over(&world, 0..50), flow.run_over(&world, 0..50));
    assert!(first.unwrap().is_complete() && second.unwrap().is_complete());
    assert_eq!((world.service.peak(), flow.stats().slots, flow.stats().peak_running), (6, 3, 3));
    let once = only(Job::taking(4, 10), Limits::concurrent(3));
    let runs = (0..5).map(|at| once.run(&world, at));
    assert!(futures::future::join_all(runs).await.iter().all(Result::is_ok));
    assert_eq!(world.service.now(), 0);
}

#[test]
fn a_flow_runs_on_a_thread_of_the_blocking_pool() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let runs = runtime.spawn(async {
        let handle = tokio::runtime::Handle::current();
        let blocking = || {
            let world = World::default();
            let flow = BatchFlow::over(only(job(), Limits::concurrent(1).per_minute(60))).build().unwrap();
            handle.block_on(flow.run_over(&world, 0..5)).unwrap().completed
        };
        tokio::task::block_in_place(blocking)
    });
    assert_eq!(runtime.block_on(runs).unwrap(), 5);
}

#[tokio::test(start_paused = true)]
async fn callbacks_that_panic_or_end_the_run_harm_nobody() {
    let world = World::default();
    let flow = BatchFlow::over(only(job(), Limits::none())).on_event(|_| panic!("event")).label(|_| panic!("label"));
    let flow = flow.on_outcome(|_, _| panic!("outcome")).build().unwrap();
    assert!(flow.run_over(&world, 0..20).await.unwrap().is_complete());

    let handle = std::sync::OnceLock::<paceline_flow::FlowHandle>::new();
    let flow = BatchFlow::over(only(job(), Limits::none())).max_concurrent_flows(2);
    let flow = flow.on_outcome(|_, _| handle.get().unwrap().cancel()).build().unwrap();
    assert!(handle.set(flow.handle()).is_ok());
    let report = flow.run_over(&world, 0..20).await.unwrap();
    assert_eq!(report.instances(), 20);
    assert!(report.completed < 4, "{report}");
}

#[tokio::test(start_paused = true)]
async fn an_event_may_poll_another_flow_and_drop_it() {
    let world = World::default();
    let other = only(job(), Limits::none());
    let ran = AtomicU64::new(0);
    let flow = BatchFlow::over(only(job(), Limits::none())).on_event(|_| {
        // Polled once: it has to wait, and is dropped where it stands.
        ran.fetch_add(u64::from(other.run(&world, 1).now_or_never().is_none()), SeqCst);
    });
    assert!(flow.build().unwrap().run_over(&world, 0..3).await.unwrap().is_complete());
    assert!(ran.load(SeqCst) > 0);
    assert_eq!(world.service.now(), 0);
}

#[tokio::test(start_paused = true)]
async fn flows_nest_deeply() {
    let mut flow: Flow<'_, World, u64> = only(job(), Limits::concurrent(1));
    for _ in 0..60 {
        let mut graph = Graph::new();
        let inner = graph.add_flow("flow", flow, |cx| Ok(*cx.params));
        flow = graph.start(inner).unwrap();
    }
    let world = World::default();
    assert_eq!(flow.run(&world, 1).await.unwrap(), Action::DEFAULT);
    let stats = flow.stats();
    assert_eq!((stats.len(), stats[0].node.split('/').count()), (1, 61));
}

#[tokio::test(start_paused = true)]
async fn nodes_of_any_name_keep_it_in_a_nested_flow() {
    let mut graph = Graph::new();
    let [a, b] = ["a/x", "b/x"].map(|name| graph.add_as(name, job(), Limits::none()));
    graph.then(a, b);
    let flow = graph.start(a).unwrap();
    let mut graph = Graph::new();
    let inner = graph.add_flow("inner", flow, |cx| Ok(*cx.params));
    let flow = graph.start(inner).unwrap();
    let mut graph = Graph::new();
    let outer = graph.add_flow("outer", flow, |cx| Ok(*cx.params));
    let stats = graph.start(outer).unwrap().stats();
    assert_eq!(stats.iter().map(|node| &*node.node).collect::<Vec<_>>(), ["outer/inner/a/x", "outer/inner/b/x"]);
}

#[tokio::test(start_paused = true)]
async fn a_huge_batch_is_worked_off() {
    let world = World::default();
    let flow = only(Job::taking(20_000, 1), Limits::concurrent(100));
    flow.run(&world, 1).await.unwrap();
    assert_eq!((world.service.calls(), world.service.peak()), (20_000, 100));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_acquires_its_own_limit_again_waits_until_its_timeout() {
    let set = LimitSet::builder("shared").concurrency(1).build().unwrap();
    struct Twice(LimitSet);
    impl Node for Twice {
        type Shared = ();
        type Params = u64;
        type Item = ();
        type Output = ();
        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![()])
        }
        async fn exec(&self, _: Cx<'_, Self>, _: &()) -> Result<()> {
            drop(self.0.acquire(()).await?);
            Ok(())
        }
    }
    let mut graph = Graph::new();
    let node = graph.add(Twice(set.clone()), Limits::none().shared(&set).timeout(SOON));
    let flow = BatchFlow::over(graph.start(node).unwrap()).build().unwrap();
    let report = flow.run_over(&(), 0..3).await.unwrap();
    assert_eq!((report.failed, set.snapshot().active, set.snapshot().waiting), (3, 0, 0));
    assert!(report.failures.iter().all(|outcome| matches!(outcome.failure().unwrap().cause, Cause::TimedOut(_))));
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_named_twice_is_one() {
    let set = LimitSet::builder("shared").concurrency(1).build().unwrap();
    let world = World::default();
    for limits in [Limits::none(), Limits::concurrent(2).per_minute(60)] {
        let flow = BatchFlow::over(only(Job::taking(2, 10), limits.shared(&set).shared(&set))).build().unwrap();
        let report = tokio::time::timeout(SOON, flow.run_over(&world, 0..5)).await.expect("it hangs").unwrap();
        assert!(report.is_complete(), "{report}");
        assert_eq!((world.service.peak(), set.snapshot().active), (1, 0));
    }
}

#[test]
fn a_blocking_node_needs_one_thread_of_the_pool_and_survives_panics() {
    struct Unlucky;
    impl BlockingNode for Unlucky {
        type Shared = ();
        type Params = u64;
        type Item = u64;
        type Output = u64;
        fn prep(&self, cx: Context<'_, (), u64>) -> Result<Vec<u64>> {
            Ok((0..*cx.params).collect())
        }
        fn exec(&self, item: &u64) -> Result<u64> {
            assert_ne!(*item, 3, "unlucky");
            Ok(*item)
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    let mut graph = Graph::new();
    let node = graph.add(Blocking::new(Unlucky), Limits::concurrent(8));
    let flow = BatchFlow::over(graph.start(node).unwrap()).build().unwrap();
    let report = runtime.block_on(flow.run_over(&(), 0..10)).unwrap();
    assert_eq!((report.completed, report.failed), (4, 6), "{report}");
}
