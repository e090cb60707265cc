//! What a store has said, fit for a message: it can be anybody who answers there.

/// How much of it is told.
const MOST: usize = 300;

/// Without the name of the script that it was said of, and with what would do something to a terminal written out.
pub(crate) fn plain(said: &str) -> String {
    let said = without_script(said);
    let mut plain: String = said.chars().take(MOST).flat_map(shown).collect();
    if said.chars().nth(MOST).is_some() {
        plain.push('…');
    }
    plain
}

/// All of it, with what would do something to a terminal written out.
pub(crate) fn escaped(said: &str) -> String {
    said.chars().flat_map(shown).collect()
}

fn shown(c: char) -> impl Iterator<Item = char> {
    let quotes = matches!(c, '"' | '\'' | '\\');
    let (itself, escaped) = if quotes { (Some(c), None) } else { (None, Some(c.escape_debug())) };
    itself.into_iter().chain(escaped.into_iter().flatten())
}

/// What a script itself could not go on with begins so.
pub(crate) const IN_A_SCRIPT: &str = "in a script: ";

/// From 7.0: `… script: 4c5e…, on @user_script:5.`; before: `Error running script (call to f_4c5e…): @user_script:5: …`. Of what
/// the script itself cannot go on with, it is `user_script:5: …` in either.
fn without_script(said: &str) -> String {
    let by_place = said.rsplit_once(" script: ").filter(|(_, place)| place.contains("@user_script:"));
    let mut said = by_place.map_or(said, |(what, _)| what).to_owned();
    if let Some((before, (_, what))) = said
        .split_once("Error running script (call to f_")
        .and_then(|(before, rest)| Some((before, rest.split_once("): ")?)))
    {
        said = format!("{before}{}", without_place(what, "@user_script:").unwrap_or(what).trim_start_matches('-'));
    }
    let Some(at) = said.find("user_script:") else { return said };
    match without_place(&said[at..], "user_script:") {
        Some(what) => format!("{}{IN_A_SCRIPT}{what}", &said[..at]),
        None => said,
    }
}

/// What comes after a place in a script.
fn without_place<'a>(said: &'a str, script: &str) -> Option<&'a str> {
    let (line, what) = said.strip_prefix(script)?.split_once(": ")?;
    line.trim().parse::<u32>().is_ok().then_some(what)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn no_script_is_named() {
        let hash = "0afd6381b7bc7e087629b058a114888865e2f312";
        let told = "Operation against a key holding the wrong kind of value";
        assert_eq!(
            plain(&format!("\"WRONGTYPE\": {told} script: {hash}, on @user_script:5.")),
            format!("\"WRONGTYPE\": {told}")
        );
        for place in ["@user_script:5:", "@user_script: 5:"] {
            let before = format!("ResponseError: Error running script (call to f_{hash}): {place} -WRONGTYPE {told}");
            assert_eq!(plain(&before), format!("ResponseError: WRONGTYPE {told}"));
        }
        let wrong = "ResponseError: in a script: bad argument #1 to 'max'";
        assert_eq!(
            plain(&format!(
                "ResponseError: user_script:40: bad argument #1 to 'max' script: {hash}, on @user_script:40."
            )),
            wrong
        );
        let before = format!(
            "ResponseError: Error running script (call to f_{hash}): @user_script:40: user_script:40: bad argument #1 to 'max'"
        );
        assert_eq!(plain(&before), wrong);
        for other in ["a script: of mine", "user_script:", "Error running script (call to f_", "user_script:x: y"] {
            assert_eq!(plain(other), other);
        }
    }

    #[test]
    fn nothing_that_is_said_moves_a_terminal_or_fills_it() {
        assert_eq!(plain("it's \u{1b}[31m\"ä\"\r\n\u{202e}"), "it's \\u{1b}[31m\"ä\"\\r\\n\\u{202e}");
        assert_eq!(plain(&"a".repeat(10_000)).chars().count(), 301);
    }
}
