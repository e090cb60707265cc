//! Which custom_ids have been met, and which have a result: as hashes, since a million names would not be small.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// The ids of a job, in nine bytes or so each. Two different ids pass for one with a chance of one in nine million among
/// a million of them.
#[derive(Debug, Default)]
pub(crate) struct Ids {
    hasher: RandomState,
    entries: HashSet<Entry, BuildHasherDefault<Hashed>>,
}

/// What is known of a custom_id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    New,
    /// It has a result.
    Known {
        failed: bool,
    },
    /// An earlier line has it.
    Again,
}

/// 62 bits of a hash, and two for what is known.
#[derive(Clone, Copy, Debug)]
struct Entry(u64);

impl Entry {
    const STATE: u64 = 0b11;
    const SUCCEEDED: u64 = 0;
    const FAILED: u64 = 1;
    const MET: u64 = 2;

    fn new(hash: u64, state: u64) -> Self {
        Self(hash & !Self::STATE | state)
    }

    fn state(self) -> u64 {
        self.0 & Self::STATE
    }

    fn hash_bits(self) -> u64 {
        self.0 & !Self::STATE
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.hash_bits() == other.hash_bits()
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash_bits());
    }
}

impl Ids {
    /// Notes the result of a custom_id; the last word counts.
    pub(crate) fn note(&mut self, custom_id: &str, failed: bool) {
        self.replace(self.id(custom_id), if failed { Entry::FAILED } else { Entry::SUCCEEDED });
    }

    /// Notes the result of a line without an id of its own.
    pub(crate) fn note_line(&mut self, line: u64) {
        self.replace(self.line(line), Entry::FAILED);
    }

    pub(super) fn meet(&mut self, custom_id: &str) -> Met {
        let hash = self.id(custom_id);
        let before = self.entries.get(&Entry::new(hash, 0)).map(|entry| entry.state());
        self.replace(hash, Entry::MET);
        match before {
            None => Met::New,
            Some(Entry::MET) => Met::Again,
            Some(state) => Met::Known { failed: state == Entry::FAILED },
        }
    }

    pub(super) fn knows_line(&self, line: u64) -> bool {
        self.entries.contains(&Entry::new(self.line(line), 0))
    }

    fn replace(&mut self, hash: u64, state: u64) {
        self.entries.replace(Entry::new(hash, state));
    }

    fn id(&self, custom_id: &str) -> u64 {
        self.hasher.hash_one(("id", custom_id))
    }

    fn line(&self, line: u64) -> u64 {
        self.hasher.hash_one(("line", line))
    }
}

/// For keys that are hashes already. Their low bits, which say what is known, would be no hash.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0.rotate_right(2)
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

    #[test]
    fn an_id_is_new_once() {
        let mut ids = Ids::default();
        assert_eq!(ids.meet("a"), Met::New);
        assert_eq!(ids.meet("b"), Met::New);
        assert_eq!(ids.meet("a"), Met::Again);
    }

    #[test]
    fn what_has_a_result_is_known() {
        let mut ids = Ids::default();
        ids.note("a", true);
        ids.note("a", false);
        ids.note("b", true);
        ids.note_line(9);
        assert_eq!(ids.meet("a"), Met::Known { failed: false });
        assert_eq!(ids.meet("b"), Met::Known { failed: true });
        assert_eq!(ids.meet("a"), Met::Again);
        assert!(ids.knows_line(9) && !ids.knows_line(8));
    }

    #[test]
    fn many_ids_do_not_run_together() {
        let mut ids = Ids::default();
        assert!((0..100_000).all(|number| ids.meet(&format!("request-{number}")) == Met::New));
    }
}
