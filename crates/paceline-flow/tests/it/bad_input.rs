//! What is wrong is said when it is built, or is the outcome of its own instance.

use std::time::Duration;

use paceline::{LimitPool, LimitSet, Quota, Retry, Verdict};
use paceline_flow::{Action, BatchFlow, Cause, Cx, Ending, Error, Graph, Limits, Node, Result};

use crate::support::{Act, Job, World, only};

/// Sooner than any window passes.
const SOON: Duration = Duration::from_secs(10);

fn job() -> Job<'static> {
    Job::taking(1, 1)
}

#[test]
fn a_graph_is_checked_when_it_is_started() {
    let (mut graph, mut other) = (Graph::new(), Graph::new());
    let (a, stranger) = (graph.add_as("a", job(), Limits::none()), other.add_as("b", job(), Limits::none()));
    graph.on(a, "next", stranger);
    let error = graph.start(a).unwrap_err().to_string();
    assert!(error.contains("the edge of `a` for the action \"next\""), "{error}");

    let mut graph = Graph::new();
    graph.add(job(), Limits::none());
    let error = graph.start(stranger).unwrap_err();
    assert!(matches!(&error, Error::ForeignNode { place } if place == "the start"), "{error}");

    let mut graph = Graph::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| graph.add_as(name, job(), Limits::none()));
    graph.on(a, "next", b).on(a, "next", c);
    let error = graph.start(a).unwrap_err().to_string();
    assert_eq!(error, "`a` has two edges for the action \"next\", to `b` and to `c`; leave one out");

    let mut graph = Graph::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| graph.add_as(name, job(), Limits::none()));
    graph.then(b, c);
    let error = graph.start(a).unwrap_err().to_string();
    assert!(error.contains("no way leads from `a` to `b`, `c`"), "{error}");
}

