//! Stopping: who asks for it, why, and how far it has gone.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::screen::Screen;

/// Why a run ends before its input does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Interrupt,
    Terminate,
    /// The service refused the key, with this status.
    Refused(u16),
    /// The quota is spent for longer than a run waits, in the service's words.
    Quota(String),
    /// Nothing answers there.
    Unreachable(String),
    /// Results can no longer be written.
    Output(String),
    /// The input can no longer be read.
    Input(String),
}

/// How far a stop has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    /// Nothing new is sent; what is in flight is waited for.
    Draining,
    /// What is in flight is dropped.
    Aborting,
}

#[derive(Debug)]
pub(crate) struct Stop {
    phase: watch::Sender<Phase>,
    cause: OnceLock<Cause>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { phase: watch::Sender::new(Phase::Running), cause: OnceLock::new() }
    }
}

impl Stop {
    /// Sends nothing more. The first cause is the one that counts.
    pub(crate) fn drain(&self, cause: Cause) {
        self.reach(Phase::Draining, cause);
    }

    /// Drops what is in flight, too.
    pub(crate) fn abort(&self, cause: Cause) {
        self.reach(Phase::Aborting, cause);
    }

    /// Why it stopped, if it did.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        self.cause.get()
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Returns when nothing more is to be sent. Cancel safe.
    pub(crate) async fn draining(&self) {
        self.at_least(Phase::Draining).await;
    }

    /// Returns when what is in flight is to be dropped. Cancel safe.
    pub(crate) async fn aborting(&self) {
        self.at_least(Phase::Aborting).await;
    }

    async fn at_least(&self, phase: Phase) {
        // It lives as long as its sender, which is self.
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    fn reach(&self, phase: Phase, cause: Cause) {
        let _ = self.cause.set(cause);
        self.phase.send_if_modified(|now| {
            let further = *now < phase;
            *now = (*now).max(phase);
            further
        });
    }
}

/// Listens for Ctrl-C and SIGTERM: the first drains, the second aborts.
pub(crate) async fn listen(stop: Arc<Stop>, screen: Arc<Screen>, in_flight: impl Fn() -> u64) {
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => return tracing::warn!(%error, "signals cannot be listened for; Ctrl-C ends at once"),
    };
    let cause = signals.next().await;
    stop.drain(cause);
    screen.say(&format!(
        "stopping: nothing more is sent; waiting for {} in flight (once more to abort)",
        crate::screen::count(in_flight(), "request")
    ));
    let cause = signals.next().await;
    stop.abort(cause);
    screen.say("aborting: what is in flight is dropped");
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Cause {
        tokio::select! {
            _ = self.interrupt.recv() => Cause::Interrupt,
            _ = self.terminate.recv() => Cause::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Cause {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Cause::Interrupt
    }
}

/// Returns at the first Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_end() -> std::io::Result<()> {
    Signals::new()?.next().await;
    Ok(())
}
