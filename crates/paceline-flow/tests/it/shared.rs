//! Sets that flows share, and pools.

use std::sync::Mutex;
use std::time::Duration;

use paceline::{LimitPool, LimitSet, Quota, Registry};
use paceline_flow::{BatchFlow, Cx, Graph, Limits, Node, Result};

use crate::support::{Act, Job, World, only};

fn batch<'n>(job: Job<'n>, limits: Limits, at_once: u64) -> BatchFlow<'n, World, u64> {
    BatchFlow::over(only(job, limits)).max_concurrent_flows(at_once).build().unwrap()
}

/// Two flows that want 15 each under a shared 10: what the service saw of both while both had work.
async fn shares_of_two(limits: impl Fn(&LimitSet) -> Limits) {
    let shared = LimitSet::builder("openai").concurrency(10).build().unwrap();
    let (world, seen) = (World::default(), Mutex::new(Vec::new()));
    let note = |flow: usize| {
        let seen = &seen;
        move |_| {
            seen.lock().unwrap().push(flow);
            Act::Take(100)
        }
    };
    let translation = batch(Job::new(1, note(0)), limits(&shared), 15);
    let summary = batch(Job::new(1, note(1)), limits(&shared), 15);
    let (a, b) = tokio::join!(translation.run_over(&world, 0..300), summary.run_over(&world, 0..300));
    assert!(a.unwrap().is_complete() && b.unwrap().is_complete());
    assert_eq!((world.service.peak(), world.service.calls()), (10, 600));
    let seen = seen.lock().unwrap();
    let both = &seen[..500];
    let first = both.iter().filter(|flow| **flow == 0).count() * 100 / both.len();
    assert!((40..=60).contains(&first), "{first} % of the calls were those of one flow");
    assert_eq!(shared.snapshot().active, 0);
}

#[tokio::test(start_paused = true)]
async fn two_flows_under_one_set_share_it_evenly_and_never_exceed_it() {
    shares_of_two(|shared| Limits::none().shared(shared)).await;
}

#[tokio::test(start_paused = true)]
async fn so_they_do_with_limits_of_their_own_beside_it() {
    shares_of_two(|shared| Limits::concurrent(3).per_minute(1_000).shared(shared)).await;
}

#[tokio::test(start_paused = true)]
async fn three_layers_hold_at_once() {
    let registry = Registry::new();
    let global = LimitSet::builder("global").calls(Quota::per_second(40)).concurrency(12).build().unwrap();
    registry.register("global", global.clone()).unwrap();
    let limits = Limits::concurrent(3).per_minute(400).named(&registry, "global").unwrap();
    assert!(Limits::none().named(&registry, "other").unwrap_err().to_string().contains("`global`"));
    let (flow, world) = (batch(Job::taking(10, 100), limits, 6), World::default());
    assert!(flow.run_over(&world, 0..30).await.unwrap().is_complete());
    assert_eq!(world.service.peak(), 12);
    assert_eq!((world.service.calls(), global.snapshot().granted, global.snapshot().active), (300, 300, 0));
    let nodes = flow.node_stats();
    assert!(nodes[0].peak_in_flight <= 12 && nodes[0].waited > Duration::ZERO);
}

