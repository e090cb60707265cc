//! Whether a file that is mapped still has its name.
//!
//! Memory stays mapped when its file is removed, renamed or replaced; whoever opens the path afterwards shares other
//! memory. That takes a system call to see, so it is looked up now and then, and what was seen is kept for the others.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// A path, and the file that was found there.
#[derive(Debug)]
pub(crate) struct Link {
    path: PathBuf,
    file: (u64, u64),
    /// For good: others may have begun to share what lay there in between.
    gone: AtomicBool,
}

impl Link {
    pub(crate) fn new(path: &Path, found: &Metadata) -> Self {
        Self { path: path.to_owned(), file: identity(found), gone: AtomicBool::new(false) }
    }

    /// Asks the system.
    pub(crate) fn look(&self) {
        let gone = match fs::symlink_metadata(&self.path) {
            Ok(there) => identity(&there) != self.file,
            // Whoever cannot look there cannot open it either, and so shares nothing else.
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        };
        if gone {
            self.gone.store(true, Ordering::Relaxed);
        }
    }

    /// What the looks so far have shown.
    #[inline]
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn removed(&self) -> Error {
        Error::Removed { path: self.path.clone() }
    }
}

/// What tells a file from all others that there are.
pub(crate) fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
