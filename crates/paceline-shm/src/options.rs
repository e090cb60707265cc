//! How limits are shared.

use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline::Clock;

use crate::error::Error;
use crate::shm::Shm;

const MOST_WAITING: usize = 1 << 16;

/// How limits are shared; [`open`](crate::open) takes the defaults.
///
/// | option | default |
/// |---|---|
/// | [`directory`](Self::directory) | what `PACELINE_SHM_DIR` says, else `/dev/shm/paceline-UID` |
/// | [`waiting`](Self::waiting) | 2,048 demands a set |
/// | [`patience`](Self::patience) | 1 s |
///
/// ```no_run
/// let shared = paceline_shm::Options::new().directory("/run/jobs").open("openai")?;
/// # Ok::<(), paceline_shm::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is shared until `open` is called"]
pub struct Options {
    pub(crate) directory: Option<PathBuf>,
    pub(crate) waiting: usize,
    pub(crate) patience: Duration,
    pub(crate) clock: Option<Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self { directory: None, waiting: 2_048, patience: Duration::from_secs(1), clock: None }
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory below which each name has its own, on this machine; all processes that share have to name the same. It
    /// is made if its parent is there. What is made in it is this user's alone (mode 700).
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// How many demands of all processes can wait in one set, 1 to 65,536: one more is a retryable error. Whoever makes the
    /// set decides; it takes some 300 bytes each.
    pub fn waiting(mut self, demands: usize) -> Self {
        self.waiting = demands;
        self
    }

    /// How long to wait for the lock of a set while its owner lives and does not let go, which is only so for a process
    /// that was stopped within some microseconds, before that is a retryable error.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Goes by another clock than the system's since boot, for tests: all who share have to go by the same. Nobody keeps
    /// the time then but whoever calls [`Shm::tick`].
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = Some(clock.into());
        self
    }

    /// Shares limits under `name` with all processes of this user that open it; makes what is not there. Open it once in a
    /// process and clone what it gives: up to 256 can be open at a time, of all processes.
    ///
    /// # Errors
    ///
    /// An option out of its range; what keeps them from being shared, with what to do; on anything but Linux, that it is not
    /// supported.
    pub fn open(self, name: &str) -> Result<Shm, Error> {
        if !(1..=MOST_WAITING).contains(&self.waiting) {
            let what = format!("{} demands that can wait are not from 1 to {MOST_WAITING}", self.waiting);
            return Err(Error::Option { what });
        }
        Shm::open(self, name)
    }

    /// Forgets all that is shared under `name`: what was charged, changed, paused.
    ///
    /// # Errors
    ///
    /// [`InUse`](Error::InUse) while a process has it open; what the system says where it refuses.
    pub fn remove(self, name: &str) -> Result<(), Error> {
        Shm::remove(&self, name)
    }
}
