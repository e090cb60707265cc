//! A rate measured every half second and smoothed, as the AWS SDKs do.

use std::time::Duration;

use crate::time::Time;

/// The weight of the newest measurement.
const SMOOTH: f64 = 0.8;
/// Measurements a second.
const MEASURED: f64 = 2.0;

#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    pub(super) smooth: f64,
    counted: u64,
    /// When the first was counted, and how many in all.
    first: Option<Time>,
    pub(super) all: u64,
    /// The half second that runs, as a number of them.
    running: f64,
}

impl Meter {
    pub(super) fn count(&mut self, now: Time) {
        let half = (seconds(now) * MEASURED).floor();
        if self.first.is_none() {
            self.first = Some(now);
            self.running = half;
        }
        self.counted += 1;
        self.all += 1;
        if half > self.running {
            let rate = self.counted as f64 * MEASURED / (half - self.running);
            self.smooth = rate * SMOOTH + self.smooth * (1.0 - SMOOTH);
            self.counted = 0;
            self.running = half;
        }
    }

    /// Units a second, once there was a second.
    pub(super) fn rate(&self, now: Time) -> Option<f64> {
        let first = self.first.filter(|first| now.since(*first) >= Duration::from_secs(1));
        first.map(|_| self.smooth)
    }
}

fn seconds(time: Time) -> f64 {
    Duration::from_nanos(time.as_nanos()).as_secs_f64()
}
