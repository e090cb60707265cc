//! The thread that brings to the disk what was written, while more is written.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::Receiver;

use crate::journal::Journal;
use crate::stop::{Cause, Stop};
use crate::tally::Tally;

/// What a run leaves, and whom to tell when it is there.
pub(super) struct Disk<'a> {
    /// The results; none where they go to a stream.
    pub(super) file: Option<Arc<File>>,
    pub(super) journal: &'a Journal,
    pub(super) tally: &'a Tally,
    pub(super) stop: &'a Stop,
    /// Set where the results cannot be kept.
    pub(super) broken: &'a AtomicBool,
}

/// Results that go to the disk together.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
}

impl Disk<'_> {
    /// Takes groups until no more come; each counts once it is there.
    pub(super) fn take(&self, groups: &Receiver<Group>) {
        for Group { succeeded, failed } in groups {
            match self.sync() {
                Ok(()) => self.tally.written(succeeded, failed),
                Err(error) => {
                    self.tally.lost.add(succeeded + failed);
                    self.broken.store(true, Relaxed);
                    self.stop.abort(Cause::Output(error.to_string()));
                }
            }
        }
    }

    /// The journal goes first, so that none of these results is there without the start of its attempt.
    fn sync(&self) -> io::Result<()> {
        if let Err(error) = self.journal.sync() {
            self.stop.drain(Cause::Journal(error.to_string()));
        }
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }
}
