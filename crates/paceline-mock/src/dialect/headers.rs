//! Limits as header text. All times are rounded up, so that whoever waits as told is not early.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::Dialect;
use crate::account::{Cause, Reading, Refusal, names};
use crate::{LimitKey, MockLimit};

type Headers = Vec<(&'static str, String)>;

impl Dialect {
    /// The headers of an answer given at `wall`, in lower case: the limits as `readings` has them and, if the call
    /// was refused, when to come again.
    #[must_use]
    pub fn headers(self, readings: &[Reading], refusal: Option<&Refusal>, wall: SystemTime) -> Headers {
        let mut headers = match self {
            Dialect::OpenAi => openai(readings, openai_duration),
            Dialect::Azure => openai(readings, |time| whole_seconds(time).to_string()),
            Dialect::Anthropic => anthropic(readings, wall),
            Dialect::GitHub => github(readings, wall),
            Dialect::Ietf => ietf(readings),
            Dialect::Gemini | Dialect::Plain => Headers::new(),
        };
        if let Some((refusal, wait)) = refusal.and_then(|refusal| Some((refusal, refusal.retry_after?))) {
            let said = match self {
                Dialect::Gemini => false,
                Dialect::GitHub => matches!(refusal.cause, Cause::Concurrency { .. }),
                _ => true,
            };
            if said {
                headers.push(("retry-after", whole_seconds(wait).to_string()));
            }
            if matches!(self, Dialect::OpenAi | Dialect::Azure) {
                headers.push(("retry-after-ms", milliseconds(wait).to_string()));
            }
        }
        headers
    }
}

/// Names of one limit's headers: limit, remaining, reset.
type Names = [&'static str; 3];

fn openai(readings: &[Reading], reset: fn(Duration) -> String) -> Headers {
    const NAMED: [(LimitKey, Names); 2] = [
        (
            LimitKey::Requests,
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ),
        (LimitKey::Tokens, ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
    ];
    let mut headers = Headers::new();
    for (key, [limit, remaining, until]) in NAMED {
        if let Some(reading) = Reading::tightest(readings, &[key]) {
            headers.push((limit, reading.limit.amount.to_string()));
            headers.push((remaining, reading.remaining.to_string()));
            headers.push((until, reset(reading.until_full)));
        }
    }
    headers
}

fn anthropic(readings: &[Reading], wall: SystemTime) -> Headers {
    use LimitKey::{InputTokens, OutputTokens, Requests, Tokens};
    const NAMED: [(&[LimitKey], Names); 4] = [
        (
            &[Requests],
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
        ),
        (
            &[Tokens, InputTokens, OutputTokens],
            [
                "anthropic-ratelimit-tokens-limit",
                "anthropic-ratelimit-tokens-remaining",
                "anthropic-ratelimit-tokens-reset",
            ],
        ),
        (
            &[InputTokens],
            [
                "anthropic-ratelimit-input-tokens-limit",
                "anthropic-ratelimit-input-tokens-remaining",
                "anthropic-ratelimit-input-tokens-reset",
            ],
        ),
        (
            &[OutputTokens],
            [
                "anthropic-ratelimit-output-tokens-limit",
                "anthropic-ratelimit-output-tokens-remaining",
                "anthropic-ratelimit-output-tokens-reset",
            ],
        ),
    ];
    let mut headers = Headers::new();
    for (keys, [limit, remaining, reset]) in NAMED {
        if let Some(reading) = Reading::tightest(readings, keys) {
            let left = match reading.limit.key {
                Requests => reading.remaining,
                _ => reading.remaining.saturating_add(500) / 1000 * 1000,
            };
            let full = SystemTime::UNIX_EPOCH + Duration::from_secs(epoch_seconds(wall, reading.until_full));
            headers.push((limit, reading.limit.amount.to_string()));
            headers.push((remaining, left.to_string()));
            headers.push((reset, humantime::format_rfc3339_seconds(full).to_string()));
        }
    }
    headers
}

fn github(readings: &[Reading], wall: SystemTime) -> Headers {
    let Some(reading) = Reading::tightest(readings, &[LimitKey::Requests]) else { return Headers::new() };
    vec![
        ("x-ratelimit-limit", reading.limit.amount.to_string()),
        ("x-ratelimit-remaining", reading.remaining.to_string()),
        ("x-ratelimit-used", reading.limit.amount.saturating_sub(reading.remaining).to_string()),
        ("x-ratelimit-reset", epoch_seconds(wall, reading.until_full).to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ]
}

fn ietf(readings: &[Reading]) -> Headers {
    if readings.is_empty() {
        return Headers::new();
    }
    let limits: Vec<MockLimit> = readings.iter().map(|reading| reading.limit).collect();
    let (mut policy, mut state) = (String::new(), String::new());
    for (reading, name) in readings.iter().zip(names(&limits)) {
        let separator = if policy.is_empty() { "" } else { ", " };
        let unit = if reading.limit.key == LimitKey::Requests { "" } else { r#";qu="tokens""# };
        let (amount, window) = (reading.limit.amount, whole_seconds(reading.limit.window));
        // Writing to a String cannot fail.
        let _ = write!(policy, r#"{separator}"{name}";q={amount};w={window}{unit}"#);
        let (left, full) = (reading.remaining, whole_seconds(reading.until_full));
        let _ = write!(state, r#"{separator}"{name}";r={left};t={full}"#);
    }
    vec![("ratelimit-policy", policy), ("ratelimit", state)]
}

/// OpenAI's durations: `6m0s`, `1.5s`, `12ms`.
fn openai_duration(time: Duration) -> String {
    let ms = milliseconds(time);
    if (1..1000).contains(&ms) {
        return format!("{ms}ms");
    }
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let fraction = match seconds % 1000 {
        0 => String::new(),
        rest => format!(".{rest:03}").trim_end_matches('0').to_owned(),
    };
    let seconds = seconds / 1000;
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{fraction}s"),
        (0, _) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

pub(super) fn milliseconds(time: Duration) -> u128 {
    time.as_nanos().div_ceil(1_000_000)
}

fn epoch_seconds(wall: SystemTime, ahead: Duration) -> u64 {
    let now = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // humantime knows no year beyond 9999.
    whole_seconds(now.saturating_add(ahead)).min(253_402_300_799)
}
