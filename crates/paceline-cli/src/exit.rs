//! How the command ends: its exit codes, and errors that carry one.

use std::process::ExitCode;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All succeeded.
    Ok = 0,
    /// Some requests failed for good.
    SomeFailed = 1,
    /// The command line, the input or the configuration is wrong.
    Usage = 2,
    /// It stopped; running it again goes on.
    Stopped = 3,
    /// The service refused the key.
    Fatal = 4,
    /// SIGINT, after a flush.
    Interrupted = 130,
    /// SIGTERM, after a flush.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends the command.
#[derive(Debug)]
pub(crate) struct Halt {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
}

impl Halt {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }
}

/// What goes wrong before anything is sent is a matter of usage, input or configuration.
impl From<anyhow::Error> for Halt {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Usage, error)
    }
}
