//! Gemini: everything is in the body of a refusal, as `google.rpc` error details.

use std::time::Duration;

use serde_json::Value;

use super::facts::{Doubt, Scope, Unit};
use super::reader::{Reader, count, seconds};

const RETRY_DELAY: &str = "retryDelay";
const QUOTA_VALUE: &str = "quotaValue";

/// The quotas that were exceeded. What is left of them is not told.
pub(super) fn limits(reader: &mut Reader<'_>, body: Option<&Value>) {
    for violation in violations(body) {
        let Some(id) = violation["quotaId"].as_str() else { continue };
        let Some(unit) = unit(id) else { continue };
        let text = value_text(violation).unwrap_or_default();
        let limit = match count(&text) {
            Ok(0) | Err(_) if text.is_empty() => None,
            Ok(0) => noted(reader, &text, Doubt::Absurd),
            Ok(limit) => Some(limit),
            Err(doubt) => noted(reader, &text, doubt),
        };
        reader.limit(unit, Scope::Named(id.into()), period(id), (limit, None, None));
    }
}

fn noted(reader: &mut Reader<'_>, text: &str, doubt: Doubt) -> Option<u64> {
    reader.note(QUOTA_VALUE, text, doubt);
    None
}

/// `RetryInfo`: a protobuf duration in its JSON form, such as `17s` or `10.689924287s`.
pub(super) fn retry_delay(reader: &mut Reader<'_>, body: &Value) -> Option<Duration> {
    let text = details(Some(body), "google.rpc.RetryInfo").find_map(|detail| detail[RETRY_DELAY].as_str())?;
    let read = text.strip_suffix('s').ok_or(Doubt::Malformed).and_then(seconds);
    reader.bounded(RETRY_DELAY, text, read)
}

/// A quota per day comes back too late to wait for, and one of nothing never does.
pub(super) fn is_spent(body: &Value) -> bool {
    violations(Some(body)).any(|violation| {
        let daily = violation["quotaId"].as_str().is_some_and(|id| id.contains("PerDay"));
        daily || value_text(violation).as_deref() == Some("0")
    })
}

fn violations(body: Option<&Value>) -> impl Iterator<Item = &Value> {
    details(body, "google.rpc.QuotaFailure").filter_map(|detail| detail["violations"].as_array()).flatten()
}

fn details<'a>(body: Option<&'a Value>, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let details = body.and_then(|body| body["error"]["details"].as_array());
    let is_kind = move |detail: &&Value| detail["@type"].as_str().is_some_and(|name| name.ends_with(kind));
    details.into_iter().flatten().filter(is_kind)
}

/// 64-bit numbers are text in protobuf's JSON.
fn value_text(violation: &Value) -> Option<String> {
    match &violation[QUOTA_VALUE] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// By identifiers such as `GenerateContentInputTokensPerModelPerMinute-FreeTier`.
fn unit(id: &str) -> Option<Unit> {
    const UNITS: [(&str, Unit); 4] = [
        ("InputToken", Unit::InputTokens),
        ("OutputToken", Unit::OutputTokens),
        ("Token", Unit::Tokens),
        ("Request", Unit::Requests),
    ];
    UNITS.into_iter().find(|(part, _)| id.contains(part)).map(|(_, unit)| unit)
}

fn period(id: &str) -> Option<Duration> {
    const PERIODS: [(&str, u64); 4] = [("PerSecond", 1), ("PerMinute", 60), ("PerHour", 3_600), ("PerDay", 86_400)];
    PERIODS.into_iter().find(|(part, _)| id.contains(part)).map(|(_, seconds)| Duration::from_secs(seconds))
}
