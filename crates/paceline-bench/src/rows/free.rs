//! The future of an acquisition that need not wait: made, polled once, its permit dropped.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use paceline::Clock;
use tokio::sync::Semaphore;

use crate::harness::{CALLS, compare};
use crate::ours;
use crate::table::{Bar, Row};

pub(crate) fn rows() -> Vec<Row> {
    let semaphore = Semaphore::new(64);
    let with = |clock: Clock, name: &str| {
        let set = ours::one_bucket(clock);
        let both = compare(CALLS, || ready(set.acquire(())), || ready(semaphore.acquire()));
        let row = Row::new(format!("acquire().await when free, one token bucket{name}"), both.ratio);
        row.peer("tokio Semaphore").note(format!("{}; the peer needs no clock", both.times()))
    };
    vec![with(Clock::quanta(), "").bar(Bar::AtMost(1.5)).goal(Bar::AtMost(1.2)), with(Clock::tokio(), ", system clock")]
}

/// Polls once and looks at the permit where it lies, as `granted` does.
#[inline]
fn ready<T, E>(future: impl Future<Output = Result<T, E>>) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(black_box(&polled), Poll::Ready(Ok(_))), "there is room");
}
