use super::*;

fn read_text(text: &str) -> Result<Request, BadLine> {
    read(Line { number: 7, bytes: text.as_bytes().to_vec(), too_long: false }, "in.jsonl")
}

fn error(text: &str) -> String {
    read_text(text).unwrap_err().message
}

#[test]
fn a_body_keeps_its_characters() {
    let body = r#"{ "n": 1.0e2,  "s": "\u00e9\/" }"#;
    let request =
        read_text(&format!(r#" {{"custom_id":"é","method":"POST","url":"/v1/x","extra":1,"body":{body}}}  "#)).unwrap();
    assert_eq!(request.body_text(), body);
    assert_eq!((request.line, &*request.custom_id, &*request.url), (7, "é", "/v1/x"));
}

#[test]
fn a_missing_method_is_post() {
    assert!(read_text(r#"{"custom_id":"a","url":"/v1/x","body":{}}"#).is_ok());
}

#[test]
fn errors_name_file_line_and_column() {
    let cases = [
        ("hello", "in.jsonl:7:1: this is not JSON: expected value"),
        (r#"{"custom_id": "é", nope}"#, "in.jsonl:7:20: this is not JSON: key must be a string"),
        (r#"{"custom_id":"a""#, "in.jsonl:7:16: this is not JSON: EOF while parsing an object"),
        ("[]", "in.jsonl:7:1: this is JSON, but no object"),
        ("7", "in.jsonl:7:1: this is JSON, but no object"),
        (r#"{"custom_id":"a","custom_id":"b"}"#, "in.jsonl:7:28: duplicate field `custom_id`"),
        (r#"{"url":"/v1/x","body":{}}"#, "in.jsonl:7:1: the line has no custom_id"),
        (r#"{"custom_id":null,"body":{}}"#, "in.jsonl:7:1: the line has no custom_id"),
        (r#"{"custom_id": 5,"body":{}}"#, "in.jsonl:7:15: the custom_id is not a string"),
        (r#"{"custom_id": "","body":{}}"#, "in.jsonl:7:15: the custom_id is empty"),
        (r#"{"custom_id":"é","method":"GET"}"#, "in.jsonl:7:27: the method is \"GET\""),
        (r#"{"custom_id":"a","body":{}}"#, "in.jsonl:7:1: the line has no url"),
        (r#"{"custom_id":"a","url":"https://x/v1"}"#, "in.jsonl:7:24: the url is \"https://x/v1\""),
        (r#"{"custom_id":"a","url":"/v1/x"}"#, "in.jsonl:7:1: the line has no body"),
        (r#"{"custom_id":"a","url":"/v1/x","body":null}"#, "in.jsonl:7:1: the line has no body"),
    ];
    for (text, expected) in cases {
        assert!(error(text).starts_with(expected), "{text}: {}", error(text));
    }
}

#[test]
fn broken_text_has_a_column_too() {
    let bad = read(Line { number: 2, bytes: b"{\"custom_id\":\"\xff\"}".to_vec(), too_long: false }, "in.jsonl");
    assert!(bad.unwrap_err().message.starts_with("in.jsonl:2:15: the line is not UTF-8"));
}

#[test]
fn a_line_with_an_id_keeps_it_in_its_error() {
    assert_eq!(read_text(r#"{"custom_id":"a"}"#).unwrap_err().custom_id.as_deref(), Some("a"));
}
