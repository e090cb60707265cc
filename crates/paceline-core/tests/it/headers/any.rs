//! Any bytes: what the fuzz targets look for, a little at every test run.

use std::fs;
use std::path::Path;

use paceline_core::headers::Dialect;
use proptest::prelude::*;
use proptest::sample::Index;

use super::holds;

/// Pieces that a reader may trip over.
const PIECES: [&str; 24] = [
    "retry-after: ",
    "retry-after-ms: ",
    "\n",
    "\n\n",
    ": ",
    "-1",
    "0",
    "1e400",
    "NaN",
    "inf",
    "99999999999999999999",
    "18446744073709551615",
    "1700000060",
    "6m0s",
    "1h-3s",
    "2023-11-14T22:13:20Z",
    "-009999-01-01T00:00:00Z",
    "Tue, 14 Nov 2023 22:13:20 GMT",
    "\"a\";r=1;t=999999999999999",
    "limit=1, remaining=0, reset=-1",
    "[[[[[[[[",
    "{\"error\":",
    "\"quotaValue\":\"0\"",
    "\"retryDelay\":\"-1s\"",
];

/// The files of a folder of `tests/answers`: examples, and whatever a fuzzer found.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| fs::read(entry.expect("an entry").path()).expect("a file")).collect();
    files.sort();
    files
}

fn known() -> Vec<(Dialect, Vec<u8>)> {
    let of = |dialect: Dialect| files(dialect.as_str()).into_iter().map(move |bytes| (dialect, bytes));
    Dialect::ALL.into_iter().flat_map(of).collect()
}

#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, u8),
    Insert(Index, &'static str),
    Cut(Index, Index),
    Repeat(Index, Index),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let end = bytes.len() + 1;
        let at = |index: &Index| index.index(end);
        match self {
            Self::Replace(index, byte) => {
                if let Some(found) = bytes.get_mut(at(index)) {
                    *found = *byte;
                }
            }
            Self::Insert(index, piece) => {
                let at = at(index);
                bytes.splice(at..at, piece.bytes());
            }
            Self::Cut(a, b) => {
                let (a, b) = (at(a), at(b));
                bytes.drain(a.min(b)..a.max(b));
            }
            Self::Repeat(a, b) => {
                let (a, b) = (at(a), at(b));
                bytes.extend_from_within(a.min(b)..a.max(b));
            }
        }
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        (any::<Index>(), prop::sample::select(&PIECES[..])).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Edit::Cut(a, b)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Edit::Repeat(a, b)),
    ]
}

#[test]
fn what_is_known_holds_in_every_dialect() {
    for (_, bytes) in known() {
        for dialect in Dialect::ALL {
            holds::answer(dialect, &bytes);
        }
    }
    files("usage").iter().for_each(|bytes| holds::usage(bytes));
    files("text").iter().for_each(|bytes| holds::text(bytes));
}

proptest! {
    #[test]
    fn an_edited_answer_holds(
        answer in prop::sample::select(known()),
        edits in prop::collection::vec(edit(), 1..8),
        other in prop::sample::select(&Dialect::ALL[..]),
    ) {
        let (dialect, mut bytes) = answer;
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        holds::answer(dialect, &bytes);
        holds::answer(other, &bytes);
        holds::usage(&bytes);
    }

    #[test]
    fn any_bytes_hold(
        dialect in prop::sample::select(&Dialect::ALL[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        holds::answer(dialect, &bytes);
        holds::usage(&bytes);
        holds::text(&bytes);
    }
}
