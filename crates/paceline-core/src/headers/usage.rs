//! What a call used, by its answer's own count.

use serde::Deserialize;
use serde_json::Value;

/// Tokens that a call used, in one meaning for all providers. What the answer does not say is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens in, those read from or written to a cache among them.
    pub input: Option<u64>,
    /// The tokens in that were read from a cache.
    pub cached: Option<u64>,
    /// Tokens out, reasoning among them.
    pub output: Option<u64>,
    /// All tokens, if the answer counts them together.
    pub total: Option<u64>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    usage: Value,
    #[serde(default, rename = "usageMetadata")]
    metadata: Value,
    /// Of a `message_start` event.
    #[serde(default)]
    message: Value,
    /// Of a `response.completed` event.
    #[serde(default)]
    response: Value,
}

impl Usage {
    /// Reads the JSON of an answer, or of one event of a streamed one, in any of the forms of OpenAI (chat, completions,
    /// embeddings, responses), Anthropic and Gemini. `None` if it says nothing of usage.
    ///
    /// OpenAI's and Gemini's input counts include what came from a cache, Anthropic's does not; here it always does.
    ///
    /// ```
    /// use paceline_core::headers::Usage;
    ///
    /// let body = br#"{"usage": {"input_tokens": 50, "cache_read_input_tokens": 1000, "output_tokens": 7}}"#;
    /// let usage = Usage::read(body).unwrap();
    /// assert_eq!((usage.input, usage.cached, usage.tokens()), (Some(1050), Some(1000), Some(1057)));
    /// ```
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let body: Body = serde_json::from_slice(body).ok()?;
        let all = [&body.usage, &body.message["usage"], &body.response["usage"], &body.metadata];
        let from = *all.iter().find(|value| value.is_object())?;
        let usage = if from.get("promptTokenCount").is_some() || from.get("totalTokenCount").is_some() {
            gemini(from)
        } else if from.get("cache_read_input_tokens").is_some() || from.get("cache_creation_input_tokens").is_some() {
            anthropic(from)
        } else {
            openai(from)
        };
        (usage != Self::default()).then_some(usage)
    }

    /// This, where `later` says nothing new: how the events of one stream add up, whose counts are cumulative.
    #[must_use]
    pub fn followed_by(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            cached: later.cached.or(self.cached),
            output: later.output.or(self.output),
            total: later.total.or(self.total),
        }
    }

    /// All tokens: as counted together, else in and out.
    #[must_use]
    pub fn tokens(&self) -> Option<u64> {
        self.total.or_else(|| sum([self.input, self.output]))
    }
}

/// `prompt_tokens` or, in the Responses API, `input_tokens`. Anthropic without a cache has the latter too.
fn openai(from: &Value) -> Usage {
    let either = |a: &str, b: &str| count(&from[a]).or_else(|| count(&from[b]));
    let details = |of: &str| count(&from[of]["cached_tokens"]);
    Usage {
        input: either("prompt_tokens", "input_tokens"),
        cached: details("prompt_tokens_details").or_else(|| details("input_tokens_details")),
        output: either("completion_tokens", "output_tokens"),
        total: count(&from["total_tokens"]),
    }
}

fn anthropic(from: &Value) -> Usage {
    let cached = count(&from["cache_read_input_tokens"]);
    Usage {
        input: sum([count(&from["input_tokens"]), cached, count(&from["cache_creation_input_tokens"])]),
        cached,
        output: count(&from["output_tokens"]),
        total: None,
    }
}

fn gemini(from: &Value) -> Usage {
    Usage {
        input: sum([count(&from["promptTokenCount"]), count(&from["toolUsePromptTokenCount"])]),
        cached: count(&from["cachedContentTokenCount"]),
        output: sum([count(&from["candidatesTokenCount"]), count(&from["thoughtsTokenCount"])]),
        total: count(&from["totalTokenCount"]),
    }
}

/// Anything but a whole number from zero says nothing.
fn count(value: &Value) -> Option<u64> {
    value.as_u64()
}

fn sum<const N: usize>(parts: [Option<u64>; N]) -> Option<u64> {
    parts.into_iter().flatten().reduce(u64::saturating_add)
}