/// A slot whose own window is spent must not keep anything of what it shares.
#[tokio::test(start_paused = true)]
async fn those_who_wait_for_limits_of_their_own_leave_the_shared_to_others() {
    let shared = LimitSet::builder("shared").concurrency(4).build().unwrap();
    for own in [Limits::concurrent(2).per_minute(5), Limits::sequential(), Limits::none().per_minute(3)] {
        let world = World::default();
        let slow = batch(Job::taking(30, 1_000), own.shared(&shared), 8);
        let other = batch(Job::taking(100, 100), Limits::none().shared(&shared), 1);
        let all = async { slow.run_over(&world, 0..8).await.map(|report| assert!(report.is_complete())) };
        let began = tokio::time::Instant::now();
        let (slow, other) = tokio::join!(tokio::time::timeout(Duration::from_secs(30), all), async {
            tokio::time::sleep(Duration::from_secs(15)).await;
            other.run_over(&World::default(), [0]).await.unwrap()
        });
        assert!(slow.is_err() && other.is_complete());
        assert!(other.took < Duration::from_secs(14), "{:?} after {:?}", other.took, began.elapsed());
        assert_eq!((shared.snapshot().active, shared.snapshot().waiting), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cost_is_charged_where_its_key_is_and_settled() {
    struct Ask;
    impl Node for Ask {
        type Shared = ();
        type Params = ();
        type Item = u64;
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
            Ok(vec![400, 500, 600])
        }

        async fn exec(&self, cx: Cx<'_, Self>, tokens: &u64) -> Result<()> {
            Ok(cx.settle([("tokens", tokens / 10)])?)
        }

        fn cost(&self, _: Cx<'_, Self>, tokens: &u64) -> Vec<(&'static str, u64)> {
            vec![("tokens", *tokens)]
        }
    }
    let tpm = LimitSet::builder("tpm").rate("tokens", Quota::per_minute(10_000)).build().unwrap();
    for limits in [Limits::none(), Limits::concurrent(2)] {
        let mut graph = Graph::new();
        let ask = graph.add(Ask, limits.shared(&tpm));
        graph.start(ask).unwrap().run(&(), ()).await.unwrap();
    }
    assert_eq!(tpm.snapshot().limit("tokens").unwrap().used, 2 * 150);
}

#[tokio::test(start_paused = true)]
async fn a_cost_that_nothing_counts_fails_the_item_and_one_too_large_too() {
    let world = World::default();
    let unknown = only(Job::taking(2, 1).costing(5), Limits::concurrent(2)).run(&world, 0).await.unwrap_err();
    assert!(unknown.to_string().contains("no limit `tokens`"), "{unknown}");
    let tpm = Limits::none().rate("tokens", Quota::per_minute(4));
    let large = only(Job::taking(2, 1).costing(5), tpm).run(&world, 0).await.unwrap_err();
    assert!(large.to_string().contains("at most 4"), "{large}");
    assert_eq!(world.service.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_pool_serves_a_node_and_says_which_member_it_was() {
    struct Ask;
    impl Node for Ask {
        type Shared = Mutex<Vec<String>>;
        type Params = ();
        type Item = u64;
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
            Ok((0..8).collect())
        }

        async fn exec(&self, cx: Cx<'_, Self>, _: &u64) -> Result<()> {
            let region = cx.served_by().and_then(|set| set.config("region")).ok_or("no region")?;
            cx.shared.lock().unwrap().push(region.to_owned());
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok(())
        }
    }
    let region = |name: &str| LimitSet::builder(name).concurrency(2).config("region", name).build().unwrap();
    let pool = LimitPool::builder("global").member(region("us")).member(region("eu")).build().unwrap();
    for limits in [Limits::none(), Limits::concurrent(3), Limits::none().per_minute(100)] {
        let (mut graph, served) = (Graph::new(), Mutex::default());
        let ask = graph.add(Ask, limits.pool(&pool));
        graph.start(ask).unwrap().run(&served, ()).await.unwrap();
        let served = served.into_inner().unwrap();
        assert_eq!(served.iter().filter(|region| *region == "us").count(), 4, "{served:?}");
    }
    assert!(pool.snapshot().iter().all(|member| member.active == 0));
}

#[tokio::test(start_paused = true)]
async fn an_item_stays_within_its_tenants_set_as_well() {
    struct Ask;
    impl Node for Ask {
        type Shared = (Registry, World);
        type Params = u64;
        type Item = u64;
        type Output = ();

        async fn prep(&self, _: Cx<'_, Self>) -> Result<Vec<u64>> {
            Ok((0..6).collect())
        }

        async fn exec(&self, cx: Cx<'_, Self>, _: &u64) -> Result<()> {
            cx.shared.1.service.call(Duration::from_millis(10)).await;
            Ok(())
        }

        fn sets(&self, cx: Cx<'_, Self>, _: &u64) -> Result<Vec<LimitSet>> {
            Ok(vec![cx.shared.0.get(&format!("tenant-{}", *cx.params % 2))?])
        }
    }
    let tenants = Registry::new();
    for tenant in ["tenant-0", "tenant-1"] {
        tenants.register(tenant, LimitSet::builder(tenant).concurrency(2).build().unwrap()).unwrap();
    }
    let mut graph = Graph::new();
    let ask = graph.add(Ask, Limits::concurrent(3));
    let flow = BatchFlow::over(graph.start(ask).unwrap()).max_concurrent_flows(8).build().unwrap();
    let shared = (tenants, World::default());
    let report = flow.run_over(&shared, 0..20).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((shared.1.service.peak(), shared.1.service.calls()), (4, 120));
    shared.0.remove("tenant-1");
    let report = flow.run_over(&shared, 0..4).await.unwrap();
    assert_eq!((report.completed, report.failed), (2, 2));
    assert!(report.to_string().contains("nothing is registered as `tenant-1`"), "{report}");
}
