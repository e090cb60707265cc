//! The journal and the totals, over HTTP and from the library.

use std::time::Duration;

use paceline_mock::{LimitKey, MockConfig, MockLimit};
use serde_json::{Value, json};

use crate::client::{CHAT, get, post, send, start};

fn two_an_hour() -> MockConfig {
    let limits = vec![
        MockLimit::new(LimitKey::Requests, 2, Duration::from_secs(3600)),
        MockLimit::new(LimitKey::Tokens, 1000, Duration::from_millis(500)),
    ];
    MockConfig { limits, ..MockConfig::default() }
}

#[tokio::test]
async fn it_tells_who_came_when_and_what_became_of_it() {
    let mock = start(two_an_hour()).await;
    send(&mock, CHAT, &[("x-custom-id", "first")], Some("{}")).await;
    send(&mock, CHAT, &[("x-custom-id", "zweite-ä")], Some("{")).await;
    post(&mock, CHAT, "{}").await;
    post(&mock, CHAT, "{}").await;
    let journal = get(&mock, "/_mock/requests").await.json();
    let calls = journal.as_array().expect("an array");
    let told: Vec<(&Value, &Value)> = calls.iter().map(|call| (&call["custom_id"], &call["status"])).collect();
    assert_eq!(json!(told), json!([["first", 200], ["zweite-ä", 400], [null, 200], [null, 429]]));
    let arrivals: Vec<f64> = calls.iter().filter_map(|call| call["arrival"].as_f64()).collect();
    assert_eq!(arrivals.len(), 4);
    assert!(arrivals.is_sorted() && arrivals[0] >= 0.0 && arrivals[3] < 60.0, "{arrivals:?}");
    let library: Vec<f64> = mock.requests().iter().map(|seen| seen.arrival.as_secs_f64()).collect();
    assert_eq!(library, arrivals);
}

#[tokio::test]
async fn totals_have_their_documented_form() {
    let mock = start(two_an_hour()).await;
    for body in ["{}", "{", "{}", "{}"] {
        post(&mock, CHAT, body).await;
    }
    let stats = get(&mock, "/_mock/stats").await.json();
    let mut totals = stats.clone();
    assert!(totals["limits"]["tokens"]["worst"].take().as_u64().is_some_and(|worst| (1..=2).contains(&worst)));
    assert_eq!(
        totals,
        json!({
            "total": 4, "ok": 2, "rejected": 1, "errors": 1, "peak_in_flight": 1,
            "limits": {
                "requests": {"amount": 2, "window_s": 3600.0, "worst": 2},
                "tokens": {"amount": 1000, "window_s": 0.5, "worst": null},
            },
        })
    );
    assert_eq!(serde_json::to_value(mock.stats()).expect("JSON"), stats);
}

#[tokio::test]
async fn a_reset_forgets_the_records_but_not_the_charges() {
    let mock = start(two_an_hour()).await;
    post(&mock, CHAT, "{}").await;
    assert_eq!(post(&mock, "/_mock/reset", "").await.status, 204);
    assert_eq!(get(&mock, "/_mock/requests").await.json(), json!([]));
    let stats = mock.stats();
    assert_eq!((stats.total, stats.peak_in_flight, stats.limits["requests"].worst), (0, 0, 0));
    assert_eq!(post(&mock, CHAT, "{}").await.status, 200);
    assert_eq!(mock.stats().limits["requests"].worst, 2);
    assert_eq!(post(&mock, CHAT, "{}").await.status, 429);
}
