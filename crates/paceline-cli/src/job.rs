//! A job as plain facts: what flags, file, preset and defaults come to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::HeaderMap;

use crate::args::{Progress, ResultOrder};
use crate::endpoint::{ApiKey, BaseUrl};
use crate::estimate::Estimate;
use crate::limits::Limit;
use crate::output::Origin;

/// What `paceline run` is to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) input: Input,
    pub(crate) output: Output,
    pub(crate) service: Service,
    pub(crate) limits: Vec<Limit>,
    pub(crate) concurrency: Concurrency,
    pub(crate) timeout: Duration,
    pub(crate) headers: HeaderMap,
    pub(crate) send_custom_id: bool,
    pub(crate) estimate: Estimate,
    pub(crate) order: ResultOrder,
    pub(crate) progress: Progress,
}

/// Where requests come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl Input {
    /// How messages name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Stdin => "stdin".into(),
            Self::File(path) => path.display().to_string(),
        }
    }
}

/// Where results go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    /// Appended to, so that running again goes on.
    File(PathBuf),
    /// Written anew each time: the results of a rehearsal are nothing to go on from.
    Scratch(PathBuf),
}

impl Output {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File(path) | Self::Scratch(path) => Some(path),
        }
    }
}

/// Whom to send to.
#[derive(Debug)]
pub(crate) enum Service {
    Real {
        base: BaseUrl,
        key: Option<ApiKey>,
    },
    /// A simulated provider of this run's own.
    Rehearsal,
}

impl Service {
    /// Whose answers the results are.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Self::Real { .. } => Origin::Service,
            Self::Rehearsal => Origin::Rehearsal,
        }
    }
}

/// How many requests may be in flight at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    Given(u64),
    /// Nobody said: a bound of our own, for memory and sockets.
    Bound,
}

impl Concurrency {
    pub(crate) const BOUND: u64 = 256;

    pub(crate) fn amount(self) -> u64 {
        match self {
            Self::Given(amount) => amount,
            Self::Bound => Self::BOUND,
        }
    }
}
