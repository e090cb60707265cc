//! What each service charges, as far as it says: the table by which a permit is settled.

use super::facts::Unit;
use super::{Dialect, Usage};

/// What a service counts against its limits.
///
/// | dialect | refused calls | tokens of a failed call | tokens from a cache | output |
/// |---|---|---|---|---|
/// | `openai` | yes | unstated | yes | reserved |
/// | `azure` | unstated | unstated | yes | reserved |
/// | `anthropic` | unstated | unstated | no | as used |
/// | `gemini` | unstated | unstated | unstated | not at all |
/// | `github` | unstated | n/a | n/a | n/a |
/// | `ietf`, `plain` | unstated | unstated | unstated | as used |
///
/// Sources, as of 2026: each entry of [`Dialect::charges`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charges {
    /// Whether a call that was refused for its rate counts as a request.
    pub refused: Charged,
    /// Whether the tokens of a call that failed (a 4xx other than 429, or a 5xx) count.
    pub failed: Charged,
    /// Whether input tokens that were read from a cache count.
    pub cached: Charged,
    /// How output tokens count.
    pub output: Output,
}

/// Whether something counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// The service does not say. Taken for a yes, which is the safe side.
    Unstated,
}

impl Charged {
    /// Whether to count it here.
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(self, Self::No)
    }
}

/// How output tokens count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Those that were made.
    AsUsed,
    /// Those that were asked for, estimated when the call comes in; what it did not use does not come back.
    Reserved,
    /// Not at all: token limits count input alone.
    Free,
}

impl Dialect {
    /// What services of this dialect charge.
    #[must_use]
    pub const fn charges(self) -> Charges {
        use Charged::{No, Unstated, Yes};
        match self {
            // Rate limits guide: "unsuccessful requests contribute to your per-minute limit"; tokens per minute are "the
            // maximum of max_tokens and the estimated number of tokens based on the character count". Prompt caching
            // guide: caching does not affect rate limits.
            Self::OpenAi => Charges { refused: Yes, failed: Unstated, cached: Yes, output: Output::Reserved },
            // "Manage Azure OpenAI quota": an estimate of prompt, max_tokens and best_of is added to a running count when
            // the call comes in; it is not the count that is billed.
            Self::Azure => Charges { refused: Unstated, failed: Unstated, cached: Yes, output: Output::Reserved },
            // Rate limits page: cache reads do not count towards input tokens per minute for most models; output tokens
            // count as they are produced, and max_tokens does not.
            Self::Anthropic => Charges { refused: Unstated, failed: Unstated, cached: No, output: Output::AsUsed },
            // Rate limits page: tokens per minute are input tokens.
            Self::Gemini => Charges { refused: Unstated, failed: Unstated, cached: Unstated, output: Output::Free },
            // "Continuing to make requests while you are rate limited may result in the banning of your integration".
            // The drafts leave to each service what it counts.
            Self::GitHub | Self::Ietf | Self::Plain => {
                Charges { refused: Unstated, failed: Unstated, cached: Unstated, output: Output::AsUsed }
            }
        }
    }
}

impl Charges {
    /// What a limit on `unit` was charged for a call that succeeded with `usage`: what to settle its permit with. `None`
    /// if the estimate is to stand, because the usage does not say or because a refund would be wrong: the service
    /// charged an estimate too, and keeps it.
    ///
    /// ```
    /// use paceline_core::headers::{Dialect, Unit, Usage};
    ///
    /// let usage = Usage { input: Some(1_050), cached: Some(1_000), output: Some(7), total: None };
    /// assert_eq!(Dialect::Anthropic.charges().units(Unit::InputTokens, &usage), Some(50));
    /// assert_eq!(Dialect::OpenAi.charges().units(Unit::Tokens, &usage), None);
    /// ```
    #[must_use]
    pub fn units(&self, unit: Unit, usage: &Usage) -> Option<u64> {
        let cached = if self.cached.counts() { 0 } else { usage.cached.unwrap_or(0) };
        let input = usage.input.map(|input| input.saturating_sub(cached));
        match (unit, self.output) {
            (Unit::Requests, _) | (Unit::Tokens | Unit::OutputTokens, Output::Reserved) => None,
            (Unit::InputTokens, _) | (Unit::Tokens, Output::Free) => input,
            (Unit::OutputTokens, Output::Free) => Some(0),
            (Unit::OutputTokens, Output::AsUsed) => usage.output,
            (Unit::Tokens, Output::AsUsed) => usage.tokens().map(|tokens| tokens.saturating_sub(cached)),
        }
    }
}
