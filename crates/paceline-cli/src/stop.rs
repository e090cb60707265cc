//! Stopping: who asks for it, why, and how far it has gone.

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::bounds::Bound;
use crate::drive::Out;
use crate::screen::Screen;

/// Why a run ends before its input does.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cause {
    Interrupt,
    Terminate,
    /// The last endpoint that was of use is so no more.
    NobodyLeft {
        endpoint: usize,
        why: Out,
    },
    /// Nothing answers there.
    Unreachable {
        endpoint: usize,
        why: String,
    },
    /// None of several endpoints works.
    AllFail,
    /// The quotas that are shared can no longer be kept.
    Shared(String),
    /// Results can no longer be written.
    Output(String),
    /// The journal can no longer be written.
    Journal(String),
    /// The input is not what was begun.
    Changed(String),
    /// The input can no longer be read.
    Input(String),
    /// A bound that was set on the run is reached.
    Bound(Bound),
    /// The cost is bounded, and nobody knows that of this line's model.
    Unpriced {
        line: u64,
        model: Option<String>,
    },
}

impl Cause {
    /// What the journal calls it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminate",
            Self::NobodyLeft { why: Out::Refused(_), .. } => "refused",
            Self::NobodyLeft { why: Out::Spent(_) | Out::UsedUp(_), .. } => "quota",
            Self::NobodyLeft { why: Out::Redirected(_), .. } => "redirected",
            Self::Unreachable { .. } | Self::AllFail => "unreachable",
            Self::Shared(_) => "shared",
            Self::Output(_) => "output",
            Self::Journal(_) => "journal",
            Self::Changed(_) => "changed",
            Self::Input(_) => "input",
            Self::Bound(bound) => bound.word(),
            Self::Unpriced { .. } => "unpriced",
        }
    }
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

/// How often a drain says what it waits for.
const REMIND: Duration = Duration::from_secs(5);

/// How long a drain lasts after SIGTERM: whoever sends it kills soon after. After Ctrl-C somebody is there to abort.
const TERMINATE_WITHIN: Duration = Duration::from_secs(30);

/// Listens for Ctrl-C and SIGTERM: the first drains, the second aborts. Says what a drain waits for, however it came.
pub(crate) async fn listen(stop: Arc<Stop>, screen: Arc<Screen>, in_flight: impl Fn() -> u64) {
    let (send, signals) = mpsc::channel(1);
    let pass_on = async {
        match Signals::new() {
            Ok(mut signals) => while send.send(signals.next().await).await.is_ok() {},
            Err(error) => tracing::warn!(%error, "signals cannot be listened for; Ctrl-C ends at once"),
        }
        pending::<()>().await;
    };
    tokio::select! {
        () = pass_on => {}
        () = attend(&stop, &screen, in_flight, signals) => {}
    }
}

async fn attend(stop: &Stop, screen: &Screen, in_flight: impl Fn() -> u64, mut signals: mpsc::Receiver<Cause>) {
    let waiting = || match in_flight() {
        0 => "nothing is in flight".into(),
        some => format!("waiting for {} in flight", crate::screen::count(some, "request")),
    };
    let asked = tokio::select! {
        Some(cause) = signals.recv() => Some(cause),
        () = stop.draining() => None,
    };
    let mut end = None;
    if let Some(cause) = asked {
        end = (cause == Cause::Terminate).then(|| Instant::now() + TERMINATE_WITHIN);
        stop.drain(cause);
        let most = if end.is_some() { format!(" for {} s at most", TERMINATE_WITHIN.as_secs()) } else { String::new() };
        let more = if in_flight() > 0 { format!("{most} (once more to abort)") } else { String::new() };
        screen.say(&format!("stopping: nothing more is sent; {}{more}", waiting()));
    }
    loop {
        let remind = Instant::now() + REMIND;
        tokio::select! {
            Some(cause) = signals.recv() => {
                stop.abort(cause);
                return screen.say("aborting: what is in flight is dropped; the next run asks for it again");
            }
            () = sleep_until(end.map_or(remind, |end| end.min(remind))) => {}
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            stop.abort(Cause::Terminate);
            return screen.say("aborting: what is still in flight is dropped; the next run asks for it again");
        }
        screen.say(&format!("still {} (Ctrl-C aborts; the next run asks again for what is dropped)", waiting()));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Progress;

    /// How long a drain with a stalled answer lasts after these signals, a minute apart.
    async fn drain(first: Cause, second: Option<Cause>) -> Option<Duration> {
        let (send, signals) = mpsc::channel(2);
        let (stop, screen) = (Stop::default(), Screen::new(Progress::None, true));
        let began = Instant::now();
        let signal = async {
            send.send(first).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
            if let Some(second) = second {
                send.send(second).await.unwrap();
            }
            pending::<()>().await;
        };
        tokio::select! {
            () = signal => None,
            () = tokio::time::sleep(Duration::from_secs(600)) => None,
            () = attend(&stop, &screen, || 1, signals) => Some(began.elapsed()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_by_itself_only_after_sigterm() {
        let secs = |secs| Some(Duration::from_secs(secs));
        assert_eq!(drain(Cause::Terminate, None).await, secs(30));
        assert_eq!(drain(Cause::Interrupt, None).await, None);
        assert_eq!(drain(Cause::Interrupt, Some(Cause::Interrupt)).await, secs(60));
    }
}
