//! The plainest backend passes the suite, and shows what the seam does with failures.

use std::sync::Arc;
use std::time::Duration;

use paceline::backend::Remote;
use paceline::{Error, LimitSet, Quota};
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
