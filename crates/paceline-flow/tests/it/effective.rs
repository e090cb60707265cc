//! What the nesting allows at most, and that it is never exceeded.

use std::time::Duration;

use paceline::{Aimd, LimitPool, LimitSet, Quota};
use paceline_flow::{BatchFlow, EffectiveLimits, Finding, Flow, Graph, Limits, Measure, ServiceLimits};

use crate::support::{Job, World, only};

fn two<'n>(first: Limits, second: Limits) -> Flow<'n, World, u64> {
    let mut graph = Graph::new();
    let first = graph.add_as("first", Job::taking(10, 20), first);
    let second = graph.add_as("second", Job::taking(3, 200), second);
    graph.then(first, second);
    graph.start(first).unwrap()
}

#[tokio::test(start_paused = true)]
async fn five_minutes_never_exceed_what_was_said() {
    let flow = BatchFlow::over(two(Limits::concurrent(5).per_minute(100), Limits::concurrent(2).per_minute(60)))
        .max_concurrent_flows(10)
        .deadline(Duration::from_secs(300))
        .build()
        .unwrap();
    let limits = flow.effective_limits();
    assert_eq!((limits.at_once("first"), limits.at_once("second")), (Some(50), Some(20)));
    assert_eq!((limits.per_minute("first"), limits.per_minute("second")), (Some(1_000), Some(600)));
    assert_eq!(
        (limits.at_once_of(&["first", "second"]), limits.per_minute_of(&["first", "second"])),
        (Some(50), Some(1_600))
    );
    let (world, nodes) = (World::default(), flow.node_stats());
    assert_eq!((nodes[0].max_concurrent, nodes[0].max_per_minute), (Some(5), Some(100)));
    let report = flow.run_over(&world, 0..).await.unwrap();
    assert!(report.completed > 400, "{report}");
    let (peak, minute) = (world.service.peak(), world.service.fullest_minute());
    assert!(peak <= 50 && peak > 40, "{peak} at once");
    assert!(minute <= 1_600 && minute > 1_200, "{minute} in a minute");
}

#[test]
fn slots_multiply_stages_take_turns_and_flows_beside_each_other_add_up() {
    let limits = |at_once| Limits::concurrent(at_once).per_minute(10);
    let inner = BatchFlow::over(two(limits(4), limits(2))).max_concurrent_flows(3).build().unwrap();
    let mut graph = Graph::new();
    let list = graph.add_as("list", Job::taking(1, 1), limits(20));
    let each = graph.add_batch("documents", inner, |_| Ok(vec![1, 2, 3]));
    graph.then(list, each);
    let outer = BatchFlow::over(graph.start(list).unwrap()).name("tenants").max_concurrent_flows(5).build().unwrap();
    let limits = outer.effective_limits();
    assert_eq!(limits.nodes().collect::<Vec<_>>(), ["list", "documents/first", "documents/second"]);
    assert_eq!((limits.at_once("documents/first"), limits.per_minute("documents/first")), (Some(60), Some(150)));
    let all = ["list", "documents/first", "documents/second"];
    // In a slot of the five, either the list of 20 or the three documents of 4.
    assert_eq!((limits.at_once_of(&all), limits.per_minute_of(&all)), (Some(100), Some(350)));
    assert_eq!(limits.at_once("nobody"), None);
    let both = EffectiveLimits::together([limits.clone(), outer.effective_limits()]);
    assert_eq!(both.at_once_of(&all), Some(200));
    assert_eq!(
        limits.to_string(),
        "tenants: 5 at once\n\
         ├─ list: 20 at once, 10 a minute; in 5 slots 100 at once, 50 a minute\n\
         └─ documents: 3 at once; in 5 slots 15 at once\n   \
            ├─ documents/first: 4 at once, 10 a minute; in 15 slots 60 at once, 150 a minute\n   \
            └─ documents/second: 2 at once, 10 a minute; in 15 slots 30 at once, 150 a minute\n"
    );
    let chart = outer.mermaid();
    assert!(chart.contains("subgraph n1[\"documents, 3 at once\"]"), "{chart}");
    assert!(chart.contains("n1_0 --> n1_1") && chart.contains("n0 --> n1"), "{chart}");
}

