//! Who shares a set.

use std::num::NonZeroU32;

use paceline_core::image::{Image, Words};

/// One of those who share a set: a word that its backend gave it, and gives nobody else while anything of it is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member(NonZeroU32);

impl Member {
    /// None for zero, which nobody is.
    #[must_use]
    pub const fn of(word: u32) -> Option<Self> {
        match NonZeroU32::new(word) {
            Some(word) => Some(Self(word)),
            None => None,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn word(self) -> u32 {
        self.0.get()
    }
}

impl Image for Member {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(self.word().into());
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Self::of(words.word()?.try_into().ok()?)
    }
}
