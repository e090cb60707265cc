//! Cancellation, deadlines and drops: every instance has an outcome, and every permit comes back.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures::StreamExt;
use paceline::{LimitSet, Retry};
use paceline_flow::{BatchFlow, Ending, Graph, Limits};
use tokio::time::Instant;

use crate::support::{Act, Job, World, only};

const SOON: Duration = Duration::from_secs(10);

fn shared() -> LimitSet {
    LimitSet::builder("shared").concurrency(4).build().unwrap()
}

async fn after(millis: u64, act: impl FnOnce()) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    act();
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_all_at_once_and_loses_no_outcome() {
    let (set, world) = (shared(), World::default());
    let limits = Limits::concurrent(2).shared(&set);
    let flow = BatchFlow::over(only(Job::taking(4, 100), limits)).max_concurrent_flows(3).build().unwrap();
    let handle = flow.handle();
    let (report, ()) = tokio::join!(flow.run_over(&world, 0..50), after(1_050, || handle.cancel()));
    let report = report.unwrap();
    assert_eq!(report.instances(), 50);
    assert_eq!((report.cancelled, report.failed), (3, 0), "{report}");
    assert!(report.completed >= 9 && report.not_begun == 50 - 3 - report.completed, "{report}");
    assert_eq!((world.service.now(), set.snapshot().active, set.snapshot().waiting), (0, 0, 0));
    assert_eq!(report.took, Duration::from_millis(1_050));
    // It stays so until it is resumed.
    assert_eq!(flow.run_over(&world, 0..5).await.unwrap().not_begun, 5);
    handle.resume();
    assert_eq!(flow.run_over(&world, 0..5).await.unwrap().completed, 5);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_run_through_all_levels() {
    let (set, world) = (shared(), World::default());
    let inner = BatchFlow::over(only(Job::taking(100, 100), Limits::concurrent(2).shared(&set))).build().unwrap();
    let mut graph = Graph::new();
    let inner = graph.add_batch("inner", inner, |_| Ok((0..10).collect()));
    let flow = BatchFlow::over(graph.start(inner).unwrap()).deadline(Duration::from_secs(2)).build().unwrap();
    let began = Instant::now();
    let report = flow.run_over(&world, 0..3).await.unwrap();
    assert_eq!((report.cancelled, report.instances()), (3, 3));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!((world.service.now(), set.snapshot().active), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_never_waits_can_be_ended() {
    let mut graph = Graph::new();
    let [a, b] = ["a", "b"].map(|name| graph.add_as(name, Job::taking(0, 0), Limits::none()));
    graph.then(a, b).then(b, a);
    let flow = BatchFlow::over(graph.start(a).unwrap()).build().unwrap();
    let (handle, world) = (flow.handle(), World::default());
    // Somebody else's task gets its turn, though no node ever waits.
    let ender = tokio::spawn(async move { handle.cancel() });
    let report = flow.run_over(&world, 0..2).await.unwrap();
    ender.await.unwrap();
    assert_eq!((report.completed, report.cancelled + report.not_begun), (0, 2));
    assert!(flow.node_stats()[1].runs > 10);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_cycle_that_never_waits() {
    let mut graph = Graph::new();
    let [a, b] = ["a", "b"].map(|name| graph.add_as(name, Job::taking(0, 0), Limits::none()));
    graph.then(a, b).then(b, a);
    let flow = BatchFlow::over(graph.start(a).unwrap()).deadline(SOON).build().unwrap();
    // Nothing is ever idle here, so the clock has to be told.
    let clock = tokio::spawn(tokio::time::advance(2 * SOON));
    let world = World::default();
    let (report, ended) = tokio::join!(flow.run_over(&world, 0..2), clock);
    ended.unwrap();
    assert_eq!(report.unwrap().cancelled, 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_instances_that_never_wait() {
    let flow = BatchFlow::over(only(Job::taking(0, 0), Limits::none())).deadline(SOON).build().unwrap();
    let clock = tokio::spawn(tokio::time::advance(2 * SOON));
    let world = World::default();
    // They end sometime, for a test that fails.
    let (report, ended) = tokio::join!(flow.run_over(&world, 0..100_000), clock);
    ended.unwrap();
    let report = report.unwrap();
    assert!(report.completed < 10_000, "{}", report.completed);
    assert_eq!(report.instances(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_long_run_keeps_no_other_task_waiting() {
    let flow = BatchFlow::over(only(Job::taking(1, 10), Limits::none())).build().unwrap();
    flow.handle().cancel();
    let world = World::default();
    let turns = AtomicU64::new(0);
    let others = async {
        loop {
            turns.fetch_add(1, SeqCst);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        report = flow.run_over(&world, 0..10_000) => assert_eq!(report.unwrap().not_begun, 10_000),
        () = others => {}
    }
    assert!(turns.load(SeqCst) > 10, "{turns:?}");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_run_gives_everything_back_and_slots_are_used_again() {
    let (set, world) = (shared(), World::default());
    let flow = BatchFlow::over(only(Job::taking(4, 100), Limits::concurrent(2).shared(&set)));
    let flow = flow.max_concurrent_flows(3).build().unwrap();
    for _ in 0..5 {
        let run = flow.run_over(&world, 0..50);
        assert!(tokio::time::timeout(Duration::from_millis(250), run).await.is_err());
        assert_eq!((world.service.now(), set.snapshot().active, flow.stats().running), (0, 0, 0));
    }
    assert_eq!((flow.stats().slots, flow.node_stats()[0].in_flight), (3, 0));
    assert!(flow.run_over(&world, 0..10).await.unwrap().is_complete());
}

#[tokio::test(start_paused = true)]
async fn an_item_that_fails_ends_the_others_of_its_instance() {
    let (set, world) = (shared(), World::default());
    let act = |which: crate::support::Which| {
        if which.item == 3 { Act::Fail(10, "no".into()) } else { Act::Take(10_000) }
    };
    let flow = only(Job::new(20, act), Limits::none().shared(&set));
    let began = Instant::now();
    flow.run(&world, 0).await.unwrap_err();
    assert_eq!((began.elapsed(), world.service.now(), set.snapshot().active), (Duration::from_millis(10), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_yields_every_outcome_and_may_be_left() {
    let world = World::default();
    let fails = |which: crate::support::Which| {
        if which.params % 4 == 0 { Act::Fail(10, "no".into()) } else { Act::Take(10) }
    };
    let flow = BatchFlow::over(only(Job::new(2, fails), Limits::none())).max_concurrent_flows(7).build().unwrap();
    let outcomes: Vec<_> = flow.stream_over(&world, 0..100).collect().await;
    let mut indices: Vec<_> = outcomes.iter().map(|outcome| outcome.instance).collect();
    indices.sort_unstable();
    assert!(indices.into_iter().eq(0..100));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_completed()).count(), 75);
    let some: Vec<_> = flow.stream_over(&world, 0..).take(10).collect().await;
    assert_eq!((some.len(), world.service.now()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn too_many_failures_end_a_run_that_says_so() {
    let world = World::default();
    let flow = BatchFlow::over(only(Job::new(1, |_| Act::Fail(10, "no".into())), Limits::none()));
    let flow = flow.max_concurrent_flows(2).fail_fast(0).build().unwrap();
    let report = flow.run_over(&world, 0..1_000).await.unwrap();
    assert!(report.failed < 20 && report.not_begun > 980, "{}", report.failed);
    assert_eq!(report.instances(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn cancelling_while_instances_wait_to_be_begun_again_ends_them() {
    let world = World::default();
    let retry = Retry::attempts(9).backoff(Duration::from_secs(100), Duration::from_secs(100)).without_budget().seed(2);
    let flow = BatchFlow::over(only(Job::new(1, |_| Act::Fail(10, "no".into())), Limits::none())).retry(retry);
    let flow = flow.build().unwrap();
    let handle = flow.handle();
    let (report, ()) = tokio::join!(flow.run_over(&world, 0..3), after(50, || handle.cancel()));
    let report = report.unwrap();
    assert_eq!(report.cancelled, 3);
    assert!(report.failures.iter().all(|outcome| matches!(outcome.ending, Ending::Cancelled { begun: true })));
}
