//! Nodes and flows that learn.

use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use paceline::{Aimd, RateLimitHit, Retry};
use paceline_flow::{BatchFlow, BoxError, Cause, Ending, Limits, presets};
use tokio::time::Instant;

use crate::support::{Act, Job, Which, World, only};

fn refused() -> BoxError {
    "429 Too Many Requests".into()
}

fn patient(attempts: u32) -> Retry {
    Retry::attempts(attempts).backoff(Duration::from_millis(200), Duration::from_secs(2)).without_budget().seed(3)
}

#[tokio::test(start_paused = true)]
async fn a_node_grows_while_answers_are_clean_and_each_slot_learns_for_itself() {
    let world = World::default();
    let controller = Aimd::builder().initial_concurrent(2).max_concurrent(8).recovery_threshold(4).build().unwrap();
    let flow = BatchFlow::over(only(Job::taking(200, 50), Limits::adaptive(controller))).max_concurrent_flows(3);
    let flow = flow.build().unwrap();
    assert!(flow.run_over(&world, 0..3).await.unwrap().is_complete());
    let stats = &flow.node_stats()[0];
    assert_eq!((stats.max_concurrent, stats.current_concurrent, stats.slots), (Some(8), Some(24), 3));
    assert_eq!(world.service.peak(), 24);
    flow.reset();
    let stats = &flow.node_stats()[0];
    assert_eq!((stats.current_concurrent, stats.completed, stats.peak_in_flight), (Some(6), 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_refusals_cuts_a_node_once_and_no_item_is_lost() {
    let (world, over) = (World::default(), AtomicBool::new(false));
    let act = |which: Which| match which.attempt {
        1 if which.item < 10 && !over.load(Relaxed) => Act::Fail(20, refused()),
        _ => Act::Take(20),
    };
    let controller = Aimd::builder().initial_concurrent(10).max_concurrent(20).build().unwrap();
    let flow = only(Job::new(40, act), Limits::adaptive(controller).retry(patient(5)));
    flow.run(&world, 0).await.unwrap();
    let stats = &flow.stats()[0];
    assert_eq!((stats.rate_limit_hits, stats.cuts, stats.completed), (10, 1, 40));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_handed_on_with_its_wait_and_its_source_and_the_flow_pauses() {
    let (world, began) = (World::default(), Instant::now());
    let act = |which: Which| match which.params {
        0 => Act::Fail(
            10,
            RateLimitHit::new("slow down").retry_after(Duration::from_secs(30)).caused_by("status 429").into(),
        ),
        1 => Act::Fail(10, refused()),
        _ => Act::Take(10),
    };
    // Three attempts are allowed, but a rate limit is the flow's to deal with; so no fallback either.
    let limits = Limits::none().propagate_rate_limit().retry(patient(3));
    let flow = BatchFlow::over(only(Job::new(1, act).rescued_by(7), limits)).max_concurrent_flows(2).build().unwrap();
    let report = flow.run_over(&world, 0..6).await.unwrap();
    assert_eq!((report.completed, report.rate_limited, report.failed), (4, 2, 0), "{report}");
    let hit =
        |instance| report.failures.iter().find(|outcome| outcome.instance == instance).unwrap().failure().unwrap();
    let Cause::RateLimited(first) = &hit(0).cause else { panic!("{}", hit(0)) };
    assert_eq!((first.to_string().as_str(), first.source().unwrap().to_string().as_str()), ("slow down", "status 429"));
    let wait = paceline::Verdict::RateLimited { retry_after: Some(Duration::from_secs(30)) };
    assert_eq!(first.verdict(), wait);
    let Cause::RateLimited(second) = &hit(1).cause else { panic!("{}", hit(1)) };
    assert!(second.source().unwrap().to_string().contains("429"));
    assert!(began.elapsed() >= Duration::from_secs(30), "the flow was not paused");
    assert_eq!((world.service.calls(), flow.stats().rate_limit_hits), (6, 2));
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_flow_is_cut_by_what_is_handed_on_and_tries_instances_again() {
    let world = World::default();
    let calm = |which: Which| Act::Take(100 + which.params % 3);
    let server = |which: Which| {
        if world.service.now() >= 6 { Act::Fail(5, refused()) } else { calm(which) }
    };
    let controller = Aimd::builder().initial_concurrent(10).min_concurrent(2).max_concurrent(50).build().unwrap();
    let flow = BatchFlow::over(only(Job::new(1, server), Limits::none().propagate_rate_limit()))
        .adaptive(controller)
        .retry(patient(20))
        .build()
        .unwrap();
    let report = flow.run_over(&world, 0..300).await.unwrap();
    let stats = flow.stats();
    assert!(report.is_complete(), "{report}");
    assert!(stats.cuts >= 1 && stats.current_concurrent < 10, "{stats:?}");
    assert!(stats.rate_limit_hits > 0 && stats.attempts == 300 + stats.rate_limit_hits, "{stats:?}");
    assert!(stats.slots <= 50);
}

#[tokio::test(start_paused = true)]
async fn without_handing_on_a_rate_limit_fails_its_instance_and_says_nothing_to_the_flow() {
    let world = World::default();
    let act = |which: Which| if which.params % 5 == 0 { Act::Fail(10, refused()) } else { Act::Take(10) };
    let flow = BatchFlow::over(only(Job::new(1, act), Limits::none())).adaptive(Aimd::default()).build().unwrap();
    let report = flow.run_over(&world, 0..50).await.unwrap();
    assert_eq!((report.completed, report.failed, report.rate_limited), (40, 10, 0));
    assert!(matches!(report.failures[0].ending, Ending::Failed(_)));
    assert_eq!(flow.stats().cuts, 0);
}

#[tokio::test(start_paused = true)]
async fn every_flow_preset_builds_and_is_found_in_any_spelling() {
    for preset in presets::all() {
        let flow = BatchFlow::over(only(Job::taking(1, 1), Limits::none())).preset(preset).build().unwrap();
        assert_eq!(flow.stats().max_concurrent_flows, preset.max_concurrent_flows);
        assert_eq!(presets::find(&preset.name.to_uppercase().replace('-', "_")).unwrap(), preset);
    }
    let error = presets::find("fast").unwrap_err().to_string();
    assert!(error.contains("realtime") && error.contains("adaptive-moderate"), "{error}");
}
