//! What an attempt's outcome means: over, once more, or no use for anybody.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// How many attempts a request has.
pub(crate) const ATTEMPTS: u32 = 2;

/// How long to wait where nobody says.
const PLAIN: Duration = Duration::from_secs(1);

/// A wait beyond this is a mistake of whoever asks for it.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    /// Another attempt may help, after `wait`.
    Again {
        wait: Wait,
    },
    /// Another attempt would be the same.
    Failure,
    /// No request will do better with this key.
    KeyRefused,
}

/// Before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// This request alone waits.
    Alone(Duration),
    /// The quota is spent until then, so everyone who shares it waits.
    Everyone(Duration),
}

/// Without an answer: the connection failed, or it took too long.
pub(crate) const NO_ANSWER: Wait = Wait::Alone(PLAIN);

pub(crate) fn judge(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Verdict {
    let asked = retry_after(headers, now);
    match status {
        _ if status.is_success() => Verdict::Success,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::KeyRefused,
        StatusCode::TOO_MANY_REQUESTS => Verdict::Again { wait: asked.map_or(Wait::Alone(PLAIN), Wait::Everyone) },
        _ if status.is_server_error() => Verdict::Again { wait: Wait::Alone(asked.unwrap_or(PLAIN)) },
        _ => Verdict::Failure,
    }
}

/// `retry-after-ms`, or Retry-After in seconds (fractions too) or as a date, read against the answer's own clock.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let ms = text("retry-after-ms").and_then(|ms| seconds(ms, 1e-3));
    let plain = || {
        let value = text(RETRY_AFTER.as_str())?;
        seconds(value, 1.0).or_else(|| {
            let until = httpdate::parse_http_date(value).ok()?;
            let now = text("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
            Some(until.duration_since(now).unwrap_or_default())
        })
    };
    ms.or_else(plain).filter(|wait| *wait <= LONGEST)
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    let number: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(number * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, headers: &[(&'static str, &'static str)]) -> Verdict {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        judge(StatusCode::from_u16(status).unwrap(), &headers, SystemTime::UNIX_EPOCH)
    }

    fn everyone(ms: u64) -> Verdict {
        Verdict::Again { wait: Wait::Everyone(Duration::from_millis(ms)) }
    }

    #[test]
    fn a_status_leads_to_its_verdict() {
        let alone = Verdict::Again { wait: Wait::Alone(PLAIN) };
        let cases = [
            (200, Verdict::Success),
            (204, Verdict::Success),
            (302, Verdict::Failure),
            (400, Verdict::Failure),
            (401, Verdict::KeyRefused),
            (403, Verdict::KeyRefused),
            (429, alone),
            (500, alone),
            (529, alone),
        ];
        for (status, expected) in cases {
            assert_eq!(verdict(status, &[]), expected, "{status}");
        }
        let wait = Wait::Alone(Duration::from_secs(3));
        assert_eq!(verdict(503, &[("retry-after", "3")]), Verdict::Again { wait });
    }

    #[test]
    fn every_form_of_retry_after_is_read() {
        assert_eq!(verdict(429, &[("retry-after", "2")]), everyone(2_000));
        assert_eq!(verdict(429, &[("retry-after", "0.25")]), everyone(250));
        assert_eq!(verdict(429, &[("retry-after", "2"), ("retry-after-ms", "1500")]), everyone(1_500));
        let date = ("date", "Thu, 01 Jan 1970 00:10:00 GMT");
        assert_eq!(verdict(429, &[("retry-after", "Thu, 01 Jan 1970 00:10:07 GMT"), date]), everyone(7_000));
        assert_eq!(verdict(429, &[("retry-after", "Thu, 01 Jan 1970 00:00:07 GMT")]), everyone(7_000));
    }

    #[test]
    fn absurd_waits_are_ignored() {
        for value in ["-1", "soon", "1e99", "NaN", "inf", "100000"] {
            assert_eq!(verdict(429, &[("retry-after", value)]), Verdict::Again { wait: Wait::Alone(PLAIN) }, "{value}");
        }
    }
}
