//! Throttled and adaptive flows: limits of instances, what one that fails is to the others, prep and post of the flow.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use paceline::Aimd;
use paceline_flow::{
    Action, BatchFlow, BatchFlowBuilder, Cx, Ending, Graph, Limits, Node, NodeId, Report, Result, presets,
};
use tokio::time::sleep;

use super::{Calls, Shared, at, hit, millis, secs, timed};
use crate::support::Service;

/// `shared = {"user_ids": ...}`.
#[derive(Default)]
struct Users {
    user_ids: Vec<u64>,
    names: Mutex<BTreeMap<u64, String>>,
    refuses: AtomicU64,
    api: Service,
}

/// `class FetchUserDataNode(AsyncNode)`, with `self.params["user_id"]`.
struct FetchUserData;

impl Node for FetchUserData {
    type Shared = Users;
    type Params = u64;
    type Item = ();
    type Output = String;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<String> {
        cx.shared.api.call(millis(100)).await;
        match *cx.params {
            13 => Err("no such user".into()),
            _ if cx.shared.refuses.load(SeqCst) > 0 => {
                cx.shared.refuses.fetch_sub(1, SeqCst);
                Err(hit().into())
            }
            user => Ok(format!("user {user}")),
        }
    }

    async fn post(&self, cx: Cx<'_, Self>, _: Vec<()>, mut name: Vec<String>) -> Result<Action> {
        cx.shared.names.lock().unwrap().insert(*cx.params, name.remove(0));
        Ok(Action::DEFAULT)
    }
}

/// `ProcessUsersFlow(start=FetchUserDataNode())`, whose `prep_async` yields an instance for each user.
fn process_users() -> BatchFlowBuilder<'static, Users, u64> {
    let mut graph = Graph::new();
    let fetch = graph.add(FetchUserData, Limits::none());
    BatchFlow::over(graph.start(fetch).unwrap()).prep(|shared: &Users| Ok(shared.user_ids.clone()))
}

fn users(user_ids: impl IntoIterator<Item = u64>) -> Users {
    Users { user_ids: user_ids.into_iter().collect(), ..Users::default() }
}

/// `max_concurrent_flows = 10`, `max_flows_per_minute = 60`, a thousand users.
#[tokio::test(start_paused = true)]
async fn parity_p07_a_thousand_users_ten_at_once_and_sixty_a_minute() {
    let flow = process_users().max_concurrent_flows(10).max_flows_per_minute(60).build().unwrap();
    let shared = users(1_000..2_000);
    let (report, took) = timed(flow.run(&shared)).await;
    assert!(report.unwrap().is_complete());
    assert_eq!((shared.api.peak(), shared.api.fullest_minute(), shared.api.calls()), (10, 60, 1_000));
    assert_eq!(took, secs(16 * 60) + millis(400), "sixteen times sixty, and forty in four rounds");
    assert_eq!(shared.names.into_inner().unwrap()[&1_999], "user 1999");
}

/// `max_concurrent_flows` is 5 where nobody says, and nothing limits how many start in a minute.
#[tokio::test(start_paused = true)]
async fn parity_p07_the_defaults() {
    let flow = process_users().build().unwrap();
    let shared = users(100..600);
    let (report, took) = timed(flow.run(&shared)).await;
    assert_eq!((report.unwrap().completed, shared.api.peak(), took), (500, 5, secs(10)));
    let stats = flow.stats();
    assert_eq!((stats.max_concurrent_flows, stats.max_flows_per_minute), (5, None));
    let (report, took) = timed(flow.run(&users([]))).await;
    assert_eq!((report.unwrap().instances(), took), (0, secs(0)), "of no users there is nothing to do");
}

/// `stats` says how many completed and how many failed; the report which, and why.
#[tokio::test(start_paused = true)]
async fn parity_p07_one_that_fails_does_not_fail_the_rest() {
    let flow = process_users().max_concurrent_flows(10).label(|user| format!("user {user}")).build().unwrap();
    let report = flow.run(&users(0..100)).await.unwrap();
    assert_eq!((report.completed, report.failed, report.instances()), (99, 1, 100));
    let [failed] = &report.failures[..] else { panic!("{report}") };
    assert_eq!((failed.instance, failed.label.as_deref()), (13, Some("user 13")));
    assert_eq!(failed.failure().unwrap().to_string(), "`FetchUserData`, item 0: no such user");
    let stats = flow.stats();
    assert_eq!((stats.completed, stats.failed, stats.running, stats.peak_running), (99, 1, 0, 10));
}

