//! GitHub's REST API: one limit per resource, fixed windows, and refusals that are a 403 as often as a 429.

use std::time::Duration;

use serde_json::Value;

use super::body::{error_text, says};
use super::facts::{Scope, Unit};
use super::reader::{Reader, epoch};
use crate::server::Reset;

/// "Otherwise, wait for at least one minute before retrying" (Rate limits for the REST API).
pub(super) const AT_LEAST: Duration = Duration::from_secs(60);

pub(super) fn limits(reader: &mut Reader<'_>) {
    let limit = reader.amount("x-ratelimit-limit");
    let remaining = reader.remaining("x-ratelimit-remaining");
    let reset = reader.wait("x-ratelimit-reset", |reader, text| Ok(reader.until(epoch(text)?)));
    let scope = reader.text("x-ratelimit-resource").map_or(Scope::Account, |name| Scope::Named(name.into()));
    reader.limit(Unit::Requests, scope, None, (limit, remaining, reset.map(Reset::Window)));
}

/// Whether a 403 is a refusal for the rate, and not for want of a permission.
pub(super) fn is_rate_limit(reader: &mut Reader<'_>, body: Option<&Value>) -> bool {
    let spent = reader.limits().iter().any(|limit| limit.remaining == Some(0));
    let told = || body.is_some_and(|body| says(error_text(body), &["rate limit", "abuse detection"]));
    spent || reader.text("retry-after").is_some() || told()
}
