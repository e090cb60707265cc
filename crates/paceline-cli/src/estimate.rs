//! What a request will cost in tokens, before its answer says what it did cost.

use serde::Deserialize;

use crate::config::EstimateConfig;
use crate::limits::Counted;

/// How tokens are estimated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    characters_per_token: f64,
    count_max_tokens: bool,
}

/// Tokens of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

impl Cost {
    pub(crate) fn units(self, counted: Counted) -> u64 {
        match counted {
            Counted::Requests => 1,
            Counted::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Counted::InputTokens => self.input_tokens,
            Counted::OutputTokens => self.output_tokens,
        }
    }
}

/// What a body allows the answer to be long. Providers have three names for it.
#[derive(Default, Deserialize)]
struct Asked {
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
}

impl Estimate {
    pub(crate) fn new(config: EstimateConfig) -> Self {
        let EstimateConfig { characters_per_token, count_max_tokens } = config;
        Self { characters_per_token, count_max_tokens }
    }

    /// The cost of a body as it is sent.
    pub(crate) fn of(&self, body: &str) -> Cost {
        let characters = body.chars().count();
        // Exact below 2^53 characters, which no body has.
        let input_tokens = (characters as f64 / self.characters_per_token).ceil() as u64;
        let output_tokens = if self.count_max_tokens { asked(body) } else { 0 };
        Cost { input_tokens, output_tokens }
    }
}

/// A body in which this is no whole number is the service's to refuse.
fn asked(body: &str) -> u64 {
    let asked: Asked = serde_json::from_str(body).unwrap_or_default();
    [asked.max_tokens, asked.max_completion_tokens, asked.max_output_tokens].into_iter().flatten().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_not_bytes() {
        let cost = Estimate::new(EstimateConfig::default()).of(r#"{"input":"日本語のテキスト"}"#);
        assert_eq!(cost, Cost { input_tokens: 5, output_tokens: 0 });
    }

    #[test]
    fn the_largest_maximum_counts() {
        let estimate = Estimate::new(EstimateConfig::default());
        let cost = estimate.of(r#"{"max_tokens":7,"max_completion_tokens": 16}"#);
        assert_eq!((cost.output_tokens, cost.units(Counted::Tokens)), (16, 11 + 16));
        let without = Estimate::new(EstimateConfig { count_max_tokens: false, ..EstimateConfig::default() });
        assert_eq!(without.of(r#"{"max_tokens":7}"#).output_tokens, 0);
    }

    #[test]
    fn what_is_no_number_counts_for_nothing() {
        let estimate = Estimate::new(EstimateConfig::default());
        for body in [r#"{"max_tokens":"many"}"#, r#"{"max_tokens":-1}"#, "[1]", "3"] {
            assert_eq!(estimate.of(body).output_tokens, 0);
        }
    }
}
