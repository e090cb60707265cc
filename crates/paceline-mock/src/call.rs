//! Reading a call: which kind it is, and what its body asks for.

use std::borrow::Cow;

use serde::Deserialize;

use crate::Charge;

/// What a path asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Chat,
    Completion,
    Embeddings,
    Responses,
    /// Anthropic's.
    Messages,
    /// Any other `POST /v1/*`: answered like a chat.
    Other,
}

impl Kind {
    /// From the path.
    pub(crate) fn of(path: &str) -> Self {
        match path {
            "/v1/chat/completions" => Kind::Chat,
            "/v1/completions" => Kind::Completion,
            "/v1/embeddings" => Kind::Embeddings,
            "/v1/responses" => Kind::Responses,
            "/v1/messages" => Kind::Messages,
            _ => Kind::Other,
        }
    }
}

/// What a body asks for.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) characters: u64,
    pub(crate) charge: Charge,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<Cow<'a, str>>,
    stream: Option<bool>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
}

impl Call {
    /// Reads a body; the error says what is wrong with it.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|why| format!("the body is not UTF-8: {why}"))?;
        if !text.trim_start().starts_with('{') {
            return Err("the body is not a JSON object".to_owned());
        }
        let fields: Fields<'_> =
            serde_json::from_str(text).map_err(|why| format!("could not parse the JSON body: {why}"))?;
        let characters = text.chars().count() as u64;
        let max_tokens = [fields.max_tokens, fields.max_completion_tokens, fields.max_output_tokens];
        let max_tokens = max_tokens.into_iter().flatten().max().unwrap_or(0);
        Ok(Call {
            model: fields.model.map_or_else(|| "mock-model".to_owned(), Cow::into_owned),
            stream: fields.stream.unwrap_or(false),
            characters,
            charge: Charge::of(characters, max_tokens),
        })
    }
}