#[test]
fn a_shared_set_bounds_what_all_of_its_nodes_do_together() {
    let openai = LimitSet::builder("openai").calls(Quota::per_minute(60)).concurrency(10).build().unwrap();
    let (free, own) = (Limits::none().shared(&openai), Limits::concurrent(2).shared(&openai));
    let flow = BatchFlow::over(two(free, own)).max_concurrent_flows(3).build().unwrap();
    let limits = flow.effective_limits();
    assert_eq!((limits.at_once("first"), limits.at_once("second")), (Some(10), Some(6)));
    assert_eq!(limits.per_minute_of(&["first", "second"]), Some(60));
    assert_eq!(limits.set("openai"), Some(ServiceLimits::concurrent(10).per_minute(60)));
    assert_eq!(limits.findings(), []);
    let text = limits.to_string();
    assert!(text.contains("openai (first, second): 10 of 10 at once, 60 of 60 a minute"), "{text}");
}

#[test]
fn pools_controllers_and_algorithms_count_with_the_most_they_allow() {
    let region = |name: &str| LimitSet::builder(name).calls(Quota::per_minute(30)).concurrency(4).build().unwrap();
    let pool = LimitPool::builder("regions").member(region("us")).member(region("eu")).build().unwrap();
    let learning = Limits::adaptive(Aimd::builder().max_concurrent(12).build().unwrap());
    let limits = two(learning, Limits::none().pool(&pool)).effective_limits();
    assert_eq!(limits.at_once("first"), Some(12));
    assert_eq!((limits.at_once("second"), limits.per_minute("second")), (Some(8), Some(60)));
    let starts = |quota| only(Job::taking(1, 1), Limits::none().calls(quota)).effective_limits().per_minute("Job");
    assert_eq!(starts(Quota::per_second(5)), Some(300));
    assert_eq!(starts(Quota::per_hour(500)), Some(500));
    assert_eq!(starts(Quota::per_second(1).burst(10)), Some(70));
    assert_eq!(starts(Quota::per_minute(50).algorithm(paceline::Algorithm::FixedWindow)), Some(100));
}

#[test]
fn too_much_and_too_little_for_a_service_are_told_in_plain_words() {
    let flow = BatchFlow::over(two(Limits::concurrent(10), Limits::none())).max_concurrent_flows(20).build().unwrap();
    let limits = flow
        .effective_limits()
        .against("storage", &["first"], ServiceLimits::concurrent(50))
        .against("archive", &["first"], ServiceLimits::concurrent(1_000))
        .against("llm", &["second"], ServiceLimits::rate(60))
        .against("typo", &["frist"], ServiceLimits::concurrent(1));
    let findings = limits.findings();
    assert!(
        matches!(
            &findings[..],
            [
                Finding::UnderConstrained { allows: 50, reach: Some(200), what: Measure::AtOnce, .. },
                Finding::OverConstrained { allows: 1_000, reach: 200, .. },
                Finding::UnderConstrained { reach: None, what: Measure::PerMinute, .. },
                Finding::UnknownNode { .. },
                ..
            ]
        ),
        "{findings:?}"
    );
    let text = limits.to_string();
    for words in [
        "`storage` allows 50 at once, and these limits let 200 through",
        "of the 1000 at once that `archive` allows, these limits use at most 200: 80 % are wasted",
        "`llm` allows 60 a minute, and these limits let any number through",
        "there is no node `frist`",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_shared_set_may_learn_counts_not_what_it_has_learnt() {
    let learning = Aimd::builder().initial_concurrent(5).max_concurrent(40).build().unwrap();
    let api = LimitSet::builder("api").adaptive(learning).calls(Quota::per_minute(200)).build().unwrap();
    let flow = two(Limits::none().shared(&api), Limits::concurrent(2));
    let limits = BatchFlow::over(flow).max_concurrent_flows(10).build().unwrap().effective_limits();
    assert_eq!((limits.at_once("first"), limits.at_once("second")), (Some(40), Some(20)));
    let text = limits.to_string();
    assert!(text.contains("first: within `api` 40 at once, 200 a minute\n"), "{text}");
    assert!(text.contains("second: 2 at once; in 10 slots 20 at once\n"), "{text}");
}
