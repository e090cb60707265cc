//! The last resort: a rate limit told by nothing but words.

use crate::verdict::Verdict;

/// Phrases in lower case, with one space for any of space, `_` and `-`.
const SPENT: [&str; 2] = ["insufficient quota", "billing hard limit"];
const LIMITED: [&str; 8] = [
    "rate limit",
    "ratelimit",
    "too many requests",
    "toomanyrequests",
    "quota exceeded",
    "exceeded your current quota",
    "resource exhausted",
    "throttl",
];

impl Verdict {
    /// Whether an error's text speaks of a rate limit, for errors that carry no type of their own.
    ///
    /// Ask what has a type first (an answer's [facts](crate::headers::Facts), an error of your own) and this last: words
    /// can be about something else. It knows `429` as a number by itself, "rate limit", "too many requests", "quota
    /// exceeded", "resource exhausted" and "throttl…", in any case and with spaces, `_` or `-`, and tells an account
    /// that is spent ("insufficient_quota") from a rate. `None` says that it knows nothing of the error.
    ///
    /// ```
    /// use paceline_core::Verdict;
    ///
    /// assert_eq!(Verdict::from_text("HTTP 429"), Some(Verdict::RateLimited { retry_after: None }));
    /// assert_eq!(Verdict::from_text("code: insufficient_quota"), Some(Verdict::Permanent));
    /// assert_eq!(Verdict::from_text("no such host"), None);
    /// ```
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase().replace(['_', '-'], " ");
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
        if has(&SPENT) {
            Some(Self::Permanent)
        } else if has(&LIMITED) || text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "429") {
            Some(Self::RateLimited { retry_after: None })
        } else {
            None
        }
    }
}
