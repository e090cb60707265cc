//! 100,000 waiters: what each costs, and whether a grant costs more for their number.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use paceline::{Acquire, LimitSet, Permit, Quota};
use tokio::runtime::{Builder, Runtime};

use crate::harness::median;
use crate::heap;
use crate::table::{Bar, Row};

const MANY: usize = 100_000;
const FEW: usize = 1_000;

pub(crate) fn rows() -> Vec<Row> {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (growth, future) = (bytes_each(&runtime), size_of::<Acquire<'static>>());
    let pairs = (0..21).map(|_| (nanos_a_grant(&runtime, MANY), nanos_a_grant(&runtime, FEW)));
    let pairs: Vec<_> = pairs.collect();
    let ratio = median(pairs.iter().map(|(many, few)| many / few).collect());
    let many = median(pairs.iter().map(|(many, _)| *many).collect());
    vec![
        Row::new("100,000 waiters: bytes each beyond the task", growth)
            .bar(Bar::AtMost(256.0))
            .note(format!("the future, in the task, is {future} bytes")),
        Row::new("100,000 waiters: a grant's time to that among 1,000", ratio)
            .note(format!("{many:.0} ns; release, grant, collect; log n is 1.7")),
    ]
}

type Waiting<'a> = Pin<Box<Acquire<'a>>>;

fn held_set() -> LimitSet {
    LimitSet::builder("crowd")
        .rate("requests", Quota::per_second(1_000).burst(10))
        .concurrency(1)
        .build()
        .expect("a set")
}

/// Room for `waiters` futures that wait behind `held`.
fn wait<'a>(set: &'a LimitSet, waiting: &mut Vec<Waiting<'a>>, waiters: usize) {
    for _ in 0..waiters {
        let mut future = Box::pin(set.acquire(()));
        assert!(poll(&mut future).is_none(), "the only unit is held");
        waiting.push(future);
    }
}

fn poll<'a>(future: &mut Waiting<'a>) -> Option<Permit<'a>> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(permit) => Some(permit.expect("a permit")),
        Poll::Pending => None,
    }
}

/// Heap a waiter, less the boxes that the futures lie in, which are the task's.
fn bytes_each(runtime: &Runtime) -> f64 {
    let _entered = runtime.enter();
    let set = held_set();
    let _held = set.try_acquire(()).expect("room");
    let mut waiting = Vec::with_capacity(MANY);
    let ((), growth) = heap::growth(|| wait(&set, &mut waiting, MANY));
    (growth - MANY * size_of::<Acquire<'static>>()) as f64 / MANY as f64
}

/// The time from giving the unit back to the next having it, over the first half of `waiters`, at most 500.
fn nanos_a_grant(runtime: &Runtime, waiters: usize) -> f64 {
    let _entered = runtime.enter();
    let set = held_set();
    let mut held = set.try_acquire(()).expect("room");
    let mut waiting = Vec::with_capacity(waiters);
    wait(&set, &mut waiting, waiters);
    let grants = FEW / 2;
    let start = Instant::now();
    for future in &mut waiting[..grants] {
        drop(held);
        held = poll(future).expect("its turn");
    }
    let took = start.elapsed();
    drop(waiting);
    took.as_nanos() as f64 / grants as f64
}
