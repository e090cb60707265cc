//! The rules of others, for comparison: written anew from what they do, with their own parameters.

use std::time::Duration;

use paceline_core::{Controller, Sample, Time, Verdict};

/// PocketFlow Throttled's adaptive node: `int(n · backoff)` on every refusal, `int(n · recovery)` after so many successes in
/// a row.
#[derive(Clone, Debug)]
pub struct Seed {
    initial: u64,
    max: u64,
    backoff: f64,
    recovery: f64,
    threshold: u64,
    level: u64,
    successes: u64,
    cuts: u64,
}

impl Seed {
    /// From `initial` up to `max`, by its other defaults: backoff 0.5, recovery 1.2 after 10 successes.
    #[must_use]
    pub fn new(initial: u64, max: u64) -> Self {
        Self { initial, max, backoff: 0.5, recovery: 1.2, threshold: 10, level: initial, successes: 0, cuts: 0 }
    }
}

impl Controller for Seed {
    fn update(&mut self, sample: &Sample, _now: Time) {
        match sample.verdict {
            Verdict::Success => {
                self.successes += 1;
                if self.successes >= self.threshold {
                    self.level = ((self.level as f64 * self.recovery) as u64).min(self.max);
                    self.successes = 0;
                }
            }
            verdict if verdict.is_throttle() => {
                self.level = ((self.level as f64 * self.backoff) as u64).max(1);
                self.successes = 0;
                self.cuts += 1;
            }
            _ => {}
        }
    }

    fn level(&self) -> u64 {
        self.level
    }

    fn cuts(&self) -> u64 {
        self.cuts
    }

    fn reset(&mut self) {
        *self = Self::new(self.initial, self.max);
    }
}

/// Vector's adaptive request concurrency: once a mean round trip, one more if the level was reached and round trips are no
/// longer than usual, or a tenth less if there was back pressure or they are longer by 2.5 deviations.
#[derive(Clone, Debug)]
pub struct Vector {
    initial: u64,
    max: u64,
    level: u64,
    cuts: u64,
    /// Smoothed mean and variance of the round trip, in seconds.
    past: Option<(f64, f64)>,
    next: Time,
    sum: f64,
    samples: f64,
    back_pressure: bool,
    reached: bool,
}

const DECREASE: f64 = 0.9;
const ALPHA: f64 = 0.4;
const DEVIATIONS: f64 = 2.5;

impl Vector {
    /// From `initial` up to `max`, by its other defaults.
    #[must_use]
    pub fn new(initial: u64, max: u64) -> Self {
        Self {
            initial,
            max,
            level: initial,
            cuts: 0,
            past: None,
            next: Time::ZERO,
            sum: 0.0,
            samples: 0.0,
            back_pressure: false,
            reached: false,
        }
    }

    fn manage(&mut self, (mean, variance): (f64, f64), current: Option<f64>) {
        let quick = current.is_some_and(|current| current <= mean);
        let slow = current.unwrap_or(0.0) >= mean + DEVIATIONS * variance.sqrt();
        if self.level < self.max && self.reached && !self.back_pressure && quick {
            self.level += 1;
        } else if self.level > 1 && (self.back_pressure || slow) {
            self.level = ((self.level as f64 * DECREASE) as u64).max(1);
            self.cuts += 1;
        }
    }

    fn learn(&mut self, current: f64) {
        let (mean, variance) = self.past.unwrap_or((current, 0.0));
        let (off, step) = (current - mean, ALPHA * (current - mean));
        self.past = Some((mean + step, (1.0 - ALPHA) * (variance + off * step)));
    }
}

impl Controller for Vector {
    fn update(&mut self, sample: &Sample, now: Time) {
        self.back_pressure |= sample.verdict.is_throttle();
        self.reached |= sample.in_flight >= self.level;
        if sample.verdict == Verdict::Success {
            self.sum += sample.duration.as_secs_f64();
            self.samples += 1.0;
        }
        let current = (self.samples > 0.0).then(|| self.sum / self.samples);
        match self.past {
            Some(past) if now >= self.next => self.manage(past, current),
            Some(_) => return,
            None if current.is_none() => return,
            None => {}
        }
        let first = self.past.is_none();
        current.into_iter().for_each(|current| self.learn(current));
        self.next = now + Duration::from_secs_f64(self.past.map_or(0.0, |(mean, _)| mean));
        if !first {
            (self.sum, self.samples, self.back_pressure, self.reached) = (0.0, 0.0, false, false);
        }
    }

    fn level(&self) -> u64 {
        self.level
    }

    fn cuts(&self) -> u64 {
        self.cuts
    }

    fn reset(&mut self) {
        *self = Self::new(self.initial, self.max);
    }
}
