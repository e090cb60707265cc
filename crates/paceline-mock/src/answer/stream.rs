//! The same answers as server-sent events: a few, the last with the usage.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Answer;
use crate::call::Kind;

pub(super) fn events(kind: Kind, answer: &Answer<'_>) -> String {
    match kind {
        Kind::Responses => named(&responses(answer)),
        Kind::Messages => named(&messages(answer)),
        Kind::Completion => chunks(&completions(answer)),
        Kind::Chat | Kind::Embeddings | Kind::Other => chunks(&chats(answer)),
    }
}

/// OpenAI's older form: data alone, and an end mark.
fn chunks(all: &[Value]) -> String {
    let mut text = String::new();
    for chunk in all {
        // Writing to a String cannot fail.
        let _ = write!(text, "data: {chunk}\n\n");
    }
    text + "data: [DONE]\n\n"
}

/// Events named by their type.
fn named(all: &[Value]) -> String {
    let mut text = String::new();
    for event in all {
        let _ = write!(text, "event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    }
    text
}

fn chats(answer: &Answer<'_>) -> [Value; 3] {
    let chunk = |choices: Value| {
        json!({
            "id": answer.id("chatcmpl"), "object": "chat.completion.chunk", "created": answer.created,
            "model": answer.call.model, "choices": choices,
        })
    };
    let text = json!([{"index": 0, "delta": {"role": "assistant", "content": answer.text}, "finish_reason": null}]);
    let stop = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
    let mut last = chunk(json!([]));
    last["usage"] = json!(answer.usage());
    [chunk(text), chunk(stop), last]
}

fn completions(answer: &Answer<'_>) -> [Value; 2] {
    let mut first = answer.completion();
    first["usage"] = Value::Null;
    let mut last = answer.completion();
    last["choices"] = json!([]);
    [first, last]
}

fn responses(answer: &Answer<'_>) -> [Value; 3] {
    let mut created = answer.response("in_progress");
    created["output"] = json!([]);
    created["usage"] = Value::Null;
    [
        json!({"type": "response.created", "sequence_number": 0, "response": created}),
        json!({
            "type": "response.output_text.delta", "sequence_number": 1, "item_id": answer.id("msg"),
            "output_index": 0, "content_index": 0, "delta": answer.text,
        }),
        json!({"type": "response.completed", "sequence_number": 2, "response": answer.response("completed")}),
    ]
}

fn messages(answer: &Answer<'_>) -> [Value; 6] {
    let charge = answer.call.charge;
    let mut start = answer.message();
    start["content"] = json!([]);
    start["stop_reason"] = Value::Null;
    [
        json!({"type": "message_start", "message": start}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": answer.text}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": null},
            "usage": {"input_tokens": charge.input_tokens, "output_tokens": charge.output_tokens},
        }),
        json!({"type": "message_stop"}),
    ]
}
