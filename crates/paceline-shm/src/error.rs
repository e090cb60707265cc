//! Why limits cannot be shared, with what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use paceline::backend::BackendError;

/// What went wrong, with the values that it was about. Every message ends in what to do; nothing ever goes on without
/// its limits instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No shared memory here.
    #[error(
        "limits in shared memory are not supported on {}; keep them in one process, or use Redis",
        std::env::consts::OS
    )]
    NotSupported,
    /// A name that is no name of a directory.
    #[error("`{}` cannot name shared limits; use 1 to 100 letters, digits, `-`, `_` and `.`, not a `.` first", .name.escape_debug())]
    Name {
        /// The name given.
        name: String,
    },
    /// An option out of its range.
    #[error("{what}")]
    Option {
        /// Which, its value, and its range.
        what: String,
    },
    /// The system refused.
    #[error("{doing} {path:?} failed: {said}; {advice}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        said: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A directory that others can write to or that somebody else owns: they could change the limits.
    #[error("{path:?} {why}; remove it, or choose another directory by `PACELINE_SHM_DIR` or `Options::directory`")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A filesystem that machines share, on which neither memory nor locks are.
    #[error(
        "{path:?} is on a network filesystem ({kind}), which shares neither memory nor locks between processes; choose a local directory by `PACELINE_SHM_DIR` or `Options::directory`, or use Redis"
    )]
    Network {
        /// The directory.
        path: PathBuf,
        /// Which.
        kind: &'static str,
    },
    /// A state file written by another version.
    #[error(
        "{path:?} has the layout {found} and this program knows {known}: the processes that share it use different versions of Paceline; end them all and remove that directory, or use another name"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its layout version.
        found: u64,
        /// The one this version writes.
        known: u64,
    },
    /// A state file of another boot, or of another time namespace: its instants mean nothing here.
    #[error(
        "{path:?} was written {when}, so its times mean nothing here; nobody here can be using it: remove that directory, or choose another"
    )]
    Clock {
        /// The file.
        path: PathBuf,
        /// When or where it was written.
        when: &'static str,
    },
    /// The set is shared with other limits.
    #[error(
        "`{}` is shared with other limits: {what}; give all processes the same, use another name, or remove {path:?} once no process uses it",
        .set.escape_debug()
    )]
    Limits {
        /// The set.
        set: String,
        /// What differs.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// More limits than shared memory keeps.
    #[error("`{}` has {count} limits; shared memory keeps up to {most} in a set", .set.escape_debug())]
    TooManyLimits {
        /// The set.
        set: String,
        /// How many.
        count: usize,
        /// How many are possible.
        most: usize,
    },
    /// A file that no process of ours can have left so.
    #[error("{path:?} is damaged ({why}); end all processes that share it and remove that directory")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// What is shared was taken away while this process used it: others that come would share something else.
    #[error(
        "{path:?} was removed or replaced while this process shared limits by it, so others may not keep them together with it any more; end all processes that share them and start them again (where a logout removes such files, as `RemoveIPC=yes` of systemd-logind does, choose a directory elsewhere by `PACELINE_SHM_DIR`)"
    )]
    Removed {
        /// The file.
        path: PathBuf,
    },
    /// This process's seat was given away, so others take it for gone.
    #[error(
        "{path:?} does not know this process any more, though it lives: somebody has changed that file, and what this process held is given to others; end all processes that share it, remove that directory, and start them again"
    )]
    Unseated {
        /// The file.
        path: PathBuf,
    },
    /// Every seat is taken.
    #[error(
        "{most} handles share {path:?} already, which is all that can; end a process, clone handles where one process opens several, or share over Redis"
    )]
    Full {
        /// The directory.
        path: PathBuf,
        /// How many can.
        most: u16,
    },
    /// As many wait as there is room for.
    #[error(
        "{most} demands wait in `{}` already, which is all that its shared memory has room for; try again later, or give it room by `Options::waiting`",
        .set.escape_debug()
    )]
    TooManyWait {
        /// The set.
        set: String,
        /// How many can.
        most: usize,
    },
    /// Somebody has the lock and neither goes on nor dies.
    #[error(
        "process {pid} has held the lock of `{}` for {held:?} and lives: it may be stopped; let it continue, or end it",
        .set.escape_debug()
    )]
    Stuck {
        /// The set.
        set: String,
        /// Who has it.
        pid: u64,
        /// For how long at least: [`Options::patience`](crate::Options::patience).
        held: Duration,
    },
    /// This is the child of the process that opened it.
    #[error("this process was forked from the one that opened these limits; open them again after the fork")]
    Forked,
    /// Somebody uses it.
    #[error("{count} processes use {path:?}; end them first")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// The system gave no thread to keep the time.
    #[error("cannot keep the time: {0}; let the system have more threads")]
    NoThread(io::Error),
}

impl Error {
    /// Whether the same call can succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Full { .. } | Self::TooManyWait { .. } | Self::Stuck { .. } | Self::InUse { .. } | Self::NoThread(_)
        )
    }
}

impl From<Error> for BackendError {
    fn from(error: Error) -> Self {
        Self { message: error.to_string(), retryable: error.is_retryable() }
    }
}
