//! Which requests have been met, and what earlier runs knew of them: as digests, since a million names would not be small.

mod table;

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::journal::{Digest, Start, What};
use table::Table;

/// The requests of a job, in sixteen bytes each where earlier runs knew them and nine or so else. Two different ids pass
/// for one with a chance of one in 37 million among a million of them.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    known: Table,
    met: HashSet<u64, BuildHasherDefault<Hashed>>,
}

/// Whose results are there already.
#[derive(Debug, Default)]
pub(crate) struct Results {
    succeeded: Vec<u64>,
    failed: Vec<u64>,
}

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    New,
    /// It was started, and nobody knows what became of it.
    Unknown,
    /// It has a result.
    Done {
        failed: bool,
    },
    /// It asks for something else than what was started.
    Changed(Change),
    /// An earlier line has its id.
    Again,
}

/// What of a request is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Url,
    Body,
    Both,
}

/// A request that earlier runs knew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    id: u64,
    /// Of its content's digest all but the low byte, which is its state.
    content: u64,
}

impl Known {
    const TRIED: u64 = 0;
    const UNKNOWN: u64 = 1;
    const SUCCEEDED: u64 = 2;
    const FAILED: u64 = 3;
    /// The bits of the four above.
    const FATE: u64 = 3;
    /// The content is known.
    const CONTENT: u64 = 4;
    /// The survey came by.
    const SEEN: u64 = 8;
    /// Its line has been dealt with.
    const MET: u64 = 16;
    /// All before is forgotten.
    const AGAIN: u64 = 32;

    fn of(start: Start) -> Self {
        let (what, content) = start.what();
        let state = match what {
            What::Tried => Self::TRIED | Self::CONTENT,
            What::Unknown => Self::UNKNOWN | Self::CONTENT,
            What::Again => Self::AGAIN,
        };
        Self { id: start.id.bits(), content: content | state }
    }

    /// What is known after a later start, too.
    fn and(&mut self, later: Self) {
        let fate = (self.content & Self::FATE).max(later.content & Self::FATE);
        *self = later;
        if later.content & Self::AGAIN == 0 {
            self.end(fate);
        }
    }

    fn end(&mut self, fate: u64) {
        self.content = self.content & !Self::FATE | fate;
    }

    fn met(&self, content: Option<Digest>) -> Met {
        if let Some(change) = content.and_then(|content| self.change(content)) {
            return Met::Changed(change);
        }
        match self.content & Self::FATE {
            Self::TRIED => Met::New,
            Self::UNKNOWN => Met::Unknown,
            fate => Met::Done { failed: fate == Self::FAILED },
        }
    }

    fn change(&self, content: Digest) -> Option<Change> {
        let differs = (self.content ^ content.bits()) & !Digest::LOW;
        let url = differs & Digest::URL != 0;
        match (url, differs & !Digest::URL != 0) {
            _ if self.content & Self::CONTENT == 0 => None,
            (false, false) => None,
            (true, false) => Some(Change::Url),
            (false, true) => Some(Change::Body),
            (true, true) => Some(Change::Both),
        }
    }
}

impl Results {
    /// Notes the result of a request.
    pub(crate) fn note(&mut self, id: Digest, failed: bool) {
        let results = if failed { &mut self.failed } else { &mut self.succeeded };
        results.push(id.bits());
    }
}

impl Ids {
    /// What earlier runs started, in that order, and which of it has a result. What succeeded once is done.
    pub(crate) fn known(starts: Vec<Start>, results: Results) -> Self {
        let mut starts = starts;
        starts.sort_by_key(|start| start.id);
        // Into the same memory.
        let mut known: Vec<Known> = starts.into_iter().map(Known::of).collect();
        known.dedup_by(|later, kept| {
            let same = later.id == kept.id;
            if same {
                kept.and(*later);
            }
            same
        });
        let started = known.len();
        for (mut ids, fate) in [(results.failed, Known::FAILED), (results.succeeded, Known::SUCCEEDED)] {
            ids.sort_unstable();
            let mut at = 0;
            for id in ids {
                at += known[at..started].iter().take_while(|known| known.id < id).count();
                match known[..started].get_mut(at).filter(|known| known.id == id) {
                    Some(known) => known.end(fate),
                    None => known.push(Known { id, content: fate }),
                }
            }
        }
        if known.len() > started {
            known.sort_by_key(|known| known.id);
            known.dedup_by(|later, kept| {
                let same = later.id == kept.id;
                if same {
                    kept.end(later.content & Known::FATE);
                }
                same
            });
        }
        Self { known: Table::new(known), met: HashSet::default() }
    }

