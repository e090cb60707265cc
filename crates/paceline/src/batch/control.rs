//! What a batch in progress and its handles share: how far it has come, and whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::rules::Rules;
use super::{BatchEvent, BatchItem, BatchProgress};
use crate::pipeline::CallError;

/// Events kept for a listener that is behind.
const BACKLOG: usize = 1_024;

/// How much of the batch is still wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Running,
    /// Nothing new is begun.
    Draining,
    /// Nothing is finished either.
    Aborted,
}

#[derive(Debug, Default)]
pub(super) struct Control {
    phase: watch::Sender<Phase>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    progress: BatchProgress,
    /// Made for the first who listens.
    events: Option<broadcast::Sender<BatchEvent>>,
    over: bool,
}

impl State {
    fn tell(&self, event: BatchEvent) {
        if let Some(events) = &self.events {
            // Nobody listening any more is no failure.
            let _ = events.send(event);
        }
    }
}

impl Control {
    pub(super) fn progress(&self) -> BatchProgress {
        self.state.lock().progress
    }

    pub(super) fn listen(&self) -> Option<broadcast::Receiver<BatchEvent>> {
        let mut state = self.state.lock();
        let open = !state.over;
        open.then(|| state.events.get_or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe())
    }

    /// Goes on to `phase`; never back.
    pub(super) fn stop(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let further = phase > *now;
            *now = phase.max(*now);
            further
        });
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.phase.borrow() > Phase::Running
    }

    /// Resolves when no more input is wanted.
    pub(super) async fn stopping(self: Arc<Self>) {
        Self::reaches(self.phase.subscribe(), |phase| phase > Phase::Running).await;
    }

    /// Resolves when an item that has made so many attempts is to be given up.
    pub(super) async fn gives_up(&self, attempts: &AtomicU32) {
        let begun = || attempts.load(Ordering::Relaxed) > 0;
        Self::reaches(self.phase.subscribe(), |phase| match phase {
            Phase::Running => false,
            Phase::Draining => !begun(),
            Phase::Aborted => true,
        })
        .await;
    }

    async fn reaches(mut phase: watch::Receiver<Phase>, wanted: impl Fn(Phase) -> bool) {
        if phase.wait_for(|phase| wanted(*phase)).await.is_err() {
            std::future::pending().await
        }
    }

    pub(super) fn taken(&self) {
        self.state.lock().progress.taken += 1;
    }

    pub(super) fn exhausted(&self) {
        self.state.lock().progress.exhausted = true;
    }

    pub(super) fn started(&self, index: u64, attempt: u32) {
        let mut state = self.state.lock();
        state.progress.started += u64::from(attempt == 1);
        state.progress.attempts += 1;
        state.tell(BatchEvent::Started { index, attempt });
    }

    /// Counts an item, and drains where too many have failed.
    pub(super) fn ended<U, E>(&self, item: &BatchItem<U, E>, rules: &Rules) {
        let (index, attempts) = (item.index, item.outcome.attempts);
        let mut state = self.state.lock();
        let event = match &item.outcome.result {
            Ok(_) => {
                state.progress.succeeded += 1;
                BatchEvent::Succeeded { index, attempts }
            }
            Err(CallError::Stopped) => {
                state.progress.stopped += 1;
                BatchEvent::Stopped { index, attempts }
            }
            Err(_) => {
                state.progress.failed += 1;
                BatchEvent::Failed { index, attempts }
            }
        };
        state.tell(event);
        let progress = state.progress;
        drop(state);
        if rules.has_failed(&progress) && !self.is_stopping() {
            tracing::warn!(failed = progress.failed, succeeded = progress.succeeded, "too many fail; the batch drains");
            self.stop(Phase::Draining);
        }
    }
}

/// The batch itself, as opposed to its handles: when it is gone, there is nothing left to listen to.
#[derive(Debug, Default)]
pub(super) struct Guard(Arc<Control>);

impl Guard {
    pub(super) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.0)
    }

    /// Nothing more will happen: whoever listens is told so.
    pub(super) fn close(&self) {
        let mut state = self.0.state.lock();
        state.over = true;
        state.events = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.close();
    }
}
