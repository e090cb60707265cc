//! What a batch tells while it runs.

/// Something that happened to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BatchEvent {
    /// An attempt begins: the first, or a retry.
    Started {
        /// The item's place in the input, from 0.
        index: u64,
        /// Which attempt it is: 1 is the first.
        attempt: u32,
    },
    /// It has its value.
    Succeeded {
        /// The item's place in the input.
        index: u64,
        /// What it took.
        attempts: u32,
    },
    /// It has failed for good.
    Failed {
        /// The item's place in the input.
        index: u64,
        /// What was tried.
        attempts: u32,
    },
    /// It was given up: the batch was drained or aborted.
    Stopped {
        /// The item's place in the input.
        index: u64,
        /// What was tried.
        attempts: u32,
    },
    /// So many events were passed over, since whoever listens is too slow.
    Missed {
        /// How many.
        events: u64,
    },
}

/// How far a batch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchProgress {
    /// Items taken from the input.
    pub taken: u64,
    /// Of those, how many came to their first attempt.
    pub started: u64,
    /// Attempts, those of retries included.
    pub attempts: u64,
    /// Items that have their value.
    pub succeeded: u64,
    /// Items that failed for good.
    pub failed: u64,
    /// Items that were given up when the batch was drained or aborted.
    pub stopped: u64,
    /// Whether the input came to its end.
    pub exhausted: bool,
}

impl BatchProgress {
    /// Items that are waiting, running, or waiting to try again.
    #[must_use]
    pub fn in_progress(&self) -> u64 {
        self.taken - self.succeeded - self.failed - self.stopped
    }

    /// Whether all items there are were called to their end, well or badly.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.exhausted && self.in_progress() == 0 && self.stopped == 0
    }

    /// Attempts beside the first of each item.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.attempts - self.started
    }
}
