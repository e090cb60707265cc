//! Graphs with branches and cycles, flows within flows, and many instances.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use paceline_flow::{Action, BatchFlow, Context, Cx, Graph, Limits, Node, Result};

use crate::support::{Act, Job, Which, World, only};

/// A node that borrows, and says what it is told.
struct Say<'c> {
    name: &'static str,
    says: &'c (dyn Fn(u64) -> &'static str + Send + Sync),
}

impl Node for Say<'_> {
    type Shared = Mutex<Vec<String>>;
    type Params = u64;
    type Item = ();
    type Output = ();

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<()>> {
        cx.shared.lock().unwrap().push(format!("{}{}", self.name, cx.params));
        Ok(vec![])
    }

    async fn exec(&self, _: Cx<'_, Self>, (): &()) -> Result<()> {
        Ok(())
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<()>, _: Vec<()>) -> Result<Action> {
        Ok((self.says)(*cx.params).into())
    }
}

#[tokio::test(start_paused = true)]
async fn actions_choose_the_way_and_nodes_may_borrow() {
    let rounds = AtomicU64::new(0);
    let review = |_| if rounds.fetch_add(1, Relaxed) < 2 { "reject" } else { "approve" };
    let (plain, log) = (|_| "default", Mutex::new(Vec::new()));
    let mut graph = Graph::new();
    let write = graph.add(Say { name: "write", says: &plain }, Limits::none());
    let check = graph.add(Say { name: "check", says: &review }, Limits::none());
    let publish = graph.add(Say { name: "publish", says: &plain }, Limits::none());
    graph.then(write, check).on(check, "reject", write).on(check, "approve", publish);
    let action = graph.start(write).unwrap().run(&log, 7).await.unwrap();
    assert_eq!(action, Action::DEFAULT);
    let way = ["write7", "check7", "write7", "check7", "write7", "check7", "publish7"];
    assert_eq!(log.into_inner().unwrap(), way);
}

#[tokio::test(start_paused = true)]
async fn a_flow_is_a_node_with_parameters_of_its_own_and_its_action() {
    struct Outer;
    impl Node for Outer {
        type Shared = World;
        type Params = String;
        type Item = ();
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
            Ok(vec![])
        }

        async fn exec(&self, _: Cx<'_, Self>, (): &()) -> Result<()> {
            Ok(())
        }
    }
    let world = World::default();
    let mut graph = Graph::new();
    let fails = |which: Which| if which.params > 9 { Act::Fail(1, "too long".into()) } else { Act::Take(1) };
    let inner = only(Job::new(2, fails).saying("counted"), Limits::concurrent(1));
    let outer = graph.add(Outer, Limits::none());
    let inner = graph.add_flow("count", inner, |cx| Ok(u64::try_from(cx.params.len())?));
    graph.on(inner, "counted", outer);
    let flow = BatchFlow::over(graph.start(inner).unwrap()).max_concurrent_flows(2).build().unwrap();
    let params = ["one", "three", "seventeen of them"].map(String::from);
    let report = flow.run_over(&world, params).await.unwrap();
    assert_eq!((report.completed, report.failed), (2, 1));
    assert_eq!(report.failures[0].failure().unwrap().to_string(), "`count/Job`, item 0: too long");
    let mut posts = world.posts.lock().unwrap().clone();
    posts.sort();
    assert_eq!(posts, [(3, vec![0, 1]), (5, vec![0, 1])]);
    let nodes = flow.node_stats();
    let names: Vec<_> = nodes.iter().map(|stats| (&*stats.node, stats.runs)).collect();
    assert_eq!(names, [("Outer", 2), ("count/Job", 3)]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_flow_is_a_node_whose_limits_multiply() {
    let world = World::default();
    let inner =
        BatchFlow::over(only(Job::taking(4, 100), Limits::concurrent(2))).max_concurrent_flows(3).build().unwrap();
    let mut graph = Graph::new();
    let inner = graph
        .add_batch("documents", inner, |cx: Context<'_, World, u64>| Ok((0..6).map(|n| cx.params * 10 + n).collect()));
    let flow = BatchFlow::over(graph.start(inner).unwrap()).max_concurrent_flows(4).build().unwrap();
    let report = flow.run_over(&world, 0..8).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((world.service.peak(), world.service.calls()), (24, 8 * 6 * 4));
    assert_eq!(flow.effective_limits().at_once("documents/Job"), Some(24));
    assert_eq!(world.posts.lock().unwrap().len(), 48);
}

#[tokio::test(start_paused = true)]
async fn a_nested_batch_that_is_not_complete_fails_its_node_unless_its_post_says_otherwise() {
    let fails = |which: Which| if which.params == 2 { Act::Fail(1, "no".into()) } else { Act::Take(1) };
    let inner = || BatchFlow::over(only(Job::new(1, fails), Limits::none()));
    let world = World::default();
    let run = |inner: BatchFlow<'static, World, u64>| async {
        let mut graph = Graph::new();
        let inner = graph.add_batch("inner", inner, |_| Ok(vec![1, 2, 3]));
        graph.start(inner).unwrap().run(&world, 0).await
    };
    let error = run(inner().build().unwrap()).await.unwrap_err().to_string();
    assert_eq!(error, "`inner`: 1 of 3 instances did not complete; the first, instance 1: `inner/Job`, item 0: no");
    let post = |_: &World, report: &paceline_flow::Report| Ok(if report.completed > 1 { "most" } else { "few" }.into());
    assert_eq!(run(inner().post(post).build().unwrap()).await.unwrap(), "most");
}

#[tokio::test(start_paused = true)]
async fn instances_begin_in_the_order_of_their_parameters_and_reports_stay_small() {
    let (world, order) = (World::default(), Mutex::new(Vec::new()));
    let act = |which: Which| {
        order.lock().unwrap().push(which.params);
        Act::Take(1 + which.params % 7)
    };
    let flow = BatchFlow::over(only(Job::new(1, act), Limits::none())).max_concurrent_flows(20).build().unwrap();
    let report = flow.run_over(&world, 0..3_000).await.unwrap();
    assert_eq!((report.completed, report.failures.capacity()), (3_000, 0));
    assert!(order.lock().unwrap().iter().copied().eq(0..3_000));
    assert_eq!(world.service.peak(), 20);
    assert_eq!(flow.stats().slots, 20);
}

#[tokio::test(start_paused = true)]
async fn instances_start_as_their_rate_allows() {
    let world = World::default();
    let flow = BatchFlow::over(only(Job::taking(1, 10), Limits::none()))
        .max_concurrent_flows(50)
        .max_flows_per_minute(60)
        .build()
        .unwrap();
    let report = flow.run_over(&world, 0..200).await.unwrap();
    assert_eq!((report.completed, world.service.fullest_minute()), (200, 60));
    assert_eq!(report.took.as_secs(), 180);
    let stats = flow.stats();
    assert_eq!((stats.window_count, stats.completed), (20, 200));
    assert!((stats.utilisation().unwrap() - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn a_stream_with_a_deadline_may_be_made_where_there_is_no_runtime() {
    let (world, deadline) = (World::default(), std::time::Duration::from_secs(1));
    let flow = BatchFlow::over(only(Job::taking(1, 10), Limits::none())).deadline(deadline).build().unwrap();
    drop(flow.stream_over(&world, 0..3));
}
