//! Memory that processes share, as words. All the unsafe code of this crate.
//!
//! Whoever else has the file mapped can write to it at any time, by intent or not. So every access is an atomic one of a
//! whole word, no reference to shared bytes is ever made, and nothing that is read is trusted to be what was written.
//! A file that is cut short while it is mapped kills its users by SIGBUS, as for every program that maps files; only the
//! same user can do that, and nothing here does. Nothing simple guards against it: only files without a path can be sealed
//! (`memfd_create(2)`), and a handler of that signal would be the whole process's.
#![expect(unsafe_code, reason = "words in mapped memory can be reached in no other way")]

#[cfg(test)]
mod forks;

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

/// A file in memory.
#[derive(Debug)]
pub(crate) struct Mapping {
    raw: MmapRaw,
    words: usize,
}

const WORD: usize = size_of::<u64>();

impl Mapping {
    /// Maps the first `words` words of a file, which has to be as long.
    pub(crate) fn new(file: &File, words: usize) -> io::Result<Self> {
        let bytes = words.checked_mul(WORD).ok_or(io::ErrorKind::InvalidInput)?;
        let raw = MmapOptions::new().len(bytes).map_raw(file)?;
        Ok(Self { raw, words })
    }

    /// What a word holds, if there is such a word.
    pub(crate) fn checked(&self, at: usize) -> Option<u64> {
        self.words().get(at).map(|word| word.load(Ordering::Acquire))
    }

    /// All of them.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: as many words are mapped, from the beginning of a page, so they are aligned. The mapping lives as long as
        // `self`, and everybody reaches these bytes by atomics alone.
        unsafe { std::slice::from_raw_parts(self.raw.as_mut_ptr().cast::<AtomicU64>(), self.words) }
    }

    /// One word.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> &AtomicU64 {
        &self.words()[at]
    }

    /// The first half of a word, for what the kernel waits on.
    #[inline]
    pub(crate) fn half(&self, at: usize) -> &AtomicU32 {
        // SAFETY: `word` is there for as long as `self`, and halves of it are aligned. Words that are used as halves are
        // never used whole.
        unsafe { AtomicU32::from_ptr(self.word(at).as_ptr().cast::<u32>()) }
    }
}

/// A mark that is gone in the children of this process: a page that the kernel empties when it forks.
#[derive(Debug)]
pub(crate) struct ForkMark(Mapping);

impl ForkMark {
    /// Needs Linux 4.14.
    pub(crate) fn new() -> io::Result<Self> {
        let raw = MmapRaw::from(MmapOptions::new().len(WORD).map_anon()?);
        // SAFETY: the page is this mapping's alone and holds only the mark, which is atomic; being emptied in a child is
        // what it is for.
        unsafe { rustix::mm::madvise(raw.as_mut_ptr().cast(), WORD, rustix::mm::Advice::LinuxWipeOnFork)? };
        let mark = Self(Mapping { raw, words: 1 });
        mark.0.word(0).store(1, Ordering::Relaxed);
        Ok(mark)
    }

    /// Whether this is another process than the one that made it.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.0.word(0).load(Ordering::Relaxed) == 0
    }
}