#[test]
fn limits_that_cannot_be_kept_are_named_with_their_node() {
    let set = LimitSet::builder("set").concurrency(1).build().unwrap();
    let pool = LimitPool::builder("pool").member(set.clone()).build().unwrap();
    let wrong = [
        Limits::concurrent(0),
        Limits::none().per_minute(0),
        Limits::none().retry(Retry::attempts(0)),
        Limits::none().timeout(Duration::ZERO),
        Limits::none().pool(&pool).shared(&set),
        Limits::none().rate("tokens", Quota::per_minute(0)),
    ];
    for limits in wrong {
        let mut graph = Graph::new();
        let node = graph.add_as("fetch", job(), limits.clone());
        let error = graph.start(node).expect_err(&format!("{limits:?}")).to_string();
        assert!(error.contains("`fetch`"), "{error}");
    }
    let build = |at_once, rate| {
        let flow =
            BatchFlow::over(only(job(), Limits::none())).max_concurrent_flows(at_once).max_flows_per_minute(rate);
        flow.build().unwrap_err().to_string()
    };
    for error in [build(0, 1), build(1, 0)] {
        assert!(error.starts_with("the limits of the flow"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_none_goes_on_to_post_and_a_run_of_none_reports_nothing() {
    let world = World::default();
    let flow = only(Job::taking(0, 1).saying("done"), Limits::concurrent(1));
    assert_eq!(flow.run(&world, 7).await.unwrap(), "done");
    assert_eq!(*world.posts.lock().unwrap(), [(7, vec![])]);

    let flow = BatchFlow::over(only(job(), Limits::none())).build().unwrap();
    let report = flow.run_over(&world, []).await.unwrap();
    assert_eq!((report.instances(), report.is_complete()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn an_action_without_an_edge_ends_the_flow_and_is_told_where_there_are_others() {
    let (mut graph, world) = (Graph::new(), World::default());
    let first = graph.add_as("first", Job::taking(1, 1).saying("reviw"), Limits::none());
    let review = graph.add_as("review", job(), Limits::none());
    graph.on(first, "review", review);
    let flow = BatchFlow::over(graph.start(first).unwrap()).build().unwrap();
    let report = flow.run_over(&world, 0..4).await.unwrap();
    assert_eq!((report.completed, world.service.calls()), (4, 4));
    let [warning] = &*report.warnings else { panic!("{:?}", report.warnings) };
    assert_eq!((warning.action.name(), warning.instances), ("reviw", 4));
    assert_eq!(
        warning.to_string(),
        "`first` said \"reviw\", for which it has no edge (it has \"review\"); the flow ended there"
    );
    assert!(report.to_string().contains("\"reviw\""), "{report}");
}

/// Says something new of each instance.
struct Babbles;

impl Node for Babbles {
    type Shared = ();
    type Params = u64;
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(Vec::new())
    }

    async fn exec(&self, _: Cx<'_, Self>, _: &()) -> Result<()> {
        Ok(())
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<()>, _: Vec<()>) -> Result<Action> {
        Ok(format!("{}", cx.params).into())
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_kept_of_actions_without_an_edge_than_anybody_reads() {
    let mut graph = Graph::new();
    let [first, second] = ["first", "second"].map(|name| graph.add_as(name, Babbles, Limits::none()));
    graph.on(first, "more", second);
    let flow = BatchFlow::over(graph.start(first).unwrap()).build().unwrap();
    let report = flow.run_over(&(), 0..1_000).await.unwrap();
    assert_eq!((report.completed, report.warnings.len()), (1_000, 100));
}

#[tokio::test(start_paused = true)]
async fn a_prep_of_the_flow_that_fails_or_panics_is_an_error_and_so_is_none() {
    let world = World::default();
    let over = || BatchFlow::over(only(job(), Limits::none()));
    let failing = over().prep(|_: &World| Err("no database".into())).build().unwrap();
    assert_eq!(failing.run(&world).await.unwrap_err().to_string(), "the flow's prep: no database");
    let panicking = over().prep(|_: &World| panic!("no database")).build().unwrap();
    assert!(panicking.run(&world).await.unwrap_err().to_string().contains("no database"));
    assert!(matches!(over().build().unwrap().run(&world).await, Err(Error::NoPrep)));
}

#[tokio::test(start_paused = true)]
async fn a_post_of_the_flow_that_fails_does_not_lose_the_report() {
    let world = World::default();
    let flow = BatchFlow::over(only(job(), Limits::none())).prep(|_: &World| Ok(vec![1, 2, 3]));
    let flow = flow.post(|_, report| Err(format!("{} is too few", report.completed).into())).build().unwrap();
    let Err(Error::Post { source, report }) = flow.run(&world).await else { panic!("it did not fail") };
    assert_eq!((source.to_string().as_str(), report.completed), ("3 is too few", 3));
}

/// A node that panics where its parameters say.
struct Panics;

impl Node for Panics {
    type Shared = ();
    type Params = &'static str;
    type Item = u64;
    type Output = u64;

    async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u64>> {
        assert_ne!(*cx.params, "prep");
        Ok(vec![1, 2])
    }

    async fn exec(&self, cx: Cx<'_, Self>, item: &u64) -> Result<u64> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_ne!(*cx.params, "exec");
        if *cx.params == "fallback" { Err("no".into()) } else { Ok(*item) }
    }

    async fn fallback(&self, _: Cx<'_, Self>, _: &u64, _: paceline_flow::BoxError) -> Result<u64> {
        panic!("fallback")
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<u64>, _: Vec<u64>) -> Result<Action> {
        assert_ne!(*cx.params, "post");
        Ok(Action::DEFAULT)
    }

    fn cost(&self, cx: Cx<'_, Self>, _: &u64) -> Vec<(&'static str, u64)> {
        assert_ne!(*cx.params, "cost");
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_anywhere_in_a_node_is_the_outcome_of_its_instance() {
    for limits in [Limits::concurrent(1), Limits::concurrent(1).retry(Retry::attempts(3))] {
        let shared = LimitSet::builder("shared").concurrency(1).build().unwrap();
        let mut graph = Graph::new();
        let node = graph.add(Panics, limits.shared(&shared));
        let flow = BatchFlow::over(graph.start(node).unwrap()).max_concurrent_flows(2).build().unwrap();
        let report = flow.run_over(&(), ["ok", "prep", "exec", "ok", "post", "cost", "fallback", "ok"]).await.unwrap();
        assert_eq!((report.completed, report.failed), (3, 5), "{report}");
        for outcome in &report.failures {
            assert!(matches!(&outcome.ending, Ending::Failed(failure) if matches!(failure.cause, Cause::Panicked(_))));
        }
        assert_eq!(shared.snapshot().active, 0);
        assert_eq!(flow.stats().running, 0);
    }
}

/// A node that judges what it cannot.
struct Judges;

impl Node for Judges {
    type Shared = ();
    type Params = &'static str;
    type Item = ();
    type Output = u64;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, _: &()) -> Result<u64> {
        cx.params.parse::<u64>().map_err(Into::into)
    }

    fn verdict(&self, result: &Result<u64>) -> Verdict {
        if result.as_ref().is_ok_and(|n| *n == 1) { Verdict::Success } else { panic!("what is that") }
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_panics_is_a_panic_of_its_instance() {
    for limits in [Limits::none(), Limits::none().retry(paceline::Retry::attempts(3))] {
        let mut graph = Graph::new();
        let node = graph.add(Judges, limits);
        let flow = BatchFlow::over(graph.start(node).unwrap()).build().unwrap();
        let report = flow.run_over(&(), ["1", "2", "not a number", "1"]).await.unwrap();
        assert_eq!((report.completed, report.failed), (2, 2), "{report}");
        for outcome in &report.failures {
            let cause = &outcome.failure().unwrap().cause;
            assert!(matches!(cause, Cause::Panicked(word) if word == "what is that"), "{cause:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_demand_above_a_quota_fails_at_once_and_costs_nothing() {
    let tokens = LimitSet::builder("tokens").rate("tokens", Quota::per_minute(100)).build().unwrap();
    let world = World::default();
    let limits = Limits::concurrent(1).per_minute(1).shared(&tokens);
    let flow = BatchFlow::over(only(Job::taking(1, 10).costing(101), limits)).max_concurrent_flows(1).build().unwrap();
    let report = tokio::time::timeout(SOON, flow.run_over(&world, 0..5)).await.expect("nobody waits").unwrap();
    assert_eq!((report.failed, world.service.calls()), (5, 0));
    for outcome in &report.failures {
        let Ending::Failed(failure) = &outcome.ending else { panic!("{outcome:?}") };
        assert!(matches!(failure.cause, Cause::NotAdmitted(paceline::Error::TooLarge { .. })), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_that_is_closed_ends_whoever_needs_it() {
    for limits in [Limits::none(), Limits::concurrent(1), Limits::concurrent(1).per_minute(2)] {
        let set = LimitSet::builder("shared").concurrency(1).build().unwrap();
        let world = World::default();
        let flow = BatchFlow::over(only(Job::taking(3, 100), limits.shared(&set))).build().unwrap();
        let close = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            set.close().unwrap();
        };
        let run = tokio::time::timeout(SOON, flow.run_over(&world, 0..20));
        let (report, ()) = tokio::join!(run, close);
        let report = report.expect("it hangs").unwrap();
        assert_eq!((report.failed, report.instances()), (20, 20), "{report}");
        assert_eq!((set.snapshot().active, world.service.now()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_fail_the_rest_and_says_where_and_why() {
    let world = World::default();
    let act = |which: crate::support::Which| match (which.params, which.item) {
        (3, 1) => Act::Fail(5, std::io::Error::other("broken pipe").into()),
        _ => Act::Take(10),
    };
    let flow = BatchFlow::over(only(Job::new(3, act), Limits::concurrent(2))).label(|params| format!("user {params}"));
    let report = flow.build().unwrap().run_over(&world, 0..10).await.unwrap();
    assert_eq!((report.completed, report.failed), (9, 1));
    let outcome = &report.failures[0];
    let failure = outcome.failure().unwrap();
    assert_eq!((outcome.instance, outcome.label.as_deref()), (3, Some("user 3")));
    assert_eq!(failure.to_string(), "`Job`, item 1: broken pipe");
    let source = std::error::Error::source(failure).unwrap();
    assert!(source.downcast_ref::<std::io::Error>().is_some());
    assert!(report.to_string().contains("user 3: `Job`, item 1: broken pipe"), "{report}");
    assert_eq!(world.service.now(), 0);
}
