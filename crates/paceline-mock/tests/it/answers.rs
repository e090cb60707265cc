//! What calls are answered, and that the usage is the charge.

use std::time::Duration;

use paceline_mock::{Dialect, LimitKey, MockConfig, MockLimit};
use serde_json::{Value, json};

use crate::client::{CHAT, get, post, start};

/// Limits that never bind, but tell what was charged.
fn metered() -> MockConfig {
    let limits = LimitKey::ALL.map(|key| MockLimit::new(key, 1_000_000, Duration::from_secs(3600)));
    MockConfig { limits: limits.to_vec(), ..MockConfig::default() }
}

#[tokio::test]
async fn usage_is_what_the_limits_were_charged() {
    let mock = start(metered()).await;
    // Characters, not bytes: each of these is one, whatever its length in UTF-8.
    let body = r#"{"model": "gpt-x", "max_tokens": 256, "messages": [{"role": "user", "content": "Janet’s 🦆 lays"}]}"#;
    let input = (body.chars().count() as u64).div_ceil(4);
    assert_ne!(input, (body.len() as u64).div_ceil(4));
    let answer = post(&mock, CHAT, body).await;
    assert_eq!(answer.status, 200);
    let usage = json!({"prompt_tokens": input, "completion_tokens": 256, "total_tokens": input + 256});
    assert_eq!(answer.json()["usage"], usage);
    let worst: Vec<u64> = mock.stats().limits.into_values().map(|limit| limit.worst).collect();
    assert_eq!(worst, [input, 256, 1, input + 256], "input_tokens, output_tokens, requests, tokens");
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), Some(&*(1_000_000 - input - 256).to_string()));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("999999"));
    assert_eq!(answer.header("x-ratelimit-reset-requests"), Some("1h0m0s"));
}

#[tokio::test]
async fn the_charge_reads_every_name_of_the_maximum() {
    let mock = start(metered()).await;
    for (field, most) in [
        (r#""max_tokens": 7"#, 7),
        (r#""max_completion_tokens": 8"#, 8),
        (r#""max_output_tokens": 9"#, 9),
        (r#""max_tokens": 7, "max_completion_tokens": 8"#, 8),
        (r#""max_tokens": null"#, 0),
        (r#""temperature": 1"#, 0),
    ] {
        let answer = post(&mock, CHAT, &format!("{{{field}}}")).await.json();
        assert_eq!(answer["usage"]["completion_tokens"], most, "{field}");
    }
}

#[tokio::test]
async fn each_route_answers_in_its_form() {
    let mock = start(metered()).await;
    let body = r#"{"model": "m", "max_tokens": 3, "input": ["a", "b"]}"#;
    let input = body.len().div_ceil(4);

    let chat = post(&mock, CHAT, body).await.json();
    assert_eq!((&chat["object"], &chat["model"]), (&json!("chat.completion"), &json!("m")));
    assert_eq!(chat["choices"][0]["message"]["content"], "A simulated answer to 52 characters.");
    let again = post(&mock, CHAT, body).await.json();
    assert_eq!(chat["choices"], again["choices"]);
    assert_ne!(chat["id"], again["id"]);

    let completion = post(&mock, "/v1/completions", body).await.json();
    assert_eq!(completion["choices"][0]["text"], "A simulated answer to 52 characters.");

    let embeddings = post(&mock, "/v1/embeddings", body).await.json();
    assert_eq!(embeddings["data"].as_array().map(Vec::len), Some(2));
    let tokens = post(&mock, "/v1/embeddings", r#"{"input": [1, 2, 3]}"#).await.json();
    assert_eq!(tokens["data"].as_array().map(Vec::len), Some(1));

    let usage = json!({"input_tokens": input, "output_tokens": 3, "total_tokens": input + 3});
    let response = post(&mock, "/v1/responses", body).await.json();
    assert_eq!(response["usage"], usage);
    assert_eq!(response["output"][0]["content"][0]["text"], "A simulated answer to 52 characters.");

    let other = post(&mock, "/v1/audio/anything", body).await.json();
    assert_eq!(other["usage"]["total_tokens"], input + 3);
    assert_eq!(post(&mock, "/v1/models", body).await.status, 200);
    assert_eq!(get(&mock, "/v1/models").await.json()["data"][0]["id"], "mock-model");
}

#[tokio::test]
async fn anthropic_messages_have_their_own_usage() {
    let mock = start(MockConfig { dialect: Dialect::Anthropic, ..metered() }).await;
    let body = r#"{"model": "claude", "max_tokens": 100}"#;
    let answer = post(&mock, "/v1/messages", body).await;
    assert_eq!(answer.json()["usage"], json!({"input_tokens": body.len().div_ceil(4), "output_tokens": 100}));
    assert_eq!(answer.json()["content"][0]["type"], "text");
    assert!(answer.header("request-id").is_some());
    assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), Some("999999"));
    assert_eq!(answer.header("anthropic-ratelimit-tokens-limit"), Some("1000000"));
}

/// The JSON of each `data:` line.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).expect("JSON data")).collect()
}

#[tokio::test]
async fn a_stream_ends_with_the_usage() {
    let mock = start(metered()).await;
    let body = r#"{"model": "m", "max_tokens": 3, "stream": true}"#;
    let input = body.len().div_ceil(4);
    for (path, usage) in [(CHAT, "/usage"), ("/v1/completions", "/usage"), ("/v1/responses", "/response/usage")] {
        let answer = post(&mock, path, body).await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        let events = events(answer.text());
        let last = events.last().and_then(|event| event.pointer(usage)).expect(path);
        assert_eq!(last["total_tokens"], input + 3, "{path}");
        assert_eq!(answer.text().ends_with("data: [DONE]\n\n"), path != "/v1/responses");
    }
    let messages = post(&mock, "/v1/messages", body).await;
    assert!(messages.text().starts_with("event: message_start\ndata: {"));
    let events = events(messages.text());
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 3);
}

#[tokio::test]
async fn a_silent_provider_says_nothing_of_limits() {
    let limits = vec![MockLimit::per_minute(LimitKey::Requests, 1)];
    let mock = start(MockConfig { no_headers: true, limits, ..MockConfig::default() }).await;
    for status in [200, 429] {
        let answer = post(&mock, CHAT, "{}").await;
        assert_eq!(answer.status, status);
        let telling = |name: &str| name.contains("ratelimit") || name.contains("retry");
        assert!(!answer.headers.keys().any(|name| telling(name.as_str())), "{:?}", answer.headers);
        assert!(answer.header("x-request-id").is_some());
    }
}
