//! What an answer says it cost.

use serde::Deserialize;

use crate::limits::Counted;

/// Tokens by the answer's `usage`, in either of its forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) total: Option<u64>,
}

#[derive(Deserialize)]
struct Answer {
    usage: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl Usage {
    /// Nothing where the body says nothing.
    pub(crate) fn of(body: &str) -> Self {
        let Ok(Answer { usage: Some(fields) }) = serde_json::from_str(body) else { return Self::default() };
        let input = fields.prompt_tokens.or(fields.input_tokens);
        let output = fields.completion_tokens.or(fields.output_tokens);
        let sum = || match (input, output) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        };
        Self { input, output, total: fields.total_tokens.or_else(sum) }
    }

    pub(crate) fn units(self, counted: Counted) -> Option<u64> {
        match counted {
            Counted::Requests => None,
            Counted::Tokens => self.total,
            Counted::InputTokens => self.input,
            Counted::OutputTokens => self.output,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms() {
        let chat =
            Usage::of(r#"{"id":"x","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"x":{}}}"#);
        assert_eq!(chat, Usage { input: Some(5), output: Some(7), total: Some(12) });
        let messages = Usage::of(r#"{"usage":{"input_tokens":5,"output_tokens":7}}"#);
        assert_eq!(messages, Usage { input: Some(5), output: Some(7), total: Some(12) });
    }

    #[test]
    fn nothing_is_read_from_what_says_nothing() {
        for body in ["", "[]", "{}", r#"{"usage":null}"#, r#"{"usage":{}}"#, r#"{"usage":{"prompt_tokens":-1}}"#] {
            assert_eq!(Usage::of(body), Usage::default());
        }
    }
}
