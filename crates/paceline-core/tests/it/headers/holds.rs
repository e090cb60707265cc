//! An answer as text, and what holds for every answer. The fuzz targets share this file.

use std::time::{Duration, SystemTime};

use paceline_core::headers::{Answer, Dialect, Doubt, Facts, LONGEST_WAIT, Unit, Usage};
use paceline_core::{Reset, Verdict};

/// 2023-11-14T22:13:20Z, when answers without a date were received.
pub(crate) const RECEIVED: Duration = Duration::from_secs(1_700_000_000);

/// An answer's parts: the status on the first line, then headers, then an empty line, then the body.
pub(crate) struct Text<'a> {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: Option<&'a [u8]>,
}

impl<'a> Text<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((bytes, None), |at| (&bytes[..at], Some(&bytes[at + 2..])));
        let mut lines = head.split(|&byte| byte == b'\n');
        let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
        let headers = lines.filter_map(|line| {
            let at = line.iter().position(|&byte| byte == b':')?;
            Some((std::str::from_utf8(&line[..at]).ok()?, &line[at + 1..]))
        });
        Self {
            status: first.and_then(|line| line.trim().parse().ok()).unwrap_or(429),
            headers: headers.collect(),
            body,
        }
    }

    pub(crate) fn read(&self, dialect: Dialect, longest: Duration) -> Facts {
        let received = SystemTime::UNIX_EPOCH + RECEIVED;
        let answer = Answer { status: self.status, headers: &self.headers, body: self.body, received };
        dialect.read(&answer, longest)
    }
}

/// Panics where `bytes`, read as an answer, break what holds for every answer.
pub(crate) fn answer(dialect: Dialect, bytes: &[u8]) {
    let text = Text::of(bytes);
    let uncut = text.read(dialect, Duration::MAX);
    for longest in [Duration::from_secs(30), LONGEST_WAIT, Duration::MAX] {
        let facts = text.read(dialect, longest);
        assert!(waits(&facts).all(|wait| wait <= longest), "a wait above the cap: {facts:?}");
        let cut = facts.notes.iter().any(|note| note.doubt == Doubt::Capped);
        assert!(cut || waits(&uncut).all(|wait| wait <= longest), "cut and not noted: {facts:?}, {uncut:?}");
        if let Verdict::RateLimited { retry_after } = facts.verdict {
            assert_eq!(retry_after, facts.retry_after);
        }
        if let Some(usage) = facts.usage {
            assert_eq!(facts.verdict, Verdict::Success);
            let _units = Unit::ALL.map(|unit| dialect.charges().units(unit, &usage));
        }
        assert!(facts.limits.iter().all(|fact| fact.limit != Some(0)), "a limit of nothing: {facts:?}");
        assert!(facts.limits.len() <= 64 && facts.notes.len() <= 64);
        for note in &facts.notes {
            assert!(note.value.chars().count() <= 40, "more than a note may show: {note}");
        }
    }
}

/// Panics where `bytes`, read as an answer's JSON, break what holds for every usage.
pub(crate) fn usage(bytes: &[u8]) {
    let Some(usage) = Usage::read(bytes) else { return };
    assert_ne!(usage, Usage::default(), "it says nothing");
    assert_eq!(usage.followed_by(Usage::default()), usage);
    assert_eq!(Usage::default().followed_by(usage), usage);
    assert!(usage.tokens() >= usage.total);
    for dialect in Dialect::ALL {
        let _units = Unit::ALL.map(|unit| dialect.charges().units(unit, &usage));
    }
}

/// Panics where `bytes`, read as an error's text, break what holds for every text.
pub(crate) fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let verdict = Verdict::from_text(&text);
    assert_eq!(Verdict::from_text(&text.to_ascii_uppercase()), verdict, "case says nothing");
    assert!(verdict.is_none_or(|verdict| verdict == Verdict::Permanent || verdict.is_throttle()));
}

fn waits(facts: &Facts) -> impl Iterator<Item = Duration> {
    let resets = facts.limits.iter().filter_map(|fact| match fact.reset? {
        Reset::Full(wait) | Reset::Window(wait) => Some(wait),
    });
    resets.chain(facts.retry_after)
}
