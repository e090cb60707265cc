//! Whose headers and errors the provider imitates.

mod fault;
mod headers;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub(crate) use fault::Fault;

/// A provider's way to talk about its limits.
///
/// | dialect | headers | a refusal |
/// |---|---|---|
/// | `openai` | `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, resets like `6m0s` and `12ms`; `retry-after`, `retry-after-ms` | code `rate_limit_exceeded` |
/// | `azure` | the same names, resets in whole seconds | code `429` |
/// | `anthropic` | `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`, resets in RFC 3339, tokens to the nearest thousand; `retry-after` | type `rate_limit_error` |
/// | `gemini` | none | `QuotaFailure` and `RetryInfo` in the body, in an array on the OpenAI-compatible routes |
/// | `github` | `x-ratelimit-{limit,remaining,used,reset,resource}`, reset in epoch seconds; `retry-after` for concurrency alone | a message |
/// | `ietf` | `ratelimit-policy`, `ratelimit` as structured fields; `retry-after` | `application/problem+json` |
/// | `plain` | `retry-after` | text |
///
/// Where several limits share a header, it shows the one with the least share left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI, and most that are compatible with it.
    #[default]
    OpenAi,
    /// Azure OpenAI.
    Azure,
    /// Anthropic.
    Anthropic,
    /// Google Gemini.
    Gemini,
    /// GitHub's REST API.
    GitHub,
    /// The IETF draft on RateLimit header fields, draft 11.
    Ietf,
    /// Nothing but Retry-After.
    Plain,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 7] = [
        Dialect::OpenAi,
        Dialect::Azure,
        Dialect::Anthropic,
        Dialect::Gemini,
        Dialect::GitHub,
        Dialect::Ietf,
        Dialect::Plain,
    ];

    /// The dialect's name, such as `openai`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Azure => "azure",
            Dialect::Anthropic => "anthropic",
            Dialect::Gemini => "gemini",
            Dialect::GitHub => "github",
            Dialect::Ietf => "ietf",
            Dialect::Plain => "plain",
        }
    }

    /// The header that carries a key besides `authorization`.
    pub(crate) const fn key_header(self) -> Option<&'static str> {
        match self {
            Dialect::Azure => Some("api-key"),
            Dialect::Anthropic => Some("x-api-key"),
            Dialect::Gemini => Some("x-goog-api-key"),
            Dialect::OpenAi | Dialect::GitHub | Dialect::Ietf | Dialect::Plain => None,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.as_str() == text).ok_or_else(|| UnknownDialect(text.to_owned()))
    }
}

/// A dialect that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown dialect {0:?}: use openai, azure, anthropic, gemini, github, ietf or plain")]
pub struct UnknownDialect(String);
