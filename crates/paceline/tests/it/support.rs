//! What several modules need.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::task::{Context, Poll};
use std::time::Duration;

use paceline::{LimitSet, Snapshot};
use tokio::time::Instant;

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Lets every task that is ready run, without moving the clock.
pub(crate) async fn others_run() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Nothing is out, nobody waits, and what was granted came back.
pub(crate) fn assert_all_came_back(set: &LimitSet) {
    let Snapshot { waiting, active, limits, .. } = set.snapshot();
    assert_eq!((waiting, active), (0, 0), "waiting and active in {set:?}");
    for limit in limits {
        if limit.view.kind == paceline::LimitKind::Resource {
            assert_eq!(limit.view.used, 0, "`{}` of {set:?} is still in use", limit.key);
        }
    }
}

/// Polls a future once; what it says.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(std::task::Waker::noop()))
}

/// A future that counts how often it is polled.
pub(crate) struct Counted<F> {
    inner: Pin<Box<F>>,
    polls: Arc<AtomicU64>,
}

pub(crate) fn counted<F: Future>(polls: &Arc<AtomicU64>, inner: F) -> Counted<F> {
    Counted { inner: Box::pin(inner), polls: Arc::clone(polls) }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.inner.as_mut().poll(context)
    }
}

/// How long a future takes on tokio's clock. One that takes a year hangs: the paused clock shows it at once.
pub(crate) async fn timed<F: Future>(future: F) -> (F::Output, Duration) {
    let start = Instant::now();
    let output = tokio::time::timeout(secs(365 * 86_400), future).await.expect("it hangs");
    (output, start.elapsed())
}

/// Ends the process, with a word, where a test does not end by itself: a hang is a failure, not a wait.
pub(crate) struct Watchdog(Arc<AtomicBool>);

impl Watchdog {
    pub(crate) fn new(what: impl Into<String>, limit: Duration) -> Self {
        let (done, what) = (Arc::new(AtomicBool::new(false)), what.into());
        let watched = Arc::clone(&done);
        std::thread::spawn(move || {
            let start = std::time::Instant::now();
            while start.elapsed() < limit {
                if watched.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(millis(20));
            }
            if !watched.load(Ordering::Relaxed) {
                // Past the test's own capture, which ends with the process.
                let _ = writeln!(std::io::stderr(), "{what}: still running after {limit:?}");
                std::process::abort();
            }
        });
        Self(done)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The hardest window of `period` over admissions `(nanoseconds, units)`, in order.
pub(crate) fn worst_window(admissions: &[(u64, u64)], period: Duration) -> u64 {
    let period = u64::try_from(period.as_nanos()).unwrap();
    let (mut first, mut sum, mut worst) = (0, 0, 0);
    for &(at, units) in admissions {
        sum += units;
        while admissions[first].0 + period <= at {
            sum -= admissions[first].1;
            first += 1;
        }
        worst = worst.max(sum);
    }
    worst
}

/// Numbers that look random and are the same each time (SplitMix64).
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Panics on purpose are not printed.
pub(crate) fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let said = panic.payload().downcast_ref::<&str>().copied().unwrap_or_default();
            if said != "on purpose" && said != "hooks may panic" {
                usual(panic);
            }
        }));
    });
}

/// Whether a test is to take its time.
pub(crate) fn soaks() -> bool {
    std::env::var_os("PACELINE_SOAK").is_some_and(|soak| soak == "1")
}
