//! Successes that are none: a status of success over a body that cannot be one.

use std::fmt;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use paceline::Verdict;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// What is wrong with the body of a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Empty,
    /// It ends in the middle.
    Cut,
    /// A web page, with its title.
    Page(Option<String>),
    /// Not UTF-8.
    Binary,
    /// Not JSON, and where.
    Malformed(String),
    /// An error, in the service's words.
    Error(String),
}

/// A flaw, and the status that came with it.
#[derive(Clone, Debug)]
pub(crate) struct Flawed {
    pub(crate) status: StatusCode,
    pub(crate) flaw: Flaw,
}

/// Where a success has its content, in the forms of OpenAI, Anthropic and Gemini.
#[derive(Deserialize)]
struct Shape<'a> {
    #[serde(default)]
    error: Value,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    candidates: Option<&'a RawValue>,
}

/// Enough of an error, or a title, for a line.
const SHOWN: usize = 300;

impl Flaw {
    /// What is wrong with the body of a success, if anything is.
    pub(crate) fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes()).to_ascii_lowercase();
        let is = |name: &[u8]| kind.starts_with(name);
        let trimmed = body.trim_ascii();
        if trimmed.is_empty() {
            return (status != StatusCode::NO_CONTENT).then_some(Self::Empty);
        }
        let Ok(text) = std::str::from_utf8(trimmed) else { return Some(Self::Binary) };
        if is(b"text/html") || text.starts_with('<') {
            return Some(Self::Page(title(text)));
        }
        // Streams and plain texts are what they say.
        if is(b"text/") {
            return None;
        }
        match serde_json::from_str::<Shape<'_>>(text) {
            Ok(shape) => shape.flaw(),
            Err(error) if error.is_eof() => Some(Self::Cut),
            Err(_) => match serde_json::from_str::<IgnoredAny>(text) {
                Ok(_) => listed(text),
                Err(error) if error.is_eof() => Some(Self::Cut),
                Err(error) => Some(Self::Malformed(error.to_string())),
            },
        }
    }

    /// How the attempt ended: what was cut is worth another one, since the service meant to answer.
    pub(crate) fn verdict(&self, attempt: u32) -> Verdict {
        match self {
            Self::Cut | Self::Empty if attempt == 1 => Verdict::Transient,
            _ => Verdict::Permanent,
        }
    }
}

impl Shape<'_> {
    fn flaw(&self) -> Option<Flaw> {
        let words = words(&self.error)?;
        let contents = [self.choices, self.output, self.data, self.content, self.candidates];
        (!contents.into_iter().flatten().any(is_filled)).then_some(Flaw::Error(words))
    }
}

/// Whether it is a list with something in it.
fn is_filled(content: &RawValue) -> bool {
    content.get().strip_prefix('[').is_some_and(|rest| !rest.trim_start().starts_with(']'))
}

/// Gemini wraps its errors in a list.
fn listed(text: &str) -> Option<Flaw> {
    let list: Vec<Shape<'_>> = serde_json::from_str(text).ok()?;
    list.first()?.flaw()
}

fn words(error: &Value) -> Option<String> {
    let text = match error {
        Value::String(text) => text.as_str(),
        Value::Object(fields) if !fields.is_empty() => match &error["message"] {
            Value::String(text) => text.as_str(),
            _ => return Some(shown(&error.to_string())),
        },
        _ => return None,
    };
    (!text.trim().is_empty()).then(|| shown(text))
}

