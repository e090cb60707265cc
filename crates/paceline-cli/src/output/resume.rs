//! Reading the results that are there already.

use std::io::{self, BufRead};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::line::{Origin, ResultId};
use crate::input::Results;
use crate::journal::Digest;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) results: u64,
    /// Where the last whole result ends.
    pub(super) end: u64,
    /// Whether that result lacks its newline.
    pub(super) unended: bool,
    /// Bytes of a result that was not written to its end.
    pub(super) torn: u64,
}

/// What of a result matters here.
#[derive(Deserialize)]
pub(super) struct Fields {
    id: String,
    custom_id: Option<String>,
    error: Option<IgnoredAny>,
}

impl Fields {
    /// Whether it is that of a line, which had no custom_id or not one of its own.
    pub(super) fn is_of_line(&self) -> bool {
        self.custom_id.is_none()
    }

    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Whose result it is. Without a custom_id it is that of a line, or of nobody that could be met.
    pub(super) fn digest(&self) -> Digest {
        match &self.custom_id {
            Some(id) => Digest::of_id(id),
            None => Digest::of_line(self.id.parse().map_or(0, |id: ResultId| id.line)),
        }
    }
}

/// Reads results, noting whose they are. What is no result at all is an error: the file would be somebody else's.
pub(super) fn read(mut from: impl BufRead, name: &str, origin: Origin, results: &mut Results) -> Result<Found> {
    let mut found = Found::default();
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = from.read_until(b'\n', &mut line).with_context(|| format!("cannot read the results in {name}"))?;
        if read == 0 {
            break;
        }
        let ended = line.ends_with(b"\n");
        if line.iter().all(u8::is_ascii_whitespace) {
            found.end += read as u64;
            continue;
        }
        match serde_json::from_slice::<Fields>(&line) {
            Ok(fields) => {
                check(&fields, name, origin)?;
                results.note(fields.digest(), fields.failed());
                found.results += 1;
                found.end += read as u64;
                found.unended = !ended;
            }
            Err(_) if !ended && is_torn(&line) => found.torn = read as u64,
            Err(_) => bail!(
                "{name}:{number}: this line is no result, so {name} is left alone; name another file (that of a run by -o)"
            ),
        }
    }
    Ok(found)
}

/// A rehearsal's results and a service's do not go into one file: the one would be taken for the other.
fn check(fields: &Fields, name: &str, origin: Origin) -> Result<()> {
    let theirs = fields.id.parse().map_or(Origin::Service, |id: ResultId| id.origin);
    match (theirs, origin) {
        (Origin::Rehearsal, Origin::Service) => {
            bail!("{name} holds the results of a rehearsal; delete it, or name another file by -o")
        }
        (Origin::Service, Origin::Rehearsal) => {
            bail!("{name} holds the results of a service, which a rehearsal would overwrite; name another file by -o")
        }
        _ => Ok(()),
    }
}

/// Whether this may be the beginning of a result.
fn is_torn(line: &[u8]) -> bool {
    const BEGINNING: &[u8] = br#"{"id":"#;
    // After a power failure, what was never written may read as zeros.
    line.starts_with(BEGINNING) || BEGINNING.starts_with(line) || line.iter().all(|byte| *byte == 0)
}

/// Cuts off what is torn and leaves the file ready for the next result.
pub(super) fn mend(file: &std::fs::File, found: &Found) -> io::Result<()> {
    use io::{Seek as _, SeekFrom, Write as _};
    let mut file = file;
    if found.torn > 0 {
        file.set_len(found.end)?;
    }
    file.seek(SeekFrom::Start(found.end))?;
    if found.unended { file.write_all(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = r#"{"id":"line-1","custom_id":"a","response":{"status_code":200},"error":null}"#;
    const B: &str = r#"{"id":"line-2","custom_id":"b","response":null,"error":{"code":"timeout"}}"#;

    fn found(text: &str) -> Result<Found> {
        read(text.as_bytes(), "out.jsonl", Origin::Service, &mut Results::default())
    }

    #[test]
    fn whole_results_are_counted() {
        let text = format!("{A}\n{B}\n");
        assert_eq!(found(&text).unwrap(), Found { results: 2, end: text.len() as u64, unended: false, torn: 0 });
    }

    #[test]
    fn a_torn_last_line_is_found_wherever_it_is_torn() {
        for torn in 1..B.len() {
            let text = format!("{A}\n{}", &B[..torn]);
            let expected = Found { results: 1, end: A.len() as u64 + 1, unended: false, torn: torn as u64 };
            assert_eq!(found(&text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_whole_result_without_its_newline_counts() {
        assert_eq!(found(A).unwrap(), Found { results: 1, end: A.len() as u64, unended: true, torn: 0 });
    }

    #[test]
    fn what_is_no_result_is_refused() {
        for text in ["my notes\n", "my notes", "{\"custom_id\":\"a\",\"body\":{}}\n", &format!("{A}\n{{\"id\":\n{B}\n")]
        {
            assert!(found(text).unwrap_err().to_string().contains("this line is no result"));
        }
    }
}
