//! Everything but success, as status and body in each dialect's form.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Dialect;
use super::headers::milliseconds;
use crate::LimitKey;
use crate::account::{Cause, Refusal};

/// Why a call is not answered.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Unauthorized,
    Malformed(String),
    NotFound,
    MethodNotAllowed,
    Refused(Refusal),
    Internal,
    Unavailable,
}

impl Fault {
    /// The status in this dialect.
    pub(crate) fn status(&self, dialect: Dialect) -> StatusCode {
        match self {
            Fault::Unauthorized => StatusCode::UNAUTHORIZED,
            Fault::Malformed(_) => StatusCode::BAD_REQUEST,
            Fault::NotFound => StatusCode::NOT_FOUND,
            Fault::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Fault::Refused(_) => StatusCode::TOO_MANY_REQUESTS,
            Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            // Anthropic's own status for overload.
            Fault::Unavailable if dialect == Dialect::Anthropic => {
                StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
            }
            Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn message(&self) -> String {
        match self {
            Fault::Unauthorized => "Incorrect or missing API key.".to_owned(),
            Fault::Malformed(why) => format!("Invalid request: {why}."),
            Fault::NotFound => "There is no such route: use POST /v1/..., or GET /_mock/stats.".to_owned(),
            Fault::MethodNotAllowed => "This route has another method: calls are POST.".to_owned(),
            Fault::Refused(refusal) => refused(refusal),
            Fault::Internal => "The server had an error (simulated).".to_owned(),
            Fault::Unavailable => "The server is overloaded (simulated).".to_owned(),
        }
    }

    /// The content type and body; `array` is how Gemini's OpenAI-compatible routes wrap theirs.
    pub(crate) fn body(&self, dialect: Dialect, array: bool) -> (&'static str, String) {
        let (status, message) = (self.status(dialect).as_u16(), self.message());
        let body = match dialect {
            Dialect::OpenAi => self.openai(&message),
            Dialect::Azure => json!({"error": {"code": status.to_string(), "message": message}}),
            Dialect::Anthropic => {
                json!({"type": "error", "error": {"type": self.anthropic_type(), "message": message}})
            }
            Dialect::Gemini => {
                let body = self.gemini(status, &message);
                if array { json!([body]) } else { body }
            }
            Dialect::GitHub => {
                json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()})
            }
            Dialect::Ietf => return ("application/problem+json", self.problem(status, &message).to_string()),
            Dialect::Plain => return ("text/plain; charset=utf-8", message),
        };
        ("application/json", body.to_string())
    }

    fn openai(&self, message: &str) -> Value {
        let (kind, code) = match self {
            Fault::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
            Fault::Malformed(_) | Fault::NotFound | Fault::MethodNotAllowed => ("invalid_request_error", None),
            Fault::Refused(refusal) => {
                (if limited(refusal).is_tokens() { "tokens" } else { "requests" }, Some("rate_limit_exceeded"))
            }
            Fault::Internal | Fault::Unavailable => ("server_error", None),
        };
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
    }

    fn anthropic_type(&self) -> &'static str {
        match self {
            Fault::Unauthorized => "authentication_error",
            Fault::Malformed(_) | Fault::MethodNotAllowed => "invalid_request_error",
            Fault::NotFound => "not_found_error",
            Fault::Refused(_) => "rate_limit_error",
            Fault::Internal => "api_error",
            Fault::Unavailable => "overloaded_error",
        }
    }

    fn gemini(&self, code: u16, message: &str) -> Value {
        let status = match self {
            Fault::Unauthorized => "UNAUTHENTICATED",
            Fault::Malformed(_) | Fault::MethodNotAllowed => "INVALID_ARGUMENT",
            Fault::NotFound => "NOT_FOUND",
            Fault::Refused(_) => "RESOURCE_EXHAUSTED",
            Fault::Internal => "INTERNAL",
            Fault::Unavailable => "UNAVAILABLE",
        };
        let mut error = json!({"code": code, "message": message, "status": status});
        if let Fault::Refused(refusal) = self {
            error["details"] = gemini_details(refusal);
        }
        json!({ "error": error })
    }

    fn problem(&self, status: u16, message: &str) -> Value {
        match self {
            Fault::Refused(refusal) => json!({
                "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "title": "Request cannot be satisfied as assigned quota has been exceeded",
                "status": status,
                "detail": message,
                "violated-policies": [limited(refusal).as_str()],
            }),
            _ => json!({"type": "about:blank", "status": status, "detail": message}),
        }
    }
}

/// The limit that a refusal names, concurrency included.
#[derive(Clone, Copy)]
enum Limited {
    Concurrency,
    Key(LimitKey),
}

fn limited(refusal: &Refusal) -> Limited {
    match refusal.cause {
        Cause::Concurrency { .. } => Limited::Concurrency,
        Cause::Limit { reading, .. } => Limited::Key(reading.limit.key),
    }
}

impl Limited {
    fn is_tokens(self) -> bool {
        !matches!(self, Limited::Concurrency | Limited::Key(LimitKey::Requests))
    }

    fn as_str(self) -> &'static str {
        match self {
            Limited::Concurrency => "concurrency",
            Limited::Key(key) => key.as_str(),
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    let (reading, requested) = match refusal.cause {
        Cause::Concurrency { limit } => return format!("Too many requests at once: Limit {limit}. Try again later."),
        Cause::Limit { reading, requested } => (reading, requested),
    };
    let (key, amount) = (reading.limit.key, reading.limit.amount);
    let window = humantime::format_duration(reading.limit.window);
    match refusal.retry_after {
        Some(wait) => format!(
            "Rate limit reached on {key}: Limit {amount} per {window}, Remaining {}, Requested {requested}. Please try \
             again in {}.",
            reading.remaining,
            seconds(wait),
        ),
        None => format!(
            "Request too large on {key}: Limit {amount} per {window}, Requested {requested}. It can never be admitted: \
             the input or output must be reduced.",
        ),
    }
}

fn gemini_details(refusal: &Refusal) -> Value {
    let mut details = Vec::new();
    if let Cause::Limit { reading, .. } = refusal.cause {
        let unit = match reading.limit.key {
            LimitKey::Requests => "Requests",
            LimitKey::Tokens => "ContentTokens",
            LimitKey::InputTokens => "ContentInputTokens",
            LimitKey::OutputTokens => "ContentOutputTokens",
        };
        let period = match reading.limit.window.as_secs() {
            60 => "Minute".to_owned(),
            3_600 => "Hour".to_owned(),
            86_400 => "Day".to_owned(),
            other => format!("{other}Seconds"),
        };
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaId": format!("Generate{unit}Per{period}PerProjectPerModel-FreeTier"),
                "quotaValue": reading.limit.amount.to_string(),
            }],
        }));
    }
    if let Some(wait) = refusal.retry_after {
        details.push(json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds(wait)}));
    }
    Value::Array(details)
}

/// `17s`, `1.250s`.
fn seconds(time: Duration) -> String {
    let ms = milliseconds(time);
    if ms % 1000 == 0 { format!("{}s", ms / 1000) } else { format!("{}.{:03}s", ms / 1000, ms % 1000) }
}
