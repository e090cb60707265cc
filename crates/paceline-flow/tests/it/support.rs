//! A simulated service, and nodes that call it.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// A service that says nothing and counts everything.
#[derive(Debug, Default)]
pub(crate) struct Service(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    now: usize,
    peak: usize,
    calls: usize,
    /// When calls of the last minute came.
    window: VecDeque<Instant>,
    fullest: usize,
}

struct Inside<'a>(&'a Service);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().now -= 1;
    }
}

impl Service {
    pub(crate) async fn call(&self, takes: Duration) {
        let _inside = self.enter();
        tokio::time::sleep(takes).await;
    }

    fn enter(&self) -> Inside<'_> {
        let mut seen = self.0.lock().unwrap();
        seen.now += 1;
        seen.calls += 1;
        seen.peak = seen.peak.max(seen.now);
        let now = Instant::now();
        seen.window.push_back(now);
        while seen.window.front().is_some_and(|first| now - *first >= Duration::from_secs(60)) {
            seen.window.pop_front();
        }
        seen.fullest = seen.fullest.max(seen.window.len());
        Inside(self)
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.lock().unwrap().peak
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn now(&self) -> usize {
        self.0.lock().unwrap().now
    }

    /// The most calls in any minute.
    pub(crate) fn fullest_minute(&self) -> usize {
        self.0.lock().unwrap().fullest
    }
}

/// A number that looks random and is the same each time.
pub(crate) fn scatter(seed: u64) -> u64 {
    // SplitMix64 (Steele, Lea and Flood, 2014).
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