/// `initial_concurrent_flows = 20`, `min = 2`, `max = 50`, `backoff_factor = 0.5`, `recovery_threshold = 20`,
/// `recovery_factor = 1.3`.
fn smart_users() -> BatchFlow<'static, Users, u64> {
    let controller = Aimd::builder()
        .initial_concurrent(20)
        .min_concurrent(2)
        .max_concurrent(50)
        .backoff_factor(0.5)
        .recovery_threshold(20)
        .recovery_factor(1.3);
    process_users().adaptive(controller.build().unwrap()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn parity_p08_an_adaptive_flow_recovers_by_its_factor() {
    let (flow, shared) = (smart_users(), users(100..2_000));
    assert_eq!(flow.stats().current_concurrent, 20);
    let after_twenty =
        at(millis(150), flow.run(&shared), || (shared.api.peak(), flow.stats().current_concurrent)).await;
    assert_eq!(after_twenty, (26, 26), "twenty successes, thirty percent");
    let shared = users(100..2_000);
    assert!(flow.run(&shared).await.unwrap().is_complete());
    assert_eq!((shared.api.peak(), flow.stats().current_concurrent), (50, 50));
    assert_eq!(flow.stats().rate_limit_hits, 0);
}

/// A `RateLimitHit` from within cuts, once for all that began before it, and its wait is kept by all instances.
#[tokio::test(start_paused = true)]
async fn parity_p08_an_adaptive_flow_backs_off_on_a_rate_limit_hit() {
    let (flow, shared) = (smart_users(), Users { refuses: AtomicU64::new(20), ..users(100..200) });
    let (report, took) = timed(flow.run(&shared)).await;
    let report = report.unwrap();
    assert_eq!((report.rate_limited, report.completed), (20, 80));
    let stats = flow.stats();
    assert_eq!((stats.rate_limit_hits, stats.cuts, stats.rate_limited, stats.completed), (20, 1, 20, 80));
    assert!(took >= secs(30) && took < secs(33), "{took:?}: they were told to come back in half a minute");
    assert!(report.failures.iter().all(|outcome| matches!(outcome.ending, Ending::RateLimited(_))));
}

#[tokio::test(start_paused = true)]
async fn parity_p08_an_adaptive_flow_never_goes_below_its_least_and_begins_anew() {
    let (flow, shared) = (smart_users(), Users { refuses: AtomicU64::new(1_000), ..users(100..200) });
    assert_eq!(flow.run(&shared).await.unwrap().rate_limited, 100);
    assert_eq!(flow.stats().current_concurrent, 2);
    flow.reset();
    let stats = flow.stats();
    assert_eq!((stats.current_concurrent, stats.cuts, stats.rate_limit_hits, stats.rate_limited), (20, 0, 0, 0));
}

/// Other failures say nothing about the service's limits.
#[tokio::test(start_paused = true)]
async fn parity_p08_other_failures_do_not_cut() {
    let flow = smart_users();
    let report = flow.run(&users([13; 40])).await.unwrap();
    assert_eq!((report.failed, flow.stats().cuts, flow.stats().current_concurrent), (40, 0, 20));
}

/// `prep_async` of the flow yields the parameters of its instances and `post_async` sees what became of all of them.
#[tokio::test(start_paused = true)]
async fn parity_p19_prep_yields_the_parameters_and_post_folds_the_outcomes() {
    struct Library {
        documents: Vec<(u64, u64)>,
        pages: Mutex<u64>,
        summary: Mutex<String>,
        completed: Mutex<Vec<u64>>,
    }
    struct Count;
    impl Node for Count {
        type Shared = Library;
        type Params = (u64, u64);
        type Item = u64;
        type Output = u64;

        async fn prep(&self, cx: Cx<'_, Self>) -> Result<Vec<u64>> {
            let (doc_id, chunks) = *cx.params;
            if doc_id == 3 { Err("document 3 is lost".into()) } else { Ok((0..chunks).collect()) }
        }

        async fn exec(&self, _: Cx<'_, Self>, _: &u64) -> Result<u64> {
            sleep(millis(10)).await;
            Ok(1)
        }

        async fn post(&self, cx: Cx<'_, Self>, _: Vec<u64>, pages: Vec<u64>) -> Result<Action> {
            *cx.shared.pages.lock().unwrap() += pages.iter().sum::<u64>();
            Ok("counted".into())
        }
    }
    let post = |library: &Library, report: &Report| {
        *library.summary.lock().unwrap() = format!("{} read, {} lost", report.completed, report.failed);
        Ok("summarised".into())
    };
    let mut graph = Graph::new();
    let count = graph.add(Count, Limits::concurrent(5));
    let flow = BatchFlow::over(graph.start(count).unwrap())
        .max_concurrent_flows(2)
        .prep_async(|library: &Library| {
            Box::pin(async {
                sleep(secs(1)).await;
                Ok(library.documents.clone())
            })
        })
        .on_outcome(|library, outcome| {
            if let Ending::Completed { node, action } = &outcome.ending {
                assert_eq!((&**node, action), ("Count", &"counted".into()));
                library.completed.lock().unwrap().push(outcome.instance);
            }
        })
        .post(post)
        .build()
        .unwrap();
    let documents = (0..5).map(|id| (id, id + 1)).collect();
    let library =
        Library { documents, pages: Mutex::default(), summary: Mutex::default(), completed: Mutex::default() };
    let report = flow.run(&library).await.unwrap();
    assert_eq!((report.action, report.completed), ("summarised".into(), 4));
    assert_eq!(*library.summary.lock().unwrap(), "4 read, 1 lost");
    assert_eq!(*library.pages.lock().unwrap(), 1 + 2 + 3 + 5);
    let mut completed = library.completed.into_inner().unwrap();
    completed.sort_unstable();
    assert_eq!(completed, [0, 1, 2, 4], "one by one, for whoever wants all of them");
}

/// The seed's presets of flows, by these names: at once, started a minute; of those that adapt, where they begin.
#[test]
fn parity_p11_every_flow_preset_has_the_seeds_numbers() {
    for (name, at_once, per_minute) in [
        ("CONSERVATIVE", 3, Some(30)),
        ("MODERATE", 10, Some(60)),
        ("AGGRESSIVE", 25, Some(200)),
        ("HIGH_THROUGHPUT", 50, Some(500)),
        ("UNLIMITED", 100, None),
        ("BATCH_PROCESSING", 10, Some(100)),
        ("DATA_PIPELINE", 20, Some(200)),
        ("REALTIME", 5, None),
        ("HEAVY_PROCESSING", 5, Some(20)),
    ] {
        let preset = presets::find(name).unwrap();
        assert_eq!((preset.max_concurrent_flows, preset.max_flows_per_minute), (at_once, per_minute), "{name}");
        assert!(preset.adaptive.is_none() && !preset.description.is_empty(), "{name}");
    }
    for (name, levels, backoff, threshold, recovery) in [
        ("ADAPTIVE_CONSERVATIVE", [5, 2, 15], 0.5, 20, 1.2),
        ("ADAPTIVE_MODERATE", [10, 3, 30], 0.5, 15, 1.3),
        ("ADAPTIVE_AGGRESSIVE", [20, 5, 50], 0.6, 10, 1.4),
    ] {
        let preset = presets::find(name).unwrap();
        let adaptive = preset.adaptive.unwrap();
        assert_eq!([adaptive.initial, adaptive.min, preset.max_concurrent_flows], levels, "{name}");
        assert_eq!((adaptive.backoff, adaptive.threshold, adaptive.recovery), (backoff, threshold, recovery), "{name}");
    }
    assert_eq!(presets::all().len(), 12);
    let unknown = presets::find("turbo").unwrap_err().to_string();
    assert!(presets::all().iter().all(|preset| unknown.contains(preset.name)), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn parity_p11_a_flow_preset_makes_a_flow_that_works() {
    for preset in presets::all() {
        let flow = process_users().preset(preset).build().unwrap();
        let (shared, stats) = (users(100..700), flow.stats());
        let initial = preset.adaptive.map_or(preset.max_concurrent_flows, |adaptive| adaptive.initial);
        assert_eq!(stats.current_concurrent, initial, "{}", preset.name);
        assert!(flow.run(&shared).await.unwrap().is_complete());
        let at_once = usize::try_from(preset.max_concurrent_flows).unwrap();
        assert_eq!(shared.api.peak(), at_once, "{}", preset.name);
        if let Some(per_minute) = preset.max_flows_per_minute {
            assert_eq!(shared.api.fullest_minute(), usize::try_from(per_minute).unwrap(), "{}", preset.name);
        }
    }
}

/// What the seeds look at while a flow runs: completed and failed, the level, the window and how full it is.
#[tokio::test(start_paused = true)]
async fn parity_p17_figures_of_flow_and_node_while_it_runs() {
    let mut graph = Graph::new();
    let calls: NodeId = graph.add(Calls::of(|shared| &shared.api, 4, secs(1)), Limits::concurrent(2).per_minute(30));
    let flow = BatchFlow::over(graph.start(calls).unwrap()).max_concurrent_flows(5).max_flows_per_minute(20);
    let flow = flow.build().unwrap();
    let shared = Shared::default();
    let look = async {
        sleep(millis(2_500)).await;
        (flow.stats(), flow.node_stats().remove(0))
    };
    let (report, (at_flow, at_node)) = tokio::join!(flow.run_over(&shared, 0..20), look);
    // Two seconds an instance: five are done, and five have made the first half of their calls.
    assert_eq!((at_flow.completed, at_flow.failed, at_flow.running, at_flow.current_concurrent), (5, 0, 5, 5));
    assert_eq!((at_flow.window_count, at_flow.max_flows_per_minute), (10, Some(20)));
    assert_eq!((at_node.in_flight, at_node.completed, at_node.attempts), (10, 20, 30));
    assert_eq!(
        (at_node.max_concurrent, at_node.current_concurrent),
        (Some(2), Some(10)),
        "in one slot, in all of them"
    );
    assert_eq!((at_node.max_per_minute, at_node.slots, at_node.window_count), (Some(30), 5, 30));
    assert_eq!((at_flow.utilisation(), at_node.utilisation()), (Some(0.5), Some(0.2)));
    let report = report.unwrap();
    assert_eq!((report.completed, report.took), (20, secs(8)));
    let stats = &flow.node_stats()[0];
    assert_eq!((stats.completed, stats.failed, stats.in_flight, stats.peak_in_flight, stats.runs), (80, 0, 0, 10, 20));
}