    /// Whether earlier runs left nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.known.all.is_empty()
    }

    /// What is known of the first line with that id, ahead of [`meet`](Self::meet); none for one that nobody knew. Where it
    /// is done, its line counts as met.
    pub(super) fn survey(&mut self, id: Digest, content: Option<Digest>) -> Option<Met> {
        let known = self.known.get_mut(id.bits())?;
        if known.content & Known::SEEN != 0 {
            return Some(Met::Again);
        }
        let met = known.met(content);
        known.content |= Known::SEEN | if matches!(met, Met::Done { .. }) { Known::MET } else { 0 };
        Some(met)
    }

    pub(super) fn meet(&mut self, id: Digest, content: Option<Digest>) -> Met {
        if let Some(known) = self.known.get_mut(id.bits()) {
            let met = if known.content & Known::MET != 0 { Met::Again } else { known.met(content) };
            known.content |= Known::MET;
            return met;
        }
        if self.met.insert(id.bits()) { Met::New } else { Met::Again }
    }

    /// Whether the line of that number, which has no id of its own, has a result.
    pub(super) fn knows_line(&self, line: u64) -> bool {
        let has_result = |known: &Known| matches!(known.content & Known::FATE, Known::SUCCEEDED | Known::FAILED);
        self.known.get(Digest::of_line(line).bits()).is_some_and(has_result)
    }

    /// Holds no change against requests that failed: it may be what makes them succeed.
    pub(crate) fn forgive_failed(&mut self) {
        let failed = self.known.all.iter_mut().filter(|known| known.content & Known::FATE == Known::FAILED);
        failed.for_each(|known| known.content &= !Known::CONTENT);
    }

    /// Whether a failed result is to go, after a [survey](super::Survey): its request is in the input.
    pub(crate) fn is_due(&self, id: Digest) -> bool {
        let due = |known: &Known| known.content & Known::FATE == Known::FAILED && known.content & Known::SEEN != 0;
        self.known.get(id.bits()).is_some_and(due)
    }

    /// How many of those that are known have succeeded, have failed, and are unknown.
    pub(crate) fn fates(&self) -> [u64; 3] {
        let count = |fate| self.known.all.iter().filter(|known| known.content & Known::FATE == fate).count() as u64;
        [Known::SUCCEEDED, Known::FAILED, Known::UNKNOWN].map(count)
    }
}

/// For keys that are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only whole hashes are hashed")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Digest {
        Digest::of_id(text)
    }

    fn body(text: &str) -> Digest {
        Digest::of_content("/v1/x", text.as_bytes())
    }

    #[test]
    fn an_id_is_new_once() {
        let mut ids = Ids::default();
        assert_eq!(ids.meet(id("a"), None), Met::New);
        assert_eq!(ids.meet(id("b"), None), Met::New);
        assert_eq!(ids.meet(id("a"), None), Met::Again);
    }

    #[test]
    fn what_has_a_result_is_done_whatever_was_started() {
        let start = |name, what| Start::new(id(name), Some(body("1")), what);
        let starts = vec![
            start("a", What::Unknown),
            start("b", What::Tried),
            start("c", What::Unknown),
            start("c", What::Tried),
            start("d", What::Unknown),
            start("d", What::Again),
            Start::new(Digest::of_line(7), None, What::Again),
        ];
        let mut results = Results::default();
        results.note(id("a"), false);
        results.note(id("a"), true);
        results.note(id("e"), true);
        results.note(id("e"), false);
        results.note(Digest::of_line(9), true);
        let mut ids = Ids::known(starts, results);
        assert_eq!(ids.fates(), [2, 1, 1]);
        assert!(ids.knows_line(9) && !ids.knows_line(8));
        assert!(!ids.knows_line(7), "its result was taken out");
        let mut meet = |name, text| ids.meet(id(name), Some(body(text)));
        assert_eq!(meet("a", "1"), Met::Done { failed: false });
        assert_eq!(meet("b", "1"), Met::New);
        assert_eq!(meet("c", "1"), Met::Unknown);
        assert_eq!(meet("d", "2"), Met::New, "its past is forgotten");
        assert_eq!(meet("e", "2"), Met::Done { failed: false }, "its content was never known");
        assert_eq!(meet("a", "1"), Met::Again);
    }

    #[test]
    fn a_change_is_found_and_named() {
        let was = Digest::of_content("/v1/x", b"1");
        let cases = [
            (Digest::of_content("/v1/y", b"1"), Change::Url),
            (Digest::of_content("/v1/x", b"2"), Change::Body),
            (Digest::of_content("/v1/y", b"2"), Change::Both),
        ];
        for (now, change) in cases {
            let starts = vec![Start::new(id("a"), Some(was), What::Tried)];
            let mut ids = Ids::known(starts, Results::default());
            assert_eq!(ids.survey(id("a"), Some(now)), Some(Met::Changed(change)));
            assert_eq!(ids.survey(id("a"), Some(was)), Some(Met::Again));
            assert_eq!(ids.survey(id("b"), Some(was)), None);
        }
    }

    #[test]
    fn many_ids_do_not_run_together() {
        let mut ids = Ids::default();
        assert!((0..100_000).all(|number| ids.meet(id(&format!("request-{number}")), None) == Met::New));
    }
}
