//! What goes to people: on stderr, around the bar if there is one, and never in the way of anything.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::sync::OnceLock;

use console::style;
use indicatif::ProgressBar;

use crate::args::{Color, Progress};

/// What is redrawn at the foot of stderr, if anything is. There is one stderr, and the log goes there, too.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// All that is written to stderr goes above this bar from now on.
pub(crate) fn put_above(bar: ProgressBar) {
    let _ = BAR.set(bar);
}

/// Where notices go.
#[derive(Debug)]
pub(crate) struct Screen {
    quiet: bool,
    json: bool,
}

impl Screen {
    pub(crate) fn new(progress: Progress, quiet: bool) -> Self {
        Self { quiet, json: progress == Progress::Json }
    }

    /// Says something worth knowing.
    pub(crate) fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.json {
            self.show(&serde_json::json!({"event": "notice", "message": text}).to_string());
        } else {
            self.show(&plain(text));
        }
    }

    /// Writes a line, asked for whatever the mood.
    pub(crate) fn show(&self, text: &str) {
        above(|| line(text));
    }

    /// Whether notices are objects for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }
}

fn above<T>(write: impl FnOnce() -> T) -> T {
    match BAR.get() {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Stderr for the log, whose lines go above the bar, too.
#[derive(Debug)]
pub(crate) struct Above;

impl io::Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A reader that went away is no reason to fail.
fn line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says what went wrong, with what caused it.
pub(crate) fn error(error: &anyhow::Error) {
    line(&format!("{} {}", style("error:").for_stderr().red().bold(), plain(&format!("{error:#}"))));
}

/// Text that may be somebody else's, with whatever would steer a terminal written out; lines and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !"\n\t".contains(c) { c.escape_default().to_string() } else { c.into() };
    text.chars().map(shown).collect()
}

/// Writes what was asked for to stdout; a reader that has seen enough is no error.
pub(crate) fn print(text: impl Display) -> io::Result<()> {
    follow(text).map(|_| ())
}

/// The same for what has no end of its own: breaks once its reader has seen enough.
pub(crate) fn follow(text: impl Display) -> io::Result<ControlFlow<()>> {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        written => written.map(ControlFlow::Continue),
    }
}

pub(crate) fn set_color(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always | Color::Never => {
            console::set_colors_enabled(color == Color::Always);
            console::set_colors_enabled_stderr(color == Color::Always);
        }
    }
}

/// `1 request`, `1,319 requests`.
pub(crate) fn count(number: u64, of: &str) -> String {
    format!("{} {of}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_steers_a_terminal() {
        assert_eq!(plain("a\x1b]0;title\x07b\rc\u{9b}2J\u{7f}"), r"a\u{1b}]0;title\u{7}b\rc\u{9b}2J\u{7f}");
        assert_eq!(plain("first\n\tsecond: 10 µs"), "first\n\tsecond: 10 µs");
    }

    #[test]
    fn numbers_read_easily() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        assert!(cases.iter().all(|(number, text)| grouped(*number) == *text));
        assert_eq!((count(1, "request"), count(2, "request")), ("1 request".into(), "2 requests".into()));
    }
}
