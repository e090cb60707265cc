//! Rate limits told by words alone.

use std::time::Duration;

use paceline_core::Verdict;

const LIMITED: Option<Verdict> = Some(Verdict::RateLimited { retry_after: None });

/// The seed signals a rate limit as `RateLimitHit("Rate limit exceeded", retry_after=30.0)`, and recognises those that
/// others raise by their words; with words of one's own in front of its default ones.
#[test]
fn parity_p05_a_rate_limit_is_recognised_by_its_type_first_and_by_its_text_last() {
    struct Hit {
        verdict: Option<Verdict>,
        text: &'static str,
    }
    let recognise = |hit: &Hit| hit.verdict.or_else(|| Verdict::from_text(hit.text));
    let typed = Some(Verdict::RateLimited { retry_after: Some(Duration::from_secs(30)) });
    assert_eq!(recognise(&Hit { verdict: typed, text: "Rate limit exceeded" }), typed);
    assert_eq!(recognise(&Hit { verdict: None, text: "Rate limit exceeded" }), LIMITED);
    let typed = Some(Verdict::Permanent);
    assert_eq!(recognise(&Hit { verdict: typed, text: "no rate limit is set for this key" }), typed);

    for text in [
        "429",
        "Error code: 429 - {'error': …}",
        "HTTP/1.1 429 Too Many Requests",
        "RATE LIMIT reached",
        "rate_limit_error",
        "RateLimitError",
        "too many requests",
        "Quota exceeded for metric",
        "ThrottlingException",
        "request was throttled",
        "RESOURCE_EXHAUSTED",
    ] {
        assert_eq!(Verdict::from_text(text), LIMITED, "{text}");
    }

    let own =
        |text: &str| text.contains("slow down").then_some(Verdict::Overloaded).or_else(|| Verdict::from_text(text));
    assert_eq!(own("please slow down"), Some(Verdict::Overloaded));
    assert_eq!(own("throttled"), LIMITED);
}

#[test]
fn other_errors_and_numbers_that_hold_a_429_are_not_recognised() {
    for text in
        ["", "connection reset", "invalid key", "took 1429 ms", "id 4290", "req_a429b", "the limit of interest rates"]
    {
        assert_eq!(Verdict::from_text(text), None, "{text}");
    }
}

#[test]
fn a_spent_account_is_no_rate_limit() {
    let text = "Error code: 429 - {'type': 'insufficient_quota', 'message': 'You exceeded your current quota'}";
    assert_eq!(Verdict::from_text(text), Some(Verdict::Permanent));
}
