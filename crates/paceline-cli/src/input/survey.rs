//! The input as earlier runs left it: looked through before anything is sent, so that a changed file costs nothing.

use anyhow::{Context as _, Result, bail};

use super::ids::{Change, Met};
use super::{Ids, Source, request};
use crate::job;
use crate::journal::Digest;

/// What there is to go on with.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Lines with something on them.
    pub(crate) lines: u64,
    /// The first of the requests that were started and have no known end.
    pub(crate) unknown: Vec<String>,
    pub(crate) unknown_count: u64,
    /// Lines that have a result, and those of them whose result is a failure.
    done: Lines,
    failed: Lines,
}

/// A set of lines, in a bit each.
#[derive(Debug, Default)]
struct Lines(Vec<u64>);

impl Lines {
    fn insert(&mut self, line: u64) {
        let (word, bit) = Self::place(line);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    fn contains(&self, line: u64) -> bool {
        let (word, bit) = Self::place(line);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }

    fn place(line: u64) -> (usize, u64) {
        (usize::try_from(line / 64).unwrap_or(usize::MAX - 1), 1 << (line % 64))
    }
}

/// How many are named where many are meant.
const NAMED: usize = 5;

impl Survey {
    /// Looks through the input. Only a file can be looked through twice; of a stream, each line is looked at as it comes.
    ///
    /// # Errors
    /// It cannot be read, or requests that were started ask for something else now.
    pub(crate) fn take(input: &job::Input, ids: &mut Ids) -> Result<Option<Self>> {
        let job::Input::File(path) = input else { return Ok(None) };
        if ids.is_empty() || !path.is_file() {
            return Ok(None);
        }
        let name = input.name();
        let (mut survey, mut changed, mut changes) = (Self::default(), Vec::new(), 0_u64);
        let look = |line: Result<request::Request, request::BadLine>| {
            survey.lines += 1;
            match line {
                Ok(request) => match ids.survey(request.id, Some(request.content)) {
                    Some(Met::Done { failed }) => survey.note_done(request.line, failed),
                    Some(Met::Again) if ids.knows_line(request.line) => survey.note_done(request.line, true),
                    Some(Met::Unknown) => survey.note_unknown(request.custom_id),
                    Some(Met::Changed(change)) => {
                        changes += 1;
                        if changed.len() < NAMED {
                            changed.push(request.changed(&name, change));
                        }
                    }
                    _ => {}
                },
                Err(bad) => {
                    let id = bad.id().unwrap_or_else(|| Digest::of_line(bad.line));
                    match ids.survey(id, None) {
                        Some(Met::Done { failed }) => survey.note_done(bad.line, failed),
                        Some(Met::Again) if ids.knows_line(bad.line) => survey.note_done(bad.line, true),
                        _ => {}
                    }
                }
            }
        };
        Source::open(input)?.parse_all(look).with_context(|| format!("cannot read the requests in {name}"))?;
        if changes > 0 {
            let more = changes - changed.len() as u64;
            let more = if more > 0 { format!("\nand {more} more") } else { String::new() };
            bail!(
                "the input is not what was begun:\n{}{more}\nput it back as it was, or name another output by -o to begin anew",
                changed.join("\n")
            );
        }
        Ok(Some(survey))
    }

    /// Lines without a result.
    pub(crate) fn left(&self) -> u64 {
        self.lines.saturating_sub(self.done.count())
    }

    /// Whether that line has a result, and if so whether it failed.
    pub(super) fn result(&self, line: u64) -> Option<bool> {
        self.done.contains(line).then(|| self.failed.contains(line))
    }

    fn note_done(&mut self, line: u64, failed: bool) {
        self.done.insert(line);
        if failed {
            self.failed.insert(line);
        }
    }

    fn note_unknown(&mut self, custom_id: String) {
        self.unknown_count += 1;
        if self.unknown.len() < NAMED {
            self.unknown.push(custom_id);
        }
    }
}

impl Change {
    fn words(self) -> &'static str {
        match self {
            Self::Url => "its url was another one",
            Self::Body => "its body was another one",
            Self::Both => "its url and its body were others",
        }
    }
}

impl request::Request {
    /// What to say where it is not what was started.
    pub(super) fn changed(&self, file: &str, change: Change) -> String {
        let Self { line, custom_id, .. } = self;
        format!("{file}:{line}:1: the request {custom_id:?} was sent before, when {}", change.words())
    }
}
