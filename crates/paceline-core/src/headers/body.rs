//! What the bodies of errors have in common.

use serde_json::Value;

/// The body as JSON; of a body in an array (Gemini's OpenAI-compatible endpoint) its first element.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    match serde_json::from_slice(body).ok()? {
        Value::Array(list) => list.into_iter().next(),
        value => Some(value),
    }
}

/// What the error says to people: `error.message`, `error`, `message` or `detail`.
pub(super) fn error_text(body: &Value) -> &str {
    [&body["error"]["message"], &body["error"], &body["message"], &body["detail"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default()
}

/// Whether `text` has one of `phrases`, which are in lower case, in any case.
pub(super) fn says(text: &str, phrases: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}
