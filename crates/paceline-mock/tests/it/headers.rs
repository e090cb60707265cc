//! Each dialect's header text, at a fixed moment.

use std::time::{Duration, SystemTime};

use paceline_mock::account::{Cause, Reading, Refusal};
use paceline_mock::{Dialect, LimitKey, MockLimit};

fn reading(key: LimitKey, amount: u64, remaining: u64, until_full: Duration) -> Reading {
    Reading { limit: MockLimit::per_minute(key, amount), remaining, until_full }
}

fn readings() -> [Reading; 4] {
    [
        reading(LimitKey::Requests, 500, 499, Duration::from_micros(11_200)),
        reading(LimitKey::Tokens, 30_000, 12_345, Duration::from_secs(360)),
        reading(LimitKey::InputTokens, 20_000, 5_600, Duration::from_millis(1_500)),
        reading(LimitKey::OutputTokens, 8_000, 7_999, Duration::ZERO),
    ]
}

fn refusal(wait: Option<Duration>) -> Refusal {
    Refusal { cause: Cause::Limit { reading: readings()[0], requested: 1 }, retry_after: wait }
}

/// All headers, a line each, at 2026-01-02T03:04:05.25Z.
fn text(dialect: Dialect, readings: &[Reading], refusal: Option<&Refusal>) -> String {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_250);
    let lines: Vec<String> =
        dialect.headers(readings, refusal, wall).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    lines.join("\n")
}

#[test]
fn openai_tells_durations() {
    assert_eq!(
        text(Dialect::OpenAi, &readings(), None),
        "x-ratelimit-limit-requests: 500\n\
         x-ratelimit-remaining-requests: 499\n\
         x-ratelimit-reset-requests: 12ms\n\
         x-ratelimit-limit-tokens: 30000\n\
         x-ratelimit-remaining-tokens: 12345\n\
         x-ratelimit-reset-tokens: 6m0s"
    );
}

#[test]
fn openai_durations_are_of_every_size() {
    let reset = |time| {
        let text = text(Dialect::OpenAi, &[reading(LimitKey::Requests, 1, 0, time)], None);
        text.rsplit(' ').next().expect("a value").to_owned()
    };
    let ms = Duration::from_millis;
    let told = [0, 1, 999, 1000, 1500, 8640, 59_999, 60_000, 90_951, 3_600_000, 86_399_999].map(|n| reset(ms(n)));
    assert_eq!(
        told,
        ["0s", "1ms", "999ms", "1s", "1.5s", "8.64s", "59.999s", "1m0s", "1m30.951s", "1h0m0s", "23h59m59.999s"]
    );
    assert_eq!(reset(Duration::from_nanos(1)), "1ms", "never rounded to no time at all");
}

#[test]
fn azure_tells_whole_seconds() {
    let wait = refusal(Some(Duration::from_millis(1_201)));
    assert_eq!(
        text(Dialect::Azure, &readings(), Some(&wait)),
        "x-ratelimit-limit-requests: 500\n\
         x-ratelimit-remaining-requests: 499\n\
         x-ratelimit-reset-requests: 1\n\
         x-ratelimit-limit-tokens: 30000\n\
         x-ratelimit-remaining-tokens: 12345\n\
         x-ratelimit-reset-tokens: 360\n\
         retry-after: 2\n\
         retry-after-ms: 1201"
    );
}

#[test]
fn anthropic_tells_instants_and_thousands() {
    let wait = refusal(Some(Duration::from_secs(7)));
    assert_eq!(
        text(Dialect::Anthropic, &readings(), Some(&wait)),
        "anthropic-ratelimit-requests-limit: 500\n\
         anthropic-ratelimit-requests-remaining: 499\n\
         anthropic-ratelimit-requests-reset: 2026-01-02T03:04:06Z\n\
         anthropic-ratelimit-tokens-limit: 20000\n\
         anthropic-ratelimit-tokens-remaining: 6000\n\
         anthropic-ratelimit-tokens-reset: 2026-01-02T03:04:07Z\n\
         anthropic-ratelimit-input-tokens-limit: 20000\n\
         anthropic-ratelimit-input-tokens-remaining: 6000\n\
         anthropic-ratelimit-input-tokens-reset: 2026-01-02T03:04:07Z\n\
         anthropic-ratelimit-output-tokens-limit: 8000\n\
         anthropic-ratelimit-output-tokens-remaining: 8000\n\
         anthropic-ratelimit-output-tokens-reset: 2026-01-02T03:04:06Z\n\
         retry-after: 7"
    );
}

#[test]
fn github_tells_epoch_seconds_and_waits_for_concurrency_alone() {
    let limits = "x-ratelimit-limit: 500\n\
                  x-ratelimit-remaining: 499\n\
                  x-ratelimit-used: 1\n\
                  x-ratelimit-reset: 1767323046\n\
                  x-ratelimit-resource: core";
    let wait = Some(Duration::from_secs(1));
    assert_eq!(text(Dialect::GitHub, &readings(), Some(&refusal(wait))), limits);
    let secondary = Refusal { cause: Cause::Concurrency { limit: 1 }, retry_after: wait };
    assert_eq!(text(Dialect::GitHub, &readings(), Some(&secondary)), format!("{limits}\nretry-after: 1"));
}

#[test]
fn ietf_tells_structured_fields() {
    let daily = Reading {
        limit: MockLimit::new(LimitKey::Requests, 1000, Duration::from_secs(86_400)),
        remaining: 7,
        until_full: Duration::from_secs(100),
    };
    let [requests, tokens, ..] = readings();
    assert_eq!(
        text(Dialect::Ietf, &[requests, tokens, daily], Some(&refusal(Some(Duration::from_nanos(1))))),
        "ratelimit-policy: \"requests\";q=500;w=60, \"tokens\";q=30000;w=60;qu=\"tokens\", \
         \"requests/86400s\";q=1000;w=86400\n\
         ratelimit: \"requests\";r=499;t=1, \"tokens\";r=12345;t=360, \"requests/86400s\";r=7;t=100\n\
         retry-after: 1"
    );
}

#[test]
fn plain_tells_when_to_come_again_and_gemini_nothing() {
    let wait = refusal(Some(Duration::from_secs(3)));
    assert_eq!(text(Dialect::Plain, &readings(), Some(&wait)), "retry-after: 3");
    assert_eq!(text(Dialect::Plain, &readings(), None), "");
    assert_eq!(text(Dialect::Gemini, &readings(), Some(&wait)), "");
}

#[test]
fn what_can_never_fit_names_no_time() {
    for dialect in Dialect::ALL {
        assert!(!text(dialect, &readings(), Some(&refusal(None))).contains("retry-after"), "{dialect}");
    }
}

#[test]
fn the_tightest_of_several_limits_is_told() {
    let daily = Reading {
        limit: MockLimit::new(LimitKey::Requests, 1000, Duration::from_secs(86_400)),
        remaining: 7,
        until_full: Duration::from_secs(100),
    };
    let told = text(Dialect::OpenAi, &[readings()[0], daily], None);
    assert!(told.starts_with("x-ratelimit-limit-requests: 1000\nx-ratelimit-remaining-requests: 7\n"), "{told}");
}

#[test]
fn a_window_without_end_has_a_date_all_the_same() {
    for dialect in Dialect::ALL {
        text(dialect, &[reading(LimitKey::Requests, 1, 0, Duration::MAX)], Some(&refusal(Some(Duration::MAX))));
    }
}
