//! Refusals and failures, in each dialect's form.

use std::time::Duration;

use paceline_mock::{Dialect, LimitKey, MockConfig, MockLimit};
use serde_json::{Value, json};

use crate::client::{Answer, CHAT, get, post, send, start};

const HOUR: Duration = Duration::from_secs(3600);

/// The second of two calls at one an hour.
async fn refusal(dialect: Dialect) -> Answer {
    let limits = vec![MockLimit::new(LimitKey::Requests, 1, HOUR)];
    let mock = start(MockConfig { dialect, limits, ..MockConfig::default() }).await;
    assert_eq!(post(&mock, CHAT, "{}").await.status, 200);
    let refused = post(&mock, CHAT, "{}").await;
    assert_eq!(refused.status, 429);
    refused
}

#[tokio::test]
async fn openai_refuses_with_a_code_and_two_waits() {
    let refused = refusal(Dialect::OpenAi).await;
    let error = &refused.json()["error"];
    assert_eq!((&error["code"], &error["type"]), (&json!("rate_limit_exceeded"), &json!("requests")));
    let message = error["message"].as_str().expect("a message");
    assert!(
        message.starts_with("Rate limit reached on requests: Limit 1 per 1h, Remaining 0, Requested 1."),
        "{message}"
    );
    let number = |name| refused.header(name).and_then(|text| text.parse::<u64>().ok()).expect(name);
    let (seconds, ms) = (number("retry-after"), number("retry-after-ms"));
    assert!((3_500_000..=3_600_000).contains(&ms), "{ms}");
    assert_eq!(seconds, ms.div_ceil(1000), "rounded up");
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
}

#[tokio::test]
async fn gemini_refuses_in_the_body_alone() {
    let refused = refusal(Dialect::Gemini).await;
    assert_eq!(refused.header("retry-after"), None);
    let error = refused.json().pointer("/0/error").cloned().expect("an array, on the OpenAI-compatible route");
    assert_eq!(error["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(error["details"][0]["violations"][0]["quotaId"], "GenerateRequestsPerHourPerProjectPerModel-FreeTier");
    assert_eq!(error["details"][0]["violations"][0]["quotaValue"], "1");
    assert_eq!(error["details"][1]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    let delay = error["details"][1]["retryDelay"].as_str().expect("a delay");
    assert!(delay.starts_with("35") || delay == "3600s", "{delay}");
}

#[tokio::test]
async fn the_others_refuse_in_their_forms() {
    let azure = refusal(Dialect::Azure).await;
    assert_eq!(azure.json()["error"]["code"], "429");
    assert!(azure.header("retry-after-ms").is_some());

    let anthropic = refusal(Dialect::Anthropic).await;
    assert_eq!(anthropic.json()["error"]["type"], "rate_limit_error");
    assert_eq!(anthropic.json()["type"], "error");

    let github = refusal(Dialect::GitHub).await;
    assert!(github.json()["message"].is_string());
    assert_eq!(github.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(github.header("retry-after"), None);

    let ietf = refusal(Dialect::Ietf).await;
    assert_eq!(ietf.header("content-type"), Some("application/problem+json"));
    assert_eq!(ietf.json()["violated-policies"], json!(["requests"]));
    assert_eq!(ietf.header("ratelimit-policy"), Some(r#""requests";q=1;w=3600"#));

    let plain = refusal(Dialect::Plain).await;
    assert!(serde_json::from_slice::<Value>(&plain.body).is_err(), "text, not JSON");
    assert!(plain.header("retry-after").is_some());
}

#[tokio::test]
async fn what_can_never_fit_is_said_so() {
    let limits = vec![MockLimit::new(LimitKey::Tokens, 100, HOUR)];
    let mock = start(MockConfig { limits, ..MockConfig::default() }).await;
    let refused = post(&mock, CHAT, r#"{"max_tokens": 101}"#).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["type"], "tokens");
    assert!(refused.json()["error"]["message"].as_str().is_some_and(|text| text.starts_with("Request too large")));
    assert_eq!(refused.header("retry-after"), None);
}

#[tokio::test]
async fn bad_bodies_are_400_and_free() {
    let limits = vec![MockLimit::new(LimitKey::Requests, 1, HOUR)];
    let mock = start(MockConfig { limits, ..MockConfig::default() }).await;
    for body in ["", "{", "[]", "7", "{}{}", r#"{"max_tokens": -1}"#, r#"{"max_tokens": "many"}"#, r#"{"model": 4}"#] {
        let answer = post(&mock, CHAT, body).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(post(&mock, CHAT, "{}").await.status, 200);
    let stats = mock.stats();
    assert_eq!((stats.total, stats.ok, stats.errors, stats.limits["requests"].worst), (9, 1, 8, 1));
}

#[tokio::test]
async fn a_key_is_asked_for_if_one_is_set() {
    let config = |dialect| MockConfig { api_key: Some("sk-right".to_owned()), dialect, ..MockConfig::default() };
    let mock = start(config(Dialect::OpenAi)).await;
    let wrong: [&[(&str, &str)]; 4] =
        [&[], &[("authorization", "Bearer sk-wrong")], &[("authorization", "sk-right")], &[("x-api-key", "sk-right")]];
    for headers in wrong {
        let answer = send(&mock, CHAT, headers, Some("{}")).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
    }
    let answer = send(&mock, CHAT, &[("authorization", "Bearer sk-right")], Some("{}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!((mock.stats().errors, mock.stats().ok), (4, 1));
    let anthropic = start(config(Dialect::Anthropic)).await;
    assert_eq!(send(&anthropic, "/v1/messages", &[("x-api-key", "sk-right")], Some("{}")).await.status, 200);
}

#[tokio::test]
async fn failures_are_charged() {
    let limits = vec![MockLimit::new(LimitKey::Requests, 30, HOUR)];
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let mock =
            start(MockConfig { limits: limits.clone(), error_rate: 1.0, dialect, ..MockConfig::default() }).await;
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..30 {
            *seen.entry(post(&mock, CHAT, "{}").await.status.as_u16()).or_insert(0) += 1;
        }
        let unavailable = if dialect == Dialect::Anthropic { 529 } else { 503 };
        assert_eq!(seen.keys().copied().collect::<Vec<u16>>(), [500, unavailable]);
        assert_eq!(post(&mock, CHAT, "{}").await.status, 429);
        let stats = mock.stats();
        assert_eq!((stats.errors, stats.rejected, stats.limits["requests"].worst), (30, 1, 30));
    }
}

#[tokio::test]
async fn unknown_routes_say_so_and_are_not_calls() {
    let mock = start(MockConfig::default()).await;
    for (answer, status) in [(post(&mock, "/chat", "{}").await, 404), (get(&mock, CHAT).await, 405)] {
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(mock.stats().total, 0);
}