/// The status that a service of better manners would have sent with an error, by the error's own words.
pub(crate) fn status_of(body: &[u8]) -> StatusCode {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = if body.is_array() { &body[0]["error"] } else { &body["error"] };
    let told = [&error["code"], &error["status"]].into_iter().find_map(|code| match code {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    if let Some(status) = told.filter(|code| (400..600).contains(code)).and_then(|code| u16::try_from(code).ok()) {
        return StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    }
    let says = |parts: &[&str]| {
        let named = ["type", "code", "status"].into_iter().filter_map(|field| error[field].as_str());
        let named = named.map(str::to_ascii_lowercase).collect::<Vec<_>>();
        parts.iter().any(|part| named.iter().any(|name| name.contains(part)))
    };
    if says(&["rate_limit", "ratelimit", "quota", "resource_exhausted", "too_many_requests"]) {
        StatusCode::TOO_MANY_REQUESTS
    } else if says(&["overloaded", "unavailable"]) {
        StatusCode::SERVICE_UNAVAILABLE
    } else if says(&["server_error", "api_error", "internal", "timeout"]) {
        StatusCode::INTERNAL_SERVER_ERROR
    } else if says(&["authentication", "invalid_api_key", "unauthenticated"]) {
        StatusCode::UNAUTHORIZED
    } else {
        match error["message"].as_str().and_then(Verdict::from_text) {
            Some(Verdict::RateLimited { .. }) => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower[from..].find("</title>")?;
    Some(shown(page[from..to].trim()))
}

fn shown(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing in it"),
            Self::Cut => f.write_str("JSON that ends in the middle"),
            Self::Page(title) => {
                f.write_str("a web page")?;
                if let Some(title) = title {
                    write!(f, " ({title:?})")?;
                }
                f.write_str(
                    " instead of JSON: a proxy or a login page may be in between; check --base-url and the network",
                )
            }
            Self::Binary => f.write_str("bytes that are no text: check --base-url"),
            Self::Malformed(why) => write!(f, "a body that is not JSON ({why}): check --base-url"),
            Self::Error(words) => write!(f, "an error: {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn flaw(kind: &'static str, body: &str) -> Option<Flaw> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Flaw::of(StatusCode::OK, &headers, body.as_bytes())
    }

    #[test]
    fn a_success_is_one() {
        let good = [
            ("application/json", r#"{"choices":[{"message":{}}],"error":null}"#),
            ("application/json", r#"{"output":[1],"error":{"message":"one tool failed"}}"#),
            ("application/json", "{}"),
            ("", "[1, 2]"),
            ("application/json", "3"),
            ("text/event-stream", "data: {\"half\":"),
            ("text/plain; charset=utf-8", "so be it"),
        ];
        for (kind, body) in good {
            assert_eq!(flaw(kind, body), None, "{body}");
        }
        assert_eq!(Flaw::of(StatusCode::NO_CONTENT, &HeaderMap::new(), b""), None);
    }

    #[test]
    fn what_is_none_says_what_it_is() {
        let json = "application/json";
        assert_eq!(flaw(json, " \n"), Some(Flaw::Empty));
        for cut in [r#"{"choices":[{"mess"#, "[1,", r#"{"a":"b"#] {
            assert_eq!(flaw(json, cut), Some(Flaw::Cut), "{cut}");
        }
        let page = "<!doctype html><html><head><title>\n Sign in </title>";
        assert_eq!(flaw(json, page), Some(Flaw::Page(Some("Sign in".into()))));
        assert!(matches!(flaw("text/html", "hello"), Some(Flaw::Page(None))));
        assert!(matches!(flaw(json, "{no}"), Some(Flaw::Malformed(_))));
        assert_eq!(Flaw::of(StatusCode::OK, &HeaderMap::new(), b"\xff\xfe"), Some(Flaw::Binary));
        let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert_eq!(flaw(json, error), Some(Flaw::Error("Overloaded".into())));
        assert_eq!(flaw(json, r#"{"error":"no such model"}"#), Some(Flaw::Error("no such model".into())));
        assert_eq!(flaw(json, r#"[{"error":{"code":503}}]"#), Some(Flaw::Error(r#"{"code":503}"#.into())));
        assert_eq!(flaw(json, r#"{"choices":[],"error":{"message":"x"}}"#), Some(Flaw::Error("x".into())));
    }

    #[test]
    fn an_error_has_the_status_of_its_kind() {
        let cases = [
            (r#"{"error":{"code":429}}"#, 429),
            (r#"{"error":{"code":"503"}}"#, 503),
            (r#"[{"error":{"code":502}}]"#, 502),
            (r#"{"error":{"type":"rate_limit_error"}}"#, 429),
            (r#"{"error":{"code":"insufficient_quota"}}"#, 429),
            (r#"{"error":{"type":"overloaded_error"}}"#, 503),
            (r#"{"error":{"type":"server_error"}}"#, 500),
            (r#"{"error":{"type":"authentication_error"}}"#, 401),
            (r#"{"error":{"message":"Rate limit reached"}}"#, 429),
            (r#"{"error":{"message":"what?"}}"#, 400),
            (r#"{"error":"what?"}"#, 400),
            (r#"{"error":{"code":200}}"#, 400),
        ];
        for (body, status) in cases {
            assert_eq!(status_of(body.as_bytes()).as_u16(), status, "{body}");
        }
    }
}
