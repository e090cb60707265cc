//! The plainest backend passes the suite, and shows what the seam does with failures.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use paceline::backend::Remote;
use paceline::telemetry::Exporter;
use paceline::{Error, LimitKind, LimitSet, Pacing, Permit, Quota, Verdict};
use paceline_testkit::conformance::{self, Behind, InProcess};
use paceline_testkit::memory::Memory;

fn set(memory: &Memory) -> LimitSet {
    let backend: Arc<dyn Remote> = Arc::new(memory.clone());
    LimitSet::builder("set").calls(Quota::per_second(10)).concurrency(2).backend(backend).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn sets_of_one_process_conform() {
    conformance::all(|| async { InProcess }).await;
}

#[tokio::test(start_paused = true)]
async fn memory_conforms() {
    conformance::all(|| async { Behind(Memory::default()) }).await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_away_is_a_retryable_error() {
    let memory = Memory::default();
    let set = set(&memory);
    drop(set.acquire(()).await.unwrap());
    memory.set_away(true);
    let error = set.acquire(()).await.unwrap_err();
    assert!(matches!(error, Error::Backend { .. }) && error.is_retryable(), "{error}");
    memory.set_away(false);
    drop(set.acquire(()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_holds_nothing() {
    let memory = Memory::default();
    let set = set(&memory);
    drop(set.acquire(()).await.unwrap());
    memory.lose_next_answer();
    assert!(set.acquire(()).await.is_err());
    assert_eq!(memory.held(), 0, "the permit that nobody got was given back");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_gives_its_place_back() {
    let memory = Memory::default();
    let set = set(&memory);
    let held = (set.acquire(()).await.unwrap(), set.acquire(()).await.unwrap());
    let waiting = tokio::time::timeout(Duration::from_millis(10), set.acquire(())).await;
    assert!(waiting.is_err());
    drop(held);
    assert_eq!(memory.held(), 0);
    drop(set.acquire(()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_monitor_sees_all_of_a_set_and_the_waits_of_its_own_process() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _local = ::metrics::set_default_local_recorder(&recorder);
    let (memory, exporter) = (Memory::default(), Exporter::default());
    let page = |set: &LimitSet| {
        exporter.export(set);
        recorder.handle().render()
    };
    let (ours, theirs) = (set(&memory), set(&memory));
    memory.set_away(true);
    assert!(!page(&ours).contains("set=\"set\""), "nothing is told that is not known");
    memory.set_away(false);
    let held = (theirs.acquire(()).await.unwrap(), theirs.acquire(()).await.unwrap());
    let waiting = tokio::spawn(async move { ours.acquire(()).await.map(drop).map(|()| ours.clone()) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = page(&theirs);
    for line in ["in_flight{set=\"set\"} 2", "members{set=\"set\"} 1", "admitted_total{set=\"set\"} 2"] {
        assert!(seen.contains(&format!("paceline_{line}")), "{line} is not in: {seen}");
    }
    drop(held);
    let seen = page(&waiting.await.unwrap().unwrap());
    assert!(seen.contains("paceline_wait_seconds_sum{set=\"set\"} 1"), "{seen}");
    assert!(seen.contains("paceline_wait_seconds_count{set=\"set\"} 1"), "one had to wait: {seen}");
}

#[test]
fn threads_wait_for_a_remote_set_too() {
    let memory = Memory::default();
    let set = set(&memory);
    let permit = set.acquire_blocking(()).unwrap();
    assert_eq!(memory.held(), 1);
    drop(permit);
    assert_eq!(memory.held(), 0);
}

#[test]
fn sets_that_live_elsewhere_are_not_joined_or_pooled() {
    let set = set(&Memory::default());
    assert!(matches!(LimitSet::all([&set]), Err(Error::NotJoinable { .. })));
    let pool = paceline::LimitPool::builder("pool").member(set).build();
    assert!(matches!(pool, Err(Error::LocalOnly { .. })));
}

/// Calls that this member paces for itself.
fn paced(memory: &Memory) -> LimitSet {
    let (quota, backend): (_, Arc<dyn Remote>) = (Quota::per_second(50), Arc::new(memory.clone()));
    let set = LimitSet::builder("paced").calls(quota).pacing("calls", Pacing::new(quota).unwrap());
    set.backend(backend).build().unwrap()
}

fn guard(set: &LimitSet) -> Duration {
    match set.snapshot().limit("calls").unwrap().kind {
        LimitKind::Rate(quota) => quota.guard_pad(),
        LimitKind::Resource => panic!("a rate"),
    }
}

/// The call of a permit leaves 20 ms after its admission.
async fn leaves_late(permit: &Permit<'_>) {
    tokio::time::sleep(Duration::from_millis(20)).await;
    permit.sent();
}

#[tokio::test(start_paused = true)]
async fn who_leaves_has_no_say_any_more() {
    let memory = Memory::default();
    let (set, other) = (paced(&memory), paced(&memory));
    leaves_late(&set.acquire(()).await.unwrap()).await;
    assert_eq!(guard(&other), Duration::from_millis(30));
    drop(set);
    assert_eq!(guard(&other), Duration::from_millis(10), "as it was stated");
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_was_away_is_told_later() {
    let memory = Memory::default();
    let set = paced(&memory);
    let permit = set.acquire(()).await.unwrap();
    memory.set_away(true);
    leaves_late(&permit).await;
    memory.set_away(false);
    assert_eq!(guard(&set), Duration::from_millis(10), "it could not be told");
    permit.report(Verdict::Success);
    assert_eq!(guard(&set), Duration::from_millis(30));
}
