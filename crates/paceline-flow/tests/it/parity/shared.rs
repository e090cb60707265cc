//! Limiters that flows share by name.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use paceline::{LimitSet, Quota, Registry};
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result};
use tokio::time::sleep;

use super::{millis, secs, timed};
use crate::support::Service;

fn limiter(name: &str, max_concurrent: u64, max_per_window: Option<u64>) -> LimitSet {
    let set = LimitSet::builder(name.to_owned()).concurrency(max_concurrent);
    let set = match max_per_window {
        Some(calls) => set.calls(Quota::per_minute(calls)),
        None => set,
    };
    set.build().unwrap()
}

/// `setup_limiters()` of the complete example.
fn setup_limiters() -> Registry {
    let registry = Registry::new();
    for (name, at_once, per_minute) in
        [("openai", 10, Some(60)), ("anthropic", 5, Some(50)), ("internal_api", 20, None)]
    {
        registry.register(name, limiter(name, at_once, per_minute)).unwrap();
    }
    registry
}

/// What the services share: the API, and what it answered.
#[derive(Default)]
struct App {
    openai: Service,
    replies: Mutex<Vec<String>>,
}

struct Translation;
struct Summarization;

impl Node for Translation {
    type Shared = App;
    type Params = (u64, &'static str);
    type Item = ();
    type Output = String;

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<String> {
        cx.shared.openai.call(millis(100)).await;
        let (text, target) = cx.params;
        let reply = format!("text {text} in {target}");
        cx.shared.replies.lock().unwrap().push(reply.clone());
        Ok(reply)
    }
}

impl Node for Summarization {
    type Shared = App;
    type Params = u64;
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
        cx.shared.openai.call(millis(100)).await;
        Ok(())
    }
}

/// Each flow wants fifteen at once, and the shared limiter is ten: twenty texts and twenty documents.
#[tokio::test(start_paused = true)]
async fn parity_p09_two_flows_share_one_limiter_by_name() {
    let registry = setup_limiters();
    let openai = || Limits::none().named(&registry, "openai").unwrap();
    let mut graph = Graph::new();
    let translate = graph.add(Translation, openai());
    let translation = BatchFlow::over(graph.start(translate).unwrap()).max_concurrent_flows(15).build().unwrap();
    let mut graph = Graph::new();
    let summarize = graph.add(Summarization, openai());
    let summarization = BatchFlow::over(graph.start(summarize).unwrap()).max_concurrent_flows(15).build().unwrap();

    let app = App::default();
    let texts = (0..20).map(|text| (text, "es"));
    let ((one, two), took) =
        timed(async { tokio::join!(translation.run_over(&app, texts), summarization.run_over(&app, 0..20)) }).await;
    assert!(one.unwrap().is_complete() && two.unwrap().is_complete());
    assert_eq!((app.openai.peak(), app.openai.calls(), took), (10, 40, millis(400)));
    assert!(app.replies.lock().unwrap().contains(&"text 19 in es".to_owned()));
    let stats = registry.stats("openai").unwrap();
    assert_eq!((stats.limit("calls").unwrap().used, stats.limit("calls").unwrap().capacity), (40, 60));
    assert_eq!(registry.stats("anthropic").unwrap().granted, 0);
    // Twenty more texts fit into this minute, and the next after them into the one that follows.
    let (report, took) = timed(translation.run_over(&app, (0..21).map(|text| (text, "fr")))).await;
    assert!(report.unwrap().is_complete());
    assert_eq!(app.openai.fullest_minute(), 60);
    assert!(took > secs(59), "{took:?}");
}

/// "Forgetting to register": an error when the graph is made, which says what there is.
#[test]
fn parity_p09_a_name_that_nobody_registered_is_an_error_before_anything_runs() {
    let error = Limits::none().named(&setup_limiters(), "unregistered").unwrap_err().to_string();
    for name in ["unregistered", "openai", "anthropic", "internal_api"] {
        assert!(error.contains(name), "{error}");
    }
}

