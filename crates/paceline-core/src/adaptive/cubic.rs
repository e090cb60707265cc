//! CUBIC: a rate learnt from refusals, for services whose rate is so low that one in flight is already too much.
//!
//! * Off until the first throttle: no rate at all.
//! * Throttle, of the current epoch: `max = min(sent, allowed)`, `rate = 0.7 · max`.
//! * Otherwise: `rate = 0.4 · (t − K)³ + max`, `t` seconds after the throttle, with `K = ∛((max − rate at the throttle) / 0.4)`,
//!   which is `∛(0.3 · max / 0.4)`, the time at which it is back at what failed; at most twice what is sent.
//!
//! After the client rate limiter of the AWS SDKs (their "adaptive" retry mode), whose tables of values are the tests. The
//! differences: a throttle counts once an epoch, since there ten refusals at once leave 3 % of the rate. One that comes
//! with nothing but refusals since the last, as from a window that is still full, lowers the rate but not `max`. The
//! floor is a fifth of the rate last seen to work, not only a fixed 0.5 a second. And what was sent in the very first
//! second counts as of a second, or the first burst would be taken for a rate.

mod meter;

use std::time::Duration;

use meter::Meter;

use super::Sample;
use crate::quota::Quota;
use crate::time::Time;
use crate::verdict::Verdict;

/// What a throttle leaves of the rate.
const BETA: f64 = 0.7;
/// How steep the curve is, in units a second per cubic second.
const SCALE: f64 = 0.4;
/// The least rate, in units a second, and as a share of what was seen to work.
const FLOOR: f64 = 0.5;
const FLOOR_SHARE: f64 = 0.2;

/// A rate in units a second; none until the first throttle.
///
/// ```
/// use paceline_core::{CubicRate, Sample, Time, Verdict};
/// use std::time::Duration;
///
/// let mut cubic = CubicRate::default();
/// let sample = |ms: u64, verdict| {
///     let began = Time::from_nanos(ms * 1_000_000);
///     (Sample { verdict, began, duration: Duration::from_millis(50), in_flight: 5 }, began + Duration::from_millis(50))
/// };
/// for ms in (0..2_000).step_by(20) {
///     let (sample, now) = sample(ms, Verdict::Success);
///     cubic.update(&sample, now);
/// }
/// assert_eq!(cubic.rate(), None);
/// let (refused, now) = sample(2_000, Verdict::RateLimited { retry_after: None });
/// cubic.update(&refused, now);
/// assert!((34.0..37.0).contains(&cubic.rate().unwrap()), "0.7 of the 50 a second that were sent");
/// ```
#[derive(Clone, Debug, Default)]
pub struct CubicRate {
    /// Units a second, once there was a throttle.
    allowed: f64,
    /// What failed, to which the curve returns.
    max: f64,
    /// What the latest throttle left.
    from: f64,
    /// Nothing but refusals came since the latest throttle.
    refused: bool,
    throttled: Option<Time>,
    cuts: u64,
    sent: Meter,
    worked: Meter,
}

impl CubicRate {
    /// Learns from one attempt that ended at `now`.
    pub fn update(&mut self, sample: &Sample, now: Time) {
        if sample.verdict == Verdict::Cancelled {
            return;
        }
        self.sent.count(now);
        if sample.verdict == Verdict::Success {
            self.worked.count(now);
        }
        // Nothing shorter than a second shows a rate; what is in flight is sent, too.
        let sent = self.sent.rate(now).unwrap_or((self.sent.all + sample.in_flight.saturating_sub(1)) as f64);
        let wanted = match self.throttled {
            epoch if sample.verdict.is_throttle() && sample.is_of(epoch) => {
                let failed = if epoch.is_some() { sent.min(self.allowed) } else { sent };
                if !std::mem::replace(&mut self.refused, true) {
                    self.max = failed;
                }
                self.throttled = Some(now);
                self.cuts += 1;
                BETA * failed
            }
            Some(at) if !sample.verdict.is_throttle() => {
                self.refused &= !sample.is_of(Some(at));
                self.curve(now.since(at))
            }
            _ => return,
        };
        let floor = FLOOR.max(FLOOR_SHARE * self.worked.rate(now).unwrap_or(self.worked.all as f64));
        self.allowed = wanted.min(2.0 * sent).max(floor);
        if self.throttled == Some(now) {
            self.from = self.allowed;
        }
    }

    fn curve(&self, since: Duration) -> f64 {
        let k = ((self.max - self.from).max(0.0) / SCALE).cbrt();
        SCALE * (since.as_secs_f64() - k).powi(3) + self.max
    }

    /// The rate, in units a second, once there was a throttle.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.throttled.map(|_| self.allowed)
    }

    /// The rate as a quota: one unit at a time, evenly.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        let interval = Duration::try_from_secs_f64(1.0 / self.rate()?).ok()?;
        Some(Quota::new(1, interval.max(Duration::from_nanos(1))).burst(1))
    }

    /// Units a second that were sent lately.
    #[must_use]
    pub fn sent(&self) -> f64 {
        self.sent.smooth
    }

    /// How often it cut so far.
    #[must_use]
    pub fn cuts(&self) -> u64 {
        self.cuts
    }

    /// Forgets all it has learnt.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The curve against the tables of smithy-rs, `client_rate_limiter.rs`; what can be seen from outside is tested there.
#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(left: f64, right: f64) {
        assert!((left - right).abs() <= 1e-9 * right.abs(), "{left} is not {right}");
    }

    #[test]
    fn the_curve_is_that_of_the_aws_sdks() {
        let cubic = CubicRate { max: 10.0, from: 7.0, ..CubicRate::default() };
        let table = [
            (0, 7.0),
            (1, 9.648_936_009_66),
            (2, 10.000_030_849_917_364),
            (3, 10.453_284_520_772_092),
            (4, 13.408_697_022_224_185),
            (5, 21.266_268_354_273_64),
            (6, 36.425_998_516_920_465),
        ];
        for (seconds, rate) in table {
            assert_close(cubic.curve(Duration::from_secs(seconds)), rate);
        }
    }

    #[test]
    fn the_curve_after_throttles_is_that_of_the_aws_sdks() {
        let (mut cubic, mut at, mut rate) = (CubicRate { max: 10.0, from: 7.0, ..CubicRate::default() }, 5, 0.0);
        let table = [
            (5, false, 7.0),
            (6, false, 9.648_936_009_66),
            (7, true, 6.754_255_206_761_999),
            (8, true, 4.727_978_644_733_399),
            (9, false, 4.670_125_557_970_046),
            (10, false, 4.770_870_456_867_401),
            (11, false, 6.011_819_748_005_445),
            (12, false, 10.792_973_431_384_178),
        ];
        for (second, throttled, expected) in table {
            if throttled {
                rate *= BETA;
                (cubic.max, cubic.from, at) = (rate, BETA * rate, second);
            } else {
                rate = cubic.curve(Duration::from_secs(second - at));
            }
            assert_close(rate, expected);
        }
    }
}
