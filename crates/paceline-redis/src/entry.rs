//! What a journal is made of: batches of operations, each with the store's instant and whose it is.
//!
//! An entry is words of eight bytes, little endian: microseconds of the store's clock, the member, the number of its
//! batch, and the operations. News of an entry have the incarnation of the set and the entry's number before it. News of a
//! member that joins have the number zero and how many there are then.

use paceline_core::Time;
use paceline_core::image::{Image, Words};
use paceline_replica::Op;

/// The bytes that tell an entry from any other: its instant, its member and that one's batch.
pub(crate) type Mark = [u8; 24];

/// Bytes of an incarnation's name.
pub(crate) const NAME: usize = 16;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) mark: Mark,
    pub(crate) now: Time,
    /// Zero where the store itself wrote.
    pub(crate) member: u64,
    pub(crate) batch: u64,
    pub(crate) ops: Vec<Op>,
}

impl Entry {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mark = bytes.get(..24)?.try_into().ok()?;
        let words = words(bytes)?;
        let mut words = Words::new(&words);
        let now = instant(words.word()?)?;
        let (member, batch) = (words.word()?, words.word()?);
        let mut ops = Vec::new();
        while words.left() > 0 {
            ops.push(Op::read(&mut words)?);
        }
        Some(Self { mark, now, member, batch, ops })
    }
}

/// What the store has just told all who listen.
pub(crate) struct News<'a> {
    pub(crate) incarnation: &'a [u8],
    pub(crate) what: What<'a>,
}

pub(crate) enum What<'a> {
    /// An entry was written, with this number.
    Entry(u64, &'a [u8]),
    /// Somebody has joined, and there are so many now.
    Members(u64),
}

impl<'a> News<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (incarnation, rest) = bytes.split_at_checked(NAME)?;
        let (number, rest) = rest.split_at_checked(8)?;
        let what = match u64::from_le_bytes(number.try_into().ok()?) {
            0 => What::Members(u64::from_le_bytes(rest.try_into().ok()?)),
            number => What::Entry(number, rest),
        };
        Some(Self { incarnation, what })
    }
}

/// An instant of the store, from its microseconds.
pub(crate) fn instant(micros: u64) -> Option<Time> {
    micros.checked_mul(1_000).filter(|nanos| *nanos <= i64::MAX as u64).map(Time::from_nanos)
}

/// Whole microseconds, rounded up.
pub(crate) fn micros(time: Time) -> u64 {
    time.as_nanos().div_ceil(1_000)
}

pub(crate) fn words(bytes: &[u8]) -> Option<Vec<u64>> {
    let chunks = bytes.chunks_exact(8);
    let whole = chunks.remainder().is_empty();
    let words = chunks.filter_map(|chunk| Some(u64::from_le_bytes(chunk.try_into().ok()?)));
    whole.then(|| words.collect())
}

pub(crate) fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
