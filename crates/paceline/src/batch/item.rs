//! What became of the items.

use super::BatchProgress;
use crate::pipeline::{CallError, Outcome};

/// What became of one item.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the call may have failed"]
pub struct BatchItem<U, E> {
    /// Its place in the input, from 0.
    pub index: u64,
    /// What became of its call. Of one that [panicked](CallError::Panicked) in its cost or was [stopped](CallError::Stopped),
    /// only the attempts are known.
    pub outcome: Outcome<U, E>,
}

/// What became of all items of a batch.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "calls may have failed"]
pub struct BatchReport<U, E> {
    /// Each item that was taken, in the order of the input.
    pub items: Vec<BatchItem<U, E>>,
    /// How many of them ended how.
    pub progress: BatchProgress,
}

impl<U, E> BatchReport<U, E> {
    pub(super) fn new(mut items: Vec<BatchItem<U, E>>, progress: BatchProgress) -> Self {
        items.sort_unstable_by_key(|item| item.index);
        Self { items, progress }
    }

    /// All values, in the order of the input.
    ///
    /// # Errors
    ///
    /// That of the first item that has none; [`Stopped`](CallError::Stopped) also where the batch was ended before its
    /// input was.
    pub fn into_values(self) -> Result<Vec<U>, CallError<U, E>> {
        let values = self.items.into_iter().map(|item| item.outcome.result).collect::<Result<_, _>>()?;
        if self.progress.exhausted { Ok(values) } else { Err(CallError::Stopped) }
    }
}
