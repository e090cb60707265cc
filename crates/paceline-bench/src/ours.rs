//! What of Paceline is measured.

#[cfg(target_os = "linux")]
use std::sync::Arc;

#[cfg(target_os = "linux")]
use paceline::backend::Remote;
use paceline::{Clock, Key, LimitSet, LimitSetBuilder, Quota};

/// More a second than any of the calls measured can take, so that there is always room.
const PLENTY: u64 = 1_000_000_000;

/// A token bucket with plenty.
pub(crate) fn bucket_quota() -> Quota {
    Quota::per_second(PLENTY).burst(PLENTY)
}

/// A sliding window with plenty: the default algorithm.
pub(crate) fn window_quota() -> Quota {
    Quota::per_second(PLENTY)
}

/// One token bucket.
pub(crate) fn one_bucket(clock: Clock) -> LimitSet {
    LimitSet::builder("bucket").calls(bucket_quota()).clock(clock).build().expect("a valid set")
}

/// Three rates and one resource, with handles of the rates; a unit of the resource goes with every demand.
pub(crate) fn three_and_one(quota: Quota, clock: Clock) -> (LimitSet, [(Key, u64); 3]) {
    described(quota, |set| set.clock(clock))
}

/// The same in a backend.
#[cfg(target_os = "linux")]
pub(crate) fn three_and_one_in(quota: Quota, backend: impl Into<Arc<dyn Remote>>) -> (LimitSet, [(Key, u64); 3]) {
    described(quota, |set| set.backend(backend))
}

fn described(quota: Quota, lives: impl FnOnce(LimitSetBuilder) -> LimitSetBuilder) -> (LimitSet, [(Key, u64); 3]) {
    let keys = ["requests", "input", "output"];
    let mut set = lives(LimitSet::builder("three and one"));
    for key in keys {
        set = set.rate(key, quota);
    }
    let set = set.concurrency(64).build().expect("a valid set");
    let amounts = keys.map(|key| (set.key(key).expect("one of its keys"), 1));
    (set, amounts)
}
