//! PocketFlow Throttled's features, each as its own documentation shows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline::{Error, LimitSet, LimitSetBuilder, Quota, RateLimitPolicy, RateLimiter, Registry, presets};

use crate::support::{assert_all_came_back, millis, others_run, secs, timed};

/// `RateLimiter(max_concurrent=5, max_per_window=60, window_seconds=60)`, `async with limiter: await make_api_call()`.
#[tokio::test(start_paused = true)]
async fn parity_p01_rate_limiter_holds_both_limits_in_one_guard() {
    let limiter = RateLimiter::concurrent(5).per_window(60, secs(60));
    let (inside, peak) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let calls = (0..100).map(|_| {
        let (limiter, inside, peak) = (limiter.clone(), Arc::clone(&inside), Arc::clone(&peak));
        tokio::spawn(async move {
            let make_api_call = || async {
                peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(millis(100)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
            };
            limiter.run(make_api_call).await.unwrap();
        })
    });
    let (calls, took) = timed(futures::future::join_all(calls)).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(peak.load(Ordering::SeqCst), 5);
    // Sixty in twelve rounds of five; the other forty a minute after the first ones, in eight.
    assert_eq!(took, secs(60) + millis(800));
}

#[tokio::test(start_paused = true)]
async fn parity_p01_without_a_window_only_concurrency_limits() {
    let limiter = RateLimiter::concurrent(5);
    let held: Vec<_> = futures::future::join_all((0..5).map(|_| limiter.acquire(1))).await;
    assert!(held.iter().all(Result::is_ok));
    assert!(matches!(limiter.try_acquire(1), Err(Error::NotNow { retry_after: None, .. })));
    assert_eq!(limiter.current_window_count(), 0);
    drop(held);
    let (_, took) = timed(async {
        for _ in 0..1_000 {
            drop(limiter.acquire(1).await.unwrap());
        }
    })
    .await;
    assert_eq!(took, secs(0));
}

#[tokio::test(start_paused = true)]
async fn parity_p01_window_count_reset_and_validation() {
    let limiter = RateLimiter::concurrent(5).per_window(3, secs(60));
    for n in 0..3 {
        assert_eq!(limiter.current_window_count(), n);
        drop(limiter.acquire(1).await.unwrap());
    }
    assert_eq!(limiter.current_window_count(), 3);
    limiter.try_acquire(1).unwrap_err();
    limiter.reset();
    assert_eq!(limiter.current_window_count(), 0);
    drop(limiter.try_acquire(1).unwrap());
    tokio::time::sleep(secs(60)).await;
    assert_eq!(limiter.current_window_count(), 0);

    for wrong in [
        RateLimitPolicy::concurrent(0),
        RateLimitPolicy::concurrent(5).per_window(0, secs(60)),
        RateLimitPolicy::concurrent(5).per_window(60, secs(0)),
    ] {
        assert!(matches!(RateLimiter::new(wrong), Err(Error::Limit { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn parity_p01_no_slot_is_held_while_the_window_is_waited_for() {
    let limiter = RateLimiter::concurrent(1).per_window(1, secs(60));
    drop(limiter.acquire(1).await.unwrap());
    let mut waiting = Box::pin(limiter.acquire(1));
    assert!(futures::poll!(&mut waiting).is_pending());
    assert_eq!(limiter.set().unwrap().snapshot().active, 0);
    let (permit, took) = timed(waiting).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(60));
}

fn limiter(name: &str, max_concurrent: u64, max_per_window: Option<u64>) -> LimitSet {
    let set: LimitSetBuilder = LimitSet::builder(name.to_owned()).concurrency(max_concurrent);
    let set = match max_per_window {
        Some(max) => set.calls(Quota::per_minute(max)),
        None => set,
    };
    set.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn parity_p09_two_services_share_one_limiter_by_name() {
    let registry: &'static Registry = Box::leak(Box::new(Registry::new()));
    registry.register("openai", limiter("openai", 10, Some(60))).unwrap();
    registry.register("anthropic", limiter("anthropic", 5, Some(50))).unwrap();
    registry.register("internal_api", limiter("internal_api", 20, None)).unwrap();

    let (inside, peak) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let service = |items: u64| {
        let (inside, peak) = (Arc::clone(&inside), Arc::clone(&peak));
        futures::future::join_all((0..items).map(move |_| {
            let (inside, peak) = (Arc::clone(&inside), Arc::clone(&peak));
            async move {
                let openai = registry.get("openai").unwrap();
                let _permit = openai.acquire(()).await.unwrap();
                peak.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(millis(100)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        }))
    };
    let (_, took) = timed(futures::future::join(service(20), service(20))).await;
    assert_eq!(peak.load(Ordering::SeqCst), 10, "across both services");
    assert_eq!(took, millis(400));
}

#[tokio::test(start_paused = true)]
async fn parity_p09_registry_operations() {
    let registry = Registry::new();
    registry.register("my_api", limiter("my_api", 10, Some(100))).unwrap();
    let duplicate = registry.register("my_api", limiter("my_api", 1, None));
    assert!(matches!(duplicate, Err(Error::DuplicateName { name }) if &*name == "my_api"));

    let unregistered = registry.get("unregistered").unwrap_err();
    assert!(unregistered.to_string().contains("`my_api`"), "{unregistered}");

    let made = registry.get_or_create("lazy", |name| Ok(limiter(&name, 10, Some(100)))).unwrap();
    let again = registry.get_or_create("lazy", |_| panic!("it exists")).unwrap();
    assert!(made.is(&again));
    let failing = registry.get_or_create("bad", |name| LimitSet::builder(name).concurrency(0).build());
    assert!(matches!(failing, Err(Error::Limit { .. })));

    assert!(registry.exists("lazy") && !registry.exists("bad"));
    let names: Vec<_> = registry.list_names().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["lazy", "my_api"]);
    let all = registry.list_all();
    assert_eq!(&*all[1].0, "my_api");
    assert_eq!(all[1].1.limit("concurrency").unwrap().capacity, 10);
    assert_eq!(all[1].1.limit("calls").unwrap().capacity, 100);

    let my_api = registry.get("my_api").unwrap();
    for _ in 0..23 {
        drop(my_api.acquire(()).await.unwrap());
    }
    let stats = registry.stats("my_api").unwrap();
    assert_eq!(stats.limit("calls").unwrap().used, 23, "current_window_count");
    assert_eq!(stats.limit("calls").unwrap().fill(), 0.23, "utilisation");
    assert_eq!((stats.granted, stats.active), (23, 0));
    registry.reset("my_api").unwrap();
    assert_eq!(registry.stats("my_api").unwrap().limit("calls").unwrap().used, 0);

    assert!(registry.remove("lazy").is_some_and(|set| set.is(&made)));
    assert!(registry.remove("lazy").is_none());
    registry.clear();
    assert!(registry.is_empty());
    assert!(matches!(registry.reset("my_api"), Err(Error::UnknownName { .. })));
    assert!(std::ptr::eq(Registry::global(), Registry::global()));
}

#[tokio::test(start_paused = true)]
async fn parity_p09_replace_reconfigures_live() {
    let registry = Registry::new();
    let api = registry.replace("api", limiter("api", 2, Some(10))).unwrap();
    let held = api.acquire(()).await.unwrap();
    let same = registry.replace("api", limiter("api", 5, Some(100))).unwrap();
    assert!(same.is(&api));
    let snapshot = api.snapshot();
    assert_eq!(snapshot.limit("concurrency").unwrap().capacity, 5);
    assert_eq!(snapshot.limit("calls").unwrap().capacity, 100);
    assert_eq!((snapshot.active, snapshot.limit("calls").unwrap().used), (1, 1), "what is out stays counted");
    let other = registry.replace("api", limiter("api", 5, None)).unwrap_err();
    assert!(matches!(other, Error::Incompatible { .. }));
    assert_eq!(api.snapshot().limit("calls").unwrap().capacity, 100, "nothing has changed then");
    drop(held);
    assert_all_came_back(&api);
}

#[test]
fn parity_p09_the_registry_is_safe_across_threads() {
    let registry = Registry::new();
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..200 {
                    let make = |name: Arc<str>| {
                        made.fetch_add(1, Ordering::Relaxed);
                        Ok(limiter(&name, 3, None))
                    };
                    let set = registry.get_or_create(format!("tenant {n}"), make).unwrap();
                    drop(set.try_acquire(()));
                    let _ = registry.list_all();
                    let _ = registry.replace(format!("tenant {n}"), limiter("x", 4, None)).unwrap();
                }
            });
        }
    });
    assert_eq!((made.load(Ordering::Relaxed), registry.len()), (200, 200), "each is made once");
}

#[tokio::test(start_paused = true)]
async fn parity_p09_idle_sets_can_be_evicted_and_nothing_changes_by_it() {
    let registry = Registry::new();
    let make = |name: &str| registry.register(name.to_owned(), limiter(name, 2, Some(10))).unwrap();
    let (held, used, closed, changed) = (make("held"), make("used"), make("closed"), make("changed"));
    for name in ["paused", "idle"] {
        drop(make(name));
    }
    let permit = held.acquire(()).await.unwrap().into_owned();
    drop(used.acquire(()).await.unwrap());
    closed.close().unwrap();
    changed.set_quota("calls", Quota::per_minute(3)).unwrap();
    registry.get("paused").unwrap().pause_for(secs(10)).unwrap();
    drop((held, used, closed, changed));
    assert_eq!(registry.evict_idle(), 1, "only what making anew would not change: {:?}", registry.list_names());
    assert!(!registry.exists("idle"));
    drop(permit);
    tokio::time::sleep(secs(60)).await;
    assert_eq!(registry.evict_idle(), 3);
    let left: Vec<_> = registry.list_names().iter().map(ToString::to_string).collect();
    assert_eq!(left, ["changed", "closed"]);
}

/// `ThrottledParallelBatchNode(**Presets.OPENAI_TIER1)`: the numbers as they are, at work.
#[tokio::test(start_paused = true)]
async fn parity_p10_a_preset_makes_a_limiter_that_works() {
    let set = presets::find("OPENAI_TIER1").unwrap().limits().build().unwrap();
    assert_eq!(set.name(), "openai-tier-1");
    let calls = (0..100).map(|_| {
        let set = set.clone();
        tokio::spawn(async move {
            let _permit = set.acquire(()).await.unwrap();
            tokio::time::sleep(secs(1)).await;
        })
    });
    let (_, took) = timed(futures::future::join_all(calls)).await;
    assert_eq!(took, secs(60 + 8), "sixty a minute, five at once");
}

#[test]
fn parity_p10_every_preset_builds_a_set_of_its_numbers() {
    for preset in presets::all() {
        let set = preset.limits().build().unwrap_or_else(|error| panic!("{}: {error}", preset.name));
        let snapshot = set.snapshot();
        let expected = [
            ("concurrency", preset.concurrency),
            ("calls", preset.requests_per_minute),
            ("calls/day", preset.requests_per_day),
            ("tokens", preset.tokens_per_minute),
            ("input_tokens", preset.input_tokens_per_minute),
            ("output_tokens", preset.output_tokens_per_minute),
        ];
        for (key, amount) in expected {
            assert_eq!(snapshot.limit(key).map(|limit| limit.available), amount, "{key} of {}", preset.name);
        }
        drop(set.try_acquire(()).unwrap());
        // As a starting point it can be added to.
        assert!(preset.limits().resource("gpu", 1).build().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn parity_p15_limits_per_tenant_are_kept_apart() {
    let registry = Registry::new();
    for (tenant, at_once, per_minute) in [("acme", 2, 10), ("globex", 5, 100)] {
        registry.register(format!("tenant_{tenant}"), limiter(tenant, at_once, Some(per_minute))).unwrap();
    }
    let (acme, globex) = (registry.get("tenant_acme").unwrap(), registry.get("tenant_globex").unwrap());
    for _ in 0..10 {
        drop(acme.acquire(()).await.unwrap());
    }
    acme.try_acquire(()).unwrap_err();
    for _ in 0..100 {
        drop(globex.try_acquire(()).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn parity_p15_limits_per_environment_and_region() {
    let of = HashMap::from([("development", (2, 10)), ("staging", (5, 50)), ("production", (20, 200))]);
    for (environment, (at_once, per_minute)) in of {
        let region = |name: &str| {
            let set = LimitSet::builder(format!("{environment}/{name}")).concurrency(at_once);
            set.calls(Quota::per_minute(per_minute)).config("region", name.to_owned()).build().unwrap()
        };
        let (us, eu) = (region("us-east-1"), region("eu-west-1"));
        let held: Vec<_> = (0..at_once).map(|_| us.try_acquire(()).unwrap()).collect();
        us.try_acquire(()).unwrap_err();
        assert_eq!(eu.try_acquire(()).unwrap().config("region"), Some("eu-west-1"));
        drop(held);
    }
}

#[test]
fn parity_p15_many_tenants_come_from_one_template() {
    let plan = LimitSet::builder("tenant").calls(Quota::per_minute(60).burst(10)).concurrency(4).template().unwrap();
    let registry = Registry::new();
    for n in 0..20_000 {
        registry.get_or_create(format!("tenant {n}"), |name| Ok(plan.make(name))).unwrap();
    }
    let one = registry.get("tenant 4711").unwrap();
    let held: Vec<_> = (0..4).map(|_| one.try_acquire(()).unwrap()).collect();
    one.try_acquire(()).unwrap_err();
    drop(registry.get("tenant 4712").unwrap().try_acquire(()).unwrap());
    drop(held);
    drop(one);
    assert_eq!(registry.evict_idle(), 19_998, "two have a call in their bucket");
}

#[tokio::test(start_paused = true)]
async fn parity_p15_a_tenants_wait_does_not_touch_another() {
    let plan = LimitSet::builder("tenant").calls(Quota::per_minute(1)).template().unwrap();
    let (a, b) = (plan.make("a"), plan.make("b"));
    drop(a.acquire(()).await.unwrap());
    let waiting = tokio::spawn(async move { a.acquire(()).await.map(drop) });
    others_run().await;
    let (permit, took) = timed(b.acquire(())).await;
    drop(permit.unwrap());
    assert_eq!(took, secs(0));
    waiting.abort();
}
