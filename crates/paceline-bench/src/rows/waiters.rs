//! 1,000 tasks that acquire again and again at 1,000 a second, in real time.
//!
//! What a limiter owes its waiters shows here: how much of the rate they get, whether the rate is kept, and how often
//! each has to be polled. The rate is taken over whole thousands of admissions after the first window, so that neither
//! the first burst nor a last one that was cut counts.

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paceline::{Clock, LimitSet, Quota};

use crate::table::{Bar, Row};

const WAITERS: usize = 1_000;
const RATE: usize = 1_000;
const WINDOW: Duration = Duration::from_secs(1);
const LASTS: Duration = Duration::from_millis(5_500);

pub(crate) fn rows() -> Vec<Row> {
    let named = |what: &str| format!("1,000 waiters at 1,000/s: {what}");
    let ours = ours(Quota::per_second(RATE as u64));
    let mut rows = vec![
        Row::new(named("share of the rate"), ours.share).bar(Bar::AtLeast(0.99)).note("a sliding window"),
        Row::new(named("worst window to quota"), ours.worst).bar(Bar::AtMost(1.0)).note("by the set's own instants"),
        Row::new(named("polls an admission"), ours.polls).bar(Bar::AtMost(2.2)),
    ];
    let peers = [
        ("paceline, bucket of 10", self::ours(Quota::per_second(RATE as u64).burst(10))),
        ("governor", governor()),
        ("leaky-bucket", leaky_bucket()),
        ("ratelimit", ratelimit()),
    ];
    for (peer, seen) in peers {
        rows.push(Row::new(named("share of the rate"), seen.share).peer(peer));
        rows.push(Row::new(named("worst window to quota"), seen.worst).peer(peer));
        rows.push(Row::new(named("polls an admission"), seen.polls).peer(peer));
    }
    rows
}

/// What was seen.
struct Seen {
    share: f64,
    worst: f64,
    polls: f64,
}

/// An admission: since the start of the run, by the limiter's own clock where it tells.
type Admitted = Duration;

fn ours(quota: Quota) -> Seen {
    let set = LimitSet::builder("crowd").calls(quota).build().expect("a valid set");
    let start = Clock::default().now();
    watch(Arc::new(set), async move |set, _| {
        let permit = set.acquire(()).await.expect("a permit");
        permit.admitted_at().since(start)
    })
}

fn governor() -> Seen {
    let rate = NonZeroU32::new(RATE as u32).expect("not zero");
    let limiter = governor::RateLimiter::direct(governor::Quota::per_second(rate));
    watch(Arc::new(limiter), async |limiter, start| {
        limiter.until_ready().await;
        start.elapsed()
    })
}

fn leaky_bucket() -> Seen {
    let limiter = leaky_bucket::RateLimiter::builder().interval(Duration::from_millis(1)).refill(1).max(RATE).build();
    watch(Arc::new(limiter), async |limiter, start| {
        limiter.acquire_one().await;
        start.elapsed()
    })
}

/// It has no waiting of its own: the loop that its documentation shows, on tokio's timer.
fn ratelimit() -> Seen {
    watch(Arc::new(ratelimit::Ratelimiter::new(RATE as u64)), async |limiter, start| {
        while let Err(error) = limiter.try_wait() {
            let ratelimit::TryWaitError::Insufficient(wait) = error else { panic!("{error}") };
            tokio::time::sleep(wait).await;
        }
        start.elapsed()
    })
}

/// Lets the tasks run on one thread and reads off what they saw.
fn watch<L, A>(limiter: Arc<L>, acquire: A) -> Seen
where
    L: Send + Sync + 'static,
    A: AsyncFn(&L, Instant) -> Admitted + Copy + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let log = Arc::new(Mutex::new(Vec::with_capacity(WAITERS + RATE * 10)));
    let tasks = tokio::task::LocalSet::new();
    let start = Instant::now();
    for _ in 0..WAITERS {
        let (limiter, log) = (Arc::clone(&limiter), Arc::clone(&log));
        tasks.spawn_local(async move {
            loop {
                let admission = counted(acquire(&limiter, start)).await;
                log.lock().expect("no task panicked").push(admission);
            }
        });
    }
    runtime.block_on(tasks.run_until(async { tokio::time::sleep(LASTS).await }));
    drop(tasks);
    let mut admissions = std::mem::take(&mut *log.lock().expect("no task panicked"));
    admissions.sort_unstable();
    read(&admissions)
}

fn read(admissions: &[(Admitted, u64)]) -> Seen {
    let instants: Vec<_> = admissions.iter().map(|(at, _)| *at).collect();
    let polls: u64 = admissions.iter().map(|(_, polls)| polls).sum();
    let first = instants.partition_point(|at| *at < instants[0] + WINDOW);
    let thousands = (instants.len() - 1 - first) / RATE;
    assert!(thousands > 0, "{} admissions are too few to tell", instants.len());
    let last = first + thousands * RATE;
    let took = (instants[last] - instants[first]).as_secs_f64();
    // Half-open: an admission one window later no longer shares it.
    let window = |at: usize| instants.partition_point(|other| *other < instants[at] + WINDOW) - at;
    let worst = (0..instants.len()).map(window).max().unwrap_or(0);
    Seen {
        share: thousands as f64 / took,
        worst: worst as f64 / RATE as f64,
        polls: polls as f64 / instants.len() as f64,
    }
}

/// What a future gives, and how many polls that took.
async fn counted<F: Future>(future: F) -> (F::Output, u64) {
    let mut future = pin!(future);
    let mut polls = 0;
    let output = poll_fn(|context| {
        polls += 1;
        future.as_mut().poll(context)
    });
    (output.await, polls)
}
