//! What a flow tells while it runs.

use std::sync::Mutex;

use paceline::Retry;
use paceline_flow::{BatchFlow, Event, Graph, Limits};

use crate::support::{Act, Job, Which, World};

fn text(event: &Event<'_>) -> String {
    match event {
        Event::InstanceStarted { instance, attempt } => format!("{instance} begins, attempt {attempt}"),
        Event::NodeStarted { node, .. } => format!("{node} begins"),
        Event::Prepared { node, items, .. } => format!("{node} has {items}"),
        Event::Retrying { node, item, attempt, .. } => format!("{node} tries {item} again, attempt {attempt}"),
        Event::ItemDone { node, item, .. } => format!("{node} has done {item}"),
        Event::NodeDone { node, action, .. } => format!("{node} says {action}"),
        Event::NoSuchEdge { node, action, .. } => format!("{node} has no edge for {action}"),
        Event::InstanceEnded { outcome } => format!("{} has ended, {}", outcome.instance, outcome.is_completed()),
        _ => "something new".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn everything_that_happens_is_told_in_its_order() {
    let (told, world) = (Mutex::new(Vec::new()), World::default());
    let act = |which: Which| if which.attempt == 1 { Act::Fail(1, "no".into()) } else { Act::Take(1) };
    let (mut graph, retry) = (Graph::new(), Retry::attempts(2).without_budget().seed(1));
    let first = graph.add_as("first", Job::new(1, act).saying("elsewhere"), Limits::none().retry(retry));
    let second = graph.add_as("second", Job::taking(0, 0), Limits::none());
    graph.then(first, second);
    let flow = BatchFlow::over(graph.start(first).unwrap())
        .on_event(|event| {
            told.lock().unwrap().push(text(event));
            assert!(!matches!(event, Event::NodeDone { .. }), "a panic in here harms nobody");
        })
        .build()
        .unwrap();
    assert!(flow.run_over(&world, [4]).await.unwrap().is_complete());
    let expected = [
        "0 begins, attempt 1",
        "first begins",
        "first has 1",
        "first tries 0 again, attempt 2",
        "first has done 0",
        "first says elsewhere",
        "first has no edge for elsewhere",
        "0 has ended, true",
    ];
    assert_eq!(*told.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn outcomes_reach_whoever_asked_for_them_with_the_shared_state() {
    let (world, seen) = (World::default(), Mutex::new(0));
    let act = |which: Which| if which.params == 2 { Act::Fail(1, "no".into()) } else { Act::Take(1) };
    let flow = BatchFlow::over(crate::support::only(Job::new(1, act), Limits::none()))
        .on_outcome(|world: &World, outcome| {
            *seen.lock().unwrap() += 1;
            assert!(outcome.is_completed() || world.service.calls() > 0);
        })
        .prep_async(|_| Box::pin(async { Ok(vec![1, 2, 3]) }))
        .post_async(|world: &World, report| {
            Box::pin(async move { Ok(format!("{} of {}", report.completed, world.service.calls()).into()) })
        })
        .build()
        .unwrap();
    let report = flow.run(&world).await.unwrap();
    assert_eq!((report.action.name(), *seen.lock().unwrap()), ("2 of 3", 3));
}
