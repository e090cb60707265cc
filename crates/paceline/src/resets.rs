//! Fixed windows that end when the service's day does.
//!
//! Core counts durations; a wall-clock reset ("at midnight in Los Angeles") needs a calendar, which is here.

use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use paceline_core::{Algorithm, Quota};

/// Aligns a quota to a wall clock.
pub trait ResetsAt {
    /// Counts in fixed windows, of which the running one ends at the next `time` in `zone`. The ones after it follow
    /// each period, so where a day is not 24 hours (a change to summer time) a daily reset is off by that hour from then
    /// on, until a [`sync`](crate::LimitSet::sync) says better. Resolved when called: describe a set right before it is
    /// built.
    ///
    /// ```
    /// use jiff::{civil::time, tz::TimeZone};
    /// use paceline::{LimitSet, Quota, ResetsAt};
    ///
    /// let zone = TimeZone::get("America/Los_Angeles")?;
    /// let gemini = LimitSet::builder("gemini").calls(Quota::per_day(250).resets_at(time(0, 0, 0, 0), &zone)).build()?;
    /// # drop(gemini); Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn resets_at(self, time: Time, zone: &TimeZone) -> Quota;
}

impl ResetsAt for Quota {
    fn resets_at(self, time: Time, zone: &TimeZone) -> Quota {
        self.algorithm(Algorithm::FixedWindow).resets_in(until(&Zoned::now().with_time_zone(zone.clone()), time))
    }
}

fn until(now: &Zoned, time: Time) -> Duration {
    let on = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(now.time_zone().clone()).ok();
    let today = on(now.date()).filter(|reset| reset > now);
    let next = today.or_else(|| on(now.date().checked_add(1.day()).ok()?));
    let left = next.and_then(|next| Duration::try_from(now.duration_until(&next)).ok());
    left.unwrap_or(Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::time;

    #[test]
    fn the_next_reset_is_today_or_tomorrow_and_knows_summer_time() {
        let zone = TimeZone::get("America/Los_Angeles").expect("the zone is in the bundled database");
        let at = |text: &str| text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone.clone()).unwrap();
        let hours = |h: u64| Duration::from_secs(h * 3_600);
        assert_eq!(until(&at("2026-06-01T22:00:00"), time(0, 0, 0, 0)), hours(2));
        assert_eq!(until(&at("2026-06-01T22:00:00"), time(23, 0, 0, 0)), hours(1));
        assert_eq!(until(&at("2026-06-01T00:00:00"), time(0, 0, 0, 0)), hours(24));
        assert_eq!(until(&at("2026-03-08T00:00:00"), time(0, 0, 0, 0)), hours(23), "the clocks go forward");
        assert_eq!(until(&at("2026-11-01T00:00:00"), time(0, 0, 0, 0)), hours(25), "the clocks go back");
    }
}
