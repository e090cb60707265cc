//! Three rates and one resource, all or nothing, beside what a user would combine today.

use paceline::{Clock, Key, LimitSet, Quota};

use crate::harness::{CALLS, CONTENDED, compare, contend, granted};
use crate::peers::{self, Composite};
use crate::table::{Bar, Row};
use crate::{heap, ours};

const PEER: &str = "3 governor + Semaphore";

pub(crate) fn rows() -> Vec<Row> {
    let (bucket, window) = (ours::bucket_quota(), ours::window_quota());
    vec![
        alone(bucket, "token buckets").bar(Bar::AtMost(0.8)).goal(Bar::AtMost(0.5)),
        alone(window, "sliding windows"),
        by_quanta(bucket, "token buckets"),
        contended_by_quanta(bucket, "token buckets"),
        contended(bucket, "token buckets").bar(Bar::AtLeast(0.8)).goal(Bar::AtLeast(1.0)),
        contended(window, "sliding windows"),
    ]
}

fn alone(quota: Quota, name: &str) -> Row {
    let (set, amounts) = ours::three_and_one(quota, Clock::tokio());
    let composite = Composite::new(peers::system_governor);
    let both = compare(CALLS, || take(&set, &amounts), || composite.take());
    let allocations = heap::allocations(|| take(&set, &amounts));
    let note = format!("{}; both the system's clock; {allocations} allocations", both.times());
    Row::new(format!("three {name} and one resource"), both.ratio).peer(PEER).note(note)
}

fn by_quanta(quota: Quota, name: &str) -> Row {
    let (set, amounts) = ours::three_and_one(quota, Clock::quanta());
    let composite = Composite::new(peers::governor);
    let both = compare(CALLS, || take(&set, &amounts), || composite.take());
    let note = format!("{}; both quanta", both.times());
    Row::new(format!("three {name} and one resource, quanta"), both.ratio).peer(PEER).note(note)
}

fn contended(quota: Quota, name: &str) -> Row {
    let (set, amounts) = ours::three_and_one(quota, Clock::tokio());
    let composite = Composite::new(peers::system_governor);
    let both = contend(CONTENDED, || take(&set, &amounts), || composite.take());
    let note = format!("throughput; {} a thread's call; both the system's clock", both.times());
    Row::new(format!("three {name} and one resource, two threads"), both.throughput()).peer(PEER).note(note)
}

fn contended_by_quanta(quota: Quota, name: &str) -> Row {
    let (set, amounts) = ours::three_and_one(quota, Clock::quanta());
    let composite = Composite::new(peers::governor);
    let both = contend(CONTENDED, || take(&set, &amounts), || composite.take());
    let note = format!("throughput; {} a thread's call; both quanta", both.times());
    Row::new(format!("three {name} and one resource, two threads, quanta"), both.throughput()).peer(PEER).note(note)
}

#[inline]
fn take(set: &LimitSet, amounts: &[(Key, u64); 3]) {
    granted(&set.try_acquire(amounts));
}
