//! Anthropic: limits as flat headers with instants, errors with a type.

use serde_json::Value;

use super::body::{error_text, says};
use super::facts::{Scope, Unit};
use super::reader::{Reader, instant};
use crate::server::Reset;

macro_rules! names {
    ($of:literal) => {
        [
            concat!("anthropic-", $of, "-limit"),
            concat!("anthropic-", $of, "-remaining"),
            concat!("anthropic-", $of, "-reset"),
        ]
    };
}

const LIMITS: [(Unit, Scope, [&str; 3]); 6] = [
    (Unit::Requests, Scope::Account, names!("ratelimit-requests")),
    (Unit::Tokens, Scope::Account, names!("ratelimit-tokens")),
    (Unit::InputTokens, Scope::Account, names!("ratelimit-input-tokens")),
    (Unit::OutputTokens, Scope::Account, names!("ratelimit-output-tokens")),
    (Unit::InputTokens, Scope::Priority, names!("priority-input-tokens")),
    (Unit::OutputTokens, Scope::Priority, names!("priority-output-tokens")),
];

pub(super) fn limits(reader: &mut Reader<'_>) {
    for (unit, scope, [limit, remaining, reset]) in LIMITS {
        let limit = reader.amount(limit);
        let remaining = reader.remaining(remaining);
        let reset = reader.wait(reset, |reader, text| Ok(reader.until(instant(text)?)));
        reader.limit(unit, scope, None, (limit, remaining, reset.map(Reset::Full)));
    }
}

/// Whether a 429 is about money, which its type does not tell from a rate.
pub(super) fn is_spent(body: &Value) -> bool {
    body["error"]["type"] == "billing_error"
        || says(error_text(body), &["credit balance", "usage limits", "spend limit", "spending limit", "spend cap"])
}
