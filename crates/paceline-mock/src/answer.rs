//! A plausible answer: short, the same for the same call, with a `usage` that is exactly the charge.

mod stream;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};

use crate::call::{Call, Kind};

/// The content type and body of the `number`-th answer, to the call whose HTTP body is `body`.
pub(crate) fn write(kind: Kind, call: &Call, number: u64, body: &[u8]) -> (&'static str, String) {
    let answer = Answer { call, number, created: now(), text: text(call) };
    if call.stream && kind != Kind::Embeddings {
        return ("text/event-stream", stream::events(kind, &answer));
    }
    let body = match kind {
        Kind::Chat | Kind::Other => return ("application/json", answer.chat()),
        Kind::Completion => answer.completion(),
        Kind::Embeddings => answer.embeddings(body),
        Kind::Responses => answer.response("completed"),
        Kind::Messages => answer.message(),
    };
    ("application/json", body.to_string())
}

/// What `GET /v1/models` lists.
pub(crate) fn models() -> Value {
    let model = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "paceline-mock"});
    json!({"object": "list", "data": [model("mock-model"), model("mock-embedding")]})
}

struct Answer<'a> {
    call: &'a Call,
    number: u64,
    created: u64,
    text: String,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn text(call: &Call) -> String {
    format!("A simulated answer to {} characters.", call.characters)
}

impl Answer<'_> {
    fn id(&self, prefix: &str) -> String {
        format!("{prefix}-mock-{:08}", self.number)
    }

    fn usage(&self) -> Usage {
        let charge = self.call.charge;
        Usage {
            prompt_tokens: charge.input_tokens,
            completion_tokens: charge.output_tokens,
            total_tokens: charge.tokens(),
        }
    }

    /// Typed, where the others are JSON trees: it is what a load test asks for, and a tree would cost more than the
    /// accounting.
    fn chat(&self) -> String {
        let chat = Chat {
            id: self.id("chatcmpl"),
            object: "chat.completion",
            created: self.created,
            model: &self.call.model,
            choices: [Choice {
                index: 0,
                message: Message { role: "assistant", content: &self.text },
                logprobs: (),
                finish_reason: "stop",
            }],
            usage: self.usage(),
        };
        serde_json::to_string(&chat).expect("text and numbers are JSON")
    }

    fn completion(&self) -> Value {
        json!({
            "id": self.id("cmpl"), "object": "text_completion", "created": self.created, "model": self.call.model,
            "choices": [{"index": 0, "text": self.text, "logprobs": null, "finish_reason": "stop"}],
            "usage": self.usage(),
        })
    }

    /// One vector an input: a client that sent a list matches them by index.
    fn embeddings(&self, body: &[u8]) -> Value {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let inputs = match body["input"].as_array() {
            // A list of numbers is one input, given as tokens.
            Some(list) if list.first().is_some_and(|first| !first.is_number()) => list.len(),
            _ => 1,
        };
        let one = |index| json!({"object": "embedding", "index": index, "embedding": [0.5, -0.5, 0.5, -0.5]});
        let data: Vec<Value> = (0..inputs).map(one).collect();
        json!({"object": "list", "data": data, "model": self.call.model, "usage": self.usage()})
    }

    fn response(&self, status: &str) -> Value {
        let charge = self.call.charge;
        json!({
            "id": self.id("resp"), "object": "response", "created_at": self.created, "status": status,
            "model": self.call.model,
            "output": [{
                "id": self.id("msg"), "type": "message", "role": "assistant", "status": status,
                "content": [{"type": "output_text", "text": self.text, "annotations": []}],
            }],
            "usage": {
                "input_tokens": charge.input_tokens,
                "output_tokens": charge.output_tokens,
                "total_tokens": charge.tokens(),
            },
        })
    }

    fn message(&self) -> Value {
        let charge = self.call.charge;
        json!({
            "id": self.id("msg"), "type": "message", "role": "assistant", "model": self.call.model,
            "content": [{"type": "text", "text": self.text}],
            "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": charge.input_tokens, "output_tokens": charge.output_tokens},
        })
    }
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

#[derive(Serialize)]
struct Chat<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u64,
    message: Message<'a>,
    logprobs: (),
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}
