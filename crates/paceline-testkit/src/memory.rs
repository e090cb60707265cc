//! A backend that keeps its sets in memory, and can be told to fail.

mod desk;
mod shelf;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use paceline::backend::{BackendError, Home, LimitSpec, Remote};
use paceline::{Algorithm, Clock};
use parking_lot::Mutex;

use desk::Desk;
use shelf::Shelf;

/// Sets in memory, behind the seam. Cloning gives another handle, as another process would have.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sets: Mutex<HashMap<Arc<str>, Arc<Shelf>>>,
    line: Arc<Line>,
}

type Known = (Arc<str>, LimitSpec);

/// What lies between the backend and whoever asks it.
#[derive(Debug, Default)]
struct Line {
    clock: Clock,
    away: AtomicBool,
    lossy: AtomicBool,
}

impl Line {
    fn reachable(&self) -> Result<(), BackendError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(BackendError { message: "it is away".into(), retryable: true });
        }
        Ok(())
    }

    fn answered<T>(&self, answer: T) -> Result<T, BackendError> {
        if self.lossy.swap(false, Ordering::SeqCst) {
            return Err(BackendError { message: "the answer was lost".into(), retryable: true });
        }
        Ok(answer)
    }
}

impl Memory {
    /// Fails every call from now on, or no more.
    pub fn set_away(&self, away: bool) {
        self.0.line.away.store(away, Ordering::SeqCst);
    }

    /// Does what it is asked and loses the next answer.
    pub fn lose_next_answer(&self) {
        self.0.line.lossy.store(true, Ordering::SeqCst);
    }

    /// Permits that are out, of all sets.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.sets.lock().values().map(|shelf| shelf.held()).sum()
    }
}

impl Remote for Memory {
    fn algorithms(&self) -> &[Algorithm] {
        &Algorithm::ALL
    }

    fn open(&self, set: &Arc<str>, limits: &[(Arc<str>, LimitSpec)]) -> Result<Arc<dyn Home>, BackendError> {
        let mut sets = self.0.sets.lock();
        let Some(shelf) = sets.get(set) else {
            let shelf = Arc::new(Shelf::new(limits, Arc::clone(&self.0.line))?);
            sets.insert(Arc::clone(set), Arc::clone(&shelf));
            return Ok(Arc::new(Desk::at(shelf)));
        };
        let alike = |((known, there), (wanted, here)): (&Known, &Known)| known == wanted && there.is_like(here);
        if shelf.limits().len() != limits.len() || !shelf.limits().iter().zip(limits).all(alike) {
            let message = format!("`{set}` is open with other limits: {:?}, not {limits:?}", shelf.limits());
            return Err(BackendError { message, retryable: false });
        }
        Ok(Arc::new(Desk::at(Arc::clone(shelf))))
    }
}
