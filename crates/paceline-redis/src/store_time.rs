//! What time it is at the store, as well as one can know it here.
//!
//! Each stamp says that the store's clock had shown that much when it was heard of here, so the least of what this clock
//! is ahead of stamps is what it is ahead by, and the way from there. An answer also bounds it from below: its stamp was
//! made after its question was sent. So what is told here is never later than the store's time, but for what its clock
//! goes back by between two answers, and earlier by the quickest way here.

use std::time::{Duration, Instant};

use paceline_core::Time;

#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreTime {
    origin: Instant,
    /// How many nanoseconds this clock is ahead of the stamps.
    ahead: Option<i64>,
    /// The stamp of the last answer, since when it is that, and whether that was told.
    last: Option<(Time, Instant, bool)>,
}

/// For how long a clock stands still before that is told: one that was set back by less is made up for soon.
const STILL: Duration = Duration::from_secs(1);

impl StoreTime {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), ahead: None, last: None }
    }

    fn local(&self, at: Instant) -> i64 {
        i64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(i64::MAX)
    }

    fn since(&self, at: Instant, stamp: Time) -> i64 {
        self.local(at).saturating_sub(i64::try_from(stamp.as_nanos()).unwrap_or(i64::MAX))
    }

    /// A stamp was heard of.
    pub(crate) fn heard(&mut self, at: Instant, stamp: Time) {
        let ahead = self.since(at, stamp);
        self.ahead = Some(self.ahead.map_or(ahead, |known| known.min(ahead)));
    }

    /// A question was answered with a stamp.
    pub(crate) fn answered(&mut self, asked: Instant, at: Instant, stamp: Time) {
        let (least, most) = (self.since(asked, stamp), self.since(at, stamp));
        self.ahead = Some(match self.ahead {
            Some(known) if (least..=most).contains(&known) => known,
            _ => most,
        });
    }

    /// Whether the store's time has stood still for a while, as it does where its clock was set back; true once each time.
    pub(crate) fn stands_still(&mut self, asked: Instant, at: Instant, stamp: Time) -> bool {
        match &mut self.last {
            Some((last, since, told)) if *last == stamp => {
                asked.saturating_duration_since(*since) > STILL && !std::mem::replace(told, true)
            }
            last => {
                *last = Some((stamp, at, false));
                false
            }
        }
    }

    /// What the store's clock shows at least.
    pub(crate) fn at(&self, at: Instant) -> Time {
        let now = self.local(at).saturating_sub(self.ahead.unwrap_or(0));
        Time::from_nanos(u64::try_from(now).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quickest_answer_tells_the_time_best() {
        let mut time = StoreTime::new();
        let at = |millis| time.origin + Duration::from_millis(millis);
        let stamp = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let points = [at(10), at(18), at(20), at(30), at(31), at(40)];
        // The store is 1,000 ms ahead; the way back takes 8, 1 and 4 ms.
        time.answered(points[0], points[1], stamp(1_010));
        assert_eq!(time.at(points[2]), stamp(1_012));
        time.heard(points[4], stamp(1_030));
        assert_eq!(time.at(points[5]), stamp(1_039));
        time.answered(points[3], points[5], stamp(1_036));
        assert_eq!(time.at(points[5]), stamp(1_039), "no better news");
    }

    #[test]
    fn a_clock_that_stands_still_is_told_of_once() {
        let mut time = StoreTime::new();
        let origin = time.origin;
        let mut answered = |millis, stamp: u64| {
            let at = origin + Duration::from_millis(millis);
            time.stands_still(at, at, Time::from_nanos(stamp * 1_000_000))
        };
        assert_eq!(
            [(0, 0), (500, 500), (1_400, 500), (1_501, 500), (2_600, 500)].map(|(at, stamp)| answered(at, stamp)),
            [false, false, false, true, false]
        );
        assert_eq!(
            [(3_000, 501), (5_000, 501), (6_000, 501)].map(|(at, stamp)| answered(at, stamp)),
            [false, true, false]
        );
    }

    #[test]
    fn a_clock_that_went_back_is_believed() {
        let mut time = StoreTime::new();
        let at = |millis| time.origin + Duration::from_millis(millis);
        let stamp = |millis: u64| Time::from_nanos(millis * 1_000_000);
        let (asked, then) = (at(50), at(51));
        time.heard(at(10), stamp(5_000));
        time.answered(asked, then, stamp(900));
        assert_eq!(time.at(then), stamp(900));
    }
}
