//! What a call costs, and the kinds of limit that count it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// Calls.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// ⌈characters of the body / 4⌉.
    InputTokens,
    /// The call's `max_tokens`.
    OutputTokens,
}

impl LimitKey {
    /// Every key.
    pub const ALL: [LimitKey; 4] =
        [LimitKey::Requests, LimitKey::Tokens, LimitKey::InputTokens, LimitKey::OutputTokens];

    /// The key's name, such as `input_tokens`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            LimitKey::Requests => "requests",
            LimitKey::Tokens => "tokens",
            LimitKey::InputTokens => "input_tokens",
            LimitKey::OutputTokens => "output_tokens",
        }
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LimitKey {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        LimitKey::ALL.into_iter().find(|key| key.as_str() == text).ok_or_else(|| UnknownKey(text.to_owned()))
    }
}

/// A limit key that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown limit key {0:?}: use requests, tokens, input_tokens or output_tokens")]
pub struct UnknownKey(String);

/// What one call is charged, besides the one request that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// ⌈characters of the body / 4⌉.
    pub input_tokens: u64,
    /// The call's `max_tokens`.
    pub output_tokens: u64,
}

impl Charge {
    /// The charge of a call whose body has `characters` Unicode scalar values and asks for at most `max_tokens`.
    #[must_use]
    pub const fn of(characters: u64, max_tokens: u64) -> Self {
        Charge { input_tokens: characters.div_ceil(4), output_tokens: max_tokens }
    }

    /// Input and output together, saturating.
    #[must_use]
    pub const fn tokens(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// The units that a limit of this key is charged.
    #[must_use]
    pub const fn units(self, key: LimitKey) -> u64 {
        match key {
            LimitKey::Requests => 1,
            LimitKey::Tokens => self.tokens(),
            LimitKey::InputTokens => self.input_tokens,
            LimitKey::OutputTokens => self.output_tokens,
        }
    }
}