/// Individual limiters: 10 + 10 = 20. One shared: 10.
#[tokio::test(start_paused = true)]
async fn parity_p09_shared_against_individual() {
    for (shared, peak) in [(false, 20), (true, 10)] {
        let (set, app) = (limiter("api", 10, None), App::default());
        let limits = || if shared { Limits::none().shared(&set) } else { Limits::concurrent(10) };
        let flow = |limits| {
            let mut graph = Graph::new();
            let node = graph.add(Summarization, limits);
            graph.start(node).unwrap()
        };
        // Twenty runs of one flow share its one copy of the node's own limits.
        let (one, two) = (flow(limits()), flow(limits()));
        let runs = (0..20).flat_map(|item| [one.run(&app, item), two.run(&app, item)]);
        for action in futures::future::join_all(runs).await {
            action.unwrap();
        }
        assert_eq!(app.openai.peak(), peak);
    }
}

/// What the pattern nodes look up for themselves.
struct Lookups {
    registry: Registry,
    made: AtomicU64,
    services: BTreeMap<&'static str, Service>,
}

/// `MultiProviderNode`, whose `params["provider"]` says which limiter; and `ReusableNode` of a library, which registers its
/// limiter where nobody has.
struct MultiProvider;

impl Node for MultiProvider {
    type Shared = Lookups;
    type Params = &'static str;
    type Item = ();
    type Output = ();

    async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<()>> {
        Ok(vec![()])
    }

    async fn exec(&self, cx: Cx<'_, Self>, (): &()) -> Result<()> {
        cx.shared.services[cx.params].call(millis(500)).await;
        Ok(())
    }

    fn sets(&self, cx: Cx<'_, Self>, (): &()) -> Result<Vec<LimitSet>> {
        let Lookups { registry, made, .. } = cx.shared;
        let lazily = |name: std::sync::Arc<str>| {
            made.fetch_add(1, SeqCst);
            Ok(limiter(&name, 3, Some(100)))
        };
        Ok(vec![registry.get_or_create(*cx.params, lazily)?])
    }
}

#[tokio::test(start_paused = true)]
async fn parity_p09_each_instance_takes_the_limiter_that_its_parameters_name() {
    let services = ["openai", "anthropic", "internal_api", "my_library_api"].map(|name| (name, Service::default()));
    let lookups = Lookups { registry: setup_limiters(), made: AtomicU64::new(0), services: services.into() };
    let mut graph = Graph::new();
    let node = graph.add(MultiProvider, Limits::none());
    let flow = BatchFlow::over(graph.start(node).unwrap()).max_concurrent_flows(100).build().unwrap();
    let names = ["openai", "anthropic", "internal_api", "my_library_api"];
    let report = flow.run_over(&lookups, names.into_iter().cycle().take(120)).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(names.map(|name| lookups.services[name].peak()), [10, 5, 20, 3]);
    assert_eq!((lookups.made.load(SeqCst), lookups.registry.len()), (1, 4), "made once, on first use");
}

/// `LimiterRegistry.register(..., replace=True)` while a flow is at it: the limiter is changed, not swapped for another.
#[tokio::test(start_paused = true)]
async fn parity_p09_a_limiter_is_reconfigured_while_flows_run() {
    let (registry, app) = (setup_limiters(), App::default());
    let mut graph = Graph::new();
    let node = graph.add(Summarization, Limits::none().named(&registry, "internal_api").unwrap());
    let flow = BatchFlow::over(graph.start(node).unwrap()).max_concurrent_flows(50).build().unwrap();
    let change = async {
        sleep(millis(150)).await;
        let before = app.openai.peak();
        registry.replace("internal_api", limiter("internal_api", 4, None)).unwrap();
        sleep(millis(100)).await;
        (before, app.openai.now())
    };
    let (report, (before, after)) = tokio::join!(flow.run_over(&app, 0..100), change);
    assert!(report.unwrap().is_complete());
    assert_eq!((before, after), (20, 4));
}

/// The seed's own test: after one call, one in the window; between tests, nothing.
#[tokio::test(start_paused = true)]
async fn parity_p09_stats_after_a_call_and_reset_between_tests() {
    let (registry, app) = (Registry::new(), App::default());
    registry.register("test_api", limiter("test_api", 2, Some(10))).unwrap();
    let mut graph = Graph::new();
    let node = graph.add(Summarization, Limits::none().named(&registry, "test_api").unwrap());
    graph.start(node).unwrap().run(&app, 1).await.unwrap();
    let used = || registry.stats("test_api").unwrap().limit("calls").unwrap().used;
    assert_eq!(used(), 1);
    registry.reset("test_api").unwrap();
    assert_eq!(used(), 0);
    registry.clear();
    assert!(registry.list_names().is_empty());
}
