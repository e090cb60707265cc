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

/// From 7.0: `… script: 4c5e…, on @user_script:5.`; before: `Error running script (call to f_4c5e…): @user_script:5: …`.
fn without_script(said: &str) -> String {
    let said = said
        .rsplit_once(" script: ")
        .filter(|(_, place)| place.contains("@user_script:"))
        .map_or(said, |(what, _)| what);
    let Some((before, rest)) = said.split_once("Error running script (call to f_") else { return said.to_owned() };
    let is_place = |part: &&str| part.contains("user_script") || part.chars().all(|c| c.is_ascii_digit());
    let what = rest.split_once("): ").map_or(rest, |(_, what)| what);
    let place: usize = what.split(':').take_while(|part| is_place(&part.trim())).map(|part| part.len() + 1).sum();
    format!("{before}{}", what.get(place..).unwrap_or(what).trim_start().trim_start_matches('-'))
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
        assert_eq!(plain("a script: of mine"), "a script: of mine");
    }

    #[test]
    fn nothing_that_is_said_moves_a_terminal_or_fills_it() {
        assert_eq!(plain("it's \u{1b}[31m\"ä\"\r\n\u{202e}"), "it's \\u{1b}[31m\"ä\"\\r\\n\\u{202e}");
        assert_eq!(plain(&"a".repeat(10_000)).chars().count(), 301);
    }
}
