//! What calls used, and what is charged for it.

use paceline_core::headers::{Dialect, Unit, Usage};

fn read(text: &str) -> Usage {
    Usage::read(text.as_bytes()).unwrap_or_default()
}

#[test]
fn streamed_answers_tell_in_their_events() {
    let responses = read(include_str!("../../answers/usage/responses.json"));
    assert_eq!(responses, Usage { input: Some(36), cached: Some(12), output: Some(87), total: Some(123) });
    let start = read(include_str!("../../answers/usage/message-start.json"));
    let whole = start.followed_by(read(include_str!("../../answers/usage/message-delta.json")));
    assert_eq!(whole, Usage { input: Some(100), cached: Some(75), output: Some(15), total: None });
    assert_eq!(whole.tokens(), Some(115));
}

#[test]
fn an_answer_without_output_tells_its_input() {
    let embeddings = read(include_str!("../../answers/usage/embeddings.json"));
    assert_eq!(embeddings, Usage { input: Some(8), total: Some(8), ..Usage::default() });
}

#[test]
fn nothing_is_read_from_what_says_nothing() {
    for body in [
        "",
        "[]",
        "{}",
        "7",
        r#"{"usage":null}"#,
        r#"{"usage":{}}"#,
        r#"{"usage":{"prompt_tokens":-1}}"#,
        r#"{"usage":{"prompt_tokens":1.5}}"#,
        r#"{"usage":{"prompt_tokens":"5"}}"#,
        r#"{"usage":"much"}"#,
        r#"{"message":"hello"}"#,
        r#"{"usage":{"total_tokens":1}} trailing"#,
    ] {
        assert_eq!(Usage::read(body.as_bytes()), None, "{body}");
    }
}

#[test]
fn sums_of_the_largest_numbers_do_not_overflow() {
    let most = u64::MAX;
    let body =
        format!(r#"{{"usage":{{"input_tokens":{most},"cache_read_input_tokens":{most},"output_tokens":{most}}}}}"#);
    assert_eq!(read(&body).tokens(), Some(most));
}

#[test]
fn each_dialect_charges_as_its_table_says() {
    let usage = Usage { input: Some(1_000), cached: Some(900), output: Some(50), total: Some(1_050) };
    let units = |dialect: Dialect| Unit::ALL.map(|unit| dialect.charges().units(unit, &usage));
    // Requests, tokens, input tokens, output tokens.
    assert_eq!(units(Dialect::OpenAi), [None, None, Some(1_000), None], "what was reserved is not given back");
    assert_eq!(units(Dialect::Azure), units(Dialect::OpenAi));
    assert_eq!(units(Dialect::Anthropic), [None, Some(150), Some(100), Some(50)], "the cache is free");
    assert_eq!(units(Dialect::Gemini), [None, Some(1_000), Some(1_000), Some(0)], "only input counts");
    assert_eq!(units(Dialect::Plain), [None, Some(1_050), Some(1_000), Some(50)]);
    let silent = Usage::default();
    assert_eq!(Dialect::Plain.charges().units(Unit::Tokens, &silent), None, "the estimate stands");
}
