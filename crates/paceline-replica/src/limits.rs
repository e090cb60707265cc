//! The limits that a set was made with, as words and in words.

use std::sync::Arc;

use paceline::backend::LimitSpec;
use paceline_core::image::{Image, Words};

pub use crate::describe::difference;

/// The limits of a set: their keys, and what each is.
pub type Limits = [(Arc<str>, LimitSpec)];

/// The most limits that a shared set can have.
pub const MOST: usize = 64;

/// Writes them behind what is there.
pub fn write(limits: &Limits, out: &mut Vec<u64>) {
    out.push(limits.len() as u64);
    for (key, spec) in limits {
        out.push(key.len() as u64);
        out.extend(key.as_bytes().chunks(8).map(|chunk| {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(bytes)
        }));
        match spec {
            LimitSpec::Rate(quota) => {
                out.push(0);
                quota.write(out);
            }
            LimitSpec::Resource(capacity) => out.extend([1, *capacity]),
            LimitSpec::Adaptive(sizing) => {
                out.push(2);
                sizing.write(out);
            }
        }
    }
}

/// Reads what was written, with nothing behind it; none where these are not the words of limits.
pub fn read(words: &mut Words<'_>) -> Option<Vec<(Arc<str>, LimitSpec)>> {
    let count = words.count().filter(|count| *count <= MOST)?;
    let mut limits = Vec::with_capacity(count);
    for _ in 0..count {
        // Eight bytes a word.
        let length = usize::try_from(words.word()?).ok().filter(|length| length.div_ceil(8) <= words.left())?;
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            bytes.extend(words.word()?.to_le_bytes());
        }
        bytes.truncate(length);
        let key = String::from_utf8(bytes).ok()?;
        let spec = match words.word()? {
            0 => LimitSpec::Rate(Image::read(words)?),
            1 => LimitSpec::Resource(words.word()?),
            2 => LimitSpec::Adaptive(Image::read(words)?),
            _ => return None,
        };
        limits.push((key.into(), spec));
    }
    (words.left() == 0).then_some(limits)
}
