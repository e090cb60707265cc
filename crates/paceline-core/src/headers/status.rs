//! How an attempt ended, by its status first and its words last.

use std::time::Duration;

use serde_json::Value;

use super::reader::Reader;
use super::{Dialect, anthropic, gemini, github, openai};
use crate::server::Reset;
use crate::verdict::Verdict;

/// What the service itself says of another attempt; OpenAI's and Anthropic's SDKs ask it before anything else.
const SHOULD_RETRY: &str = "x-should-retry";

/// The verdict, and whether a quota is spent for good.
pub(super) fn judge(dialect: Dialect, reader: &mut Reader<'_>, body: Option<&Value>) -> (Verdict, bool) {
    let verdict = by_status(dialect, reader, body);
    // An account without credit is also met as a 400.
    if let (Verdict::RateLimited { .. } | Verdict::Permanent, Some(body)) = (verdict, body) {
        let too_large = has_openai_errors(dialect) && openai::is_too_large(body);
        let spent = !too_large && is_spent(dialect, body);
        if too_large || spent {
            return (Verdict::Permanent, spent);
        }
    }
    let verdict = match has_sdk(dialect).then(|| reader.text(SHOULD_RETRY)).flatten() {
        Some("false") if verdict.is_retryable() => Verdict::Permanent,
        Some("true") if verdict == Verdict::Permanent => Verdict::Transient,
        _ => verdict,
    };
    (verdict, false)
}

fn is_spent(dialect: Dialect, body: &Value) -> bool {
    match dialect {
        Dialect::OpenAi | Dialect::Azure => openai::is_spent(body),
        Dialect::Anthropic => anthropic::is_spent(body),
        Dialect::Gemini => gemini::is_spent(body) || openai::is_spent(body),
        Dialect::Plain | Dialect::GitHub | Dialect::Ietf => false,
    }
}

/// Gemini's compatible endpoint has them too.
const fn has_openai_errors(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::OpenAi | Dialect::Azure | Dialect::Gemini)
}

fn by_status(dialect: Dialect, reader: &mut Reader<'_>, body: Option<&Value>) -> Verdict {
    match reader.status() {
        200..=299 | 304 => Verdict::Success,
        429 => Verdict::RateLimited { retry_after: None },
        403 if dialect == Dialect::GitHub && github::is_rate_limit(reader, body) => {
            Verdict::RateLimited { retry_after: None }
        }
        // 504 is a total timeout, met further up; 529 is Anthropic's word for overload, and others took it over.
        503 | 504 | 529 => Verdict::Overloaded,
        408 | 425 => Verdict::Transient,
        // A lock was not had in time, say the SDKs.
        409 if has_sdk(dialect) => Verdict::Transient,
        501 | 505 => Verdict::Permanent,
        500..=599 => Verdict::Transient,
        _ => Verdict::Permanent,
    }
}

const fn has_sdk(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::OpenAi | Dialect::Azure | Dialect::Anthropic)
}

/// How long to wait by the limits, where a refusal does not say: to the end of every window that is spent.
///
/// A reset to full is no such word: a unit is back long before all are.
pub(super) fn implied_wait(dialect: Dialect, reader: &mut Reader<'_>) -> Option<Duration> {
    let spent = reader.limits().iter().filter(|limit| limit.remaining == Some(0));
    let windows = spent.filter_map(|limit| match limit.reset {
        Some(Reset::Window(left)) => Some(left),
        _ => None,
    });
    match windows.max() {
        None if dialect == Dialect::GitHub => reader.bounded("retry-after", "none: a minute", Ok(github::AT_LEAST)),
        wait => wait,
    }
}
