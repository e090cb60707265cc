//! JSON text on one line.

/// `text` without the white space between its tokens; none if it is no JSON. Numbers and strings keep their characters.
pub(super) fn compact(text: &str) -> Option<String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    let (mut short, mut quoted, mut escaped) = (String::with_capacity(text.len()), false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        short.push(c);
    }
    Some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_white_space_between_tokens_goes() {
        let text = "{\n  \"a b\": [1.0e2,\r\n 2],\n  \"c\\\\\": \"say \\\" \\\\ no\"\n}\n";
        assert_eq!(compact(text).unwrap(), r#"{"a b":[1.0e2,2],"c\\":"say \" \\ no"}"#);
        assert_eq!(compact("<html>\n</html>"), None);
    }
}
