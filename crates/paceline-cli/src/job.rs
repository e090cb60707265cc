//! A job as plain facts: what flags, file, preset and defaults come to.

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline::{Aimd, ParameterError};

use crate::args::{OnUnknown, Progress, ResultOrder};
use crate::bounds::Bounds;
use crate::endpoint::Group;
use crate::estimate::Estimate;
use crate::output::Origin;
use crate::price::Prices;
use crate::sharing::Sharing;

/// What `paceline run` is to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) input: Input,
    pub(crate) output: Output,
    /// Whose answers the results are.
    pub(crate) origin: Origin,
    /// Whom to send to, by quota: at least one.
    pub(crate) groups: Vec<Group>,
    /// How they are shared with other runs, if they are.
    pub(crate) shared: Option<Sharing>,
    pub(crate) attempts: Attempts,
    pub(crate) bounds: Bounds,
    pub(crate) prices: Prices,
    pub(crate) send_custom_id: bool,
    pub(crate) estimate: Estimate,
    pub(crate) order: ResultOrder,
    pub(crate) on_unknown: OnUnknown,
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

/// How many requests may be in flight at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concurrency {
    Fixed(u64),
    /// As many as the answers show to be good, in these bounds.
    Adaptive {
        min: u64,
        max: u64,
    },
}

impl Concurrency {
    /// Where nobody said.
    pub(crate) const AUTO: Self = Self::Adaptive { min: 1, max: 50 };

    /// What an adaptive one begins with, as far as its bounds let it.
    const INITIAL: u64 = 10;
    /// What a cut leaves of it.
    const BACKOFF: f64 = 0.7;

    /// The most there can be.
    pub(crate) fn most(self) -> u64 {
        match self {
            Self::Fixed(amount) => amount,
            Self::Adaptive { max, .. } => max,
        }
    }

    /// What finds the number, where it is to be found.
    pub(crate) fn controller(self) -> Result<Option<Aimd>, ParameterError> {
        let Self::Adaptive { min, max } = self else { return Ok(None) };
        let aimd = Aimd::builder().min_concurrent(min).max_concurrent(max).backoff_factor(Self::BACKOFF);
        aimd.initial_concurrent(Self::INITIAL.clamp(min, max)).build().map(Some)
    }
}

/// As it would be given on the command line.
impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AUTO => f.write_str("auto"),
            Self::Fixed(amount) => amount.fmt(f),
            Self::Adaptive { min, max } => write!(f, "{min}-{max}"),
        }
    }
}

/// How often and for how long a request is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) most: NonZeroU32,
    pub(crate) elapsed: Option<Duration>,
}

impl Attempts {
    /// How often, where nobody said.
    pub(crate) const MOST: NonZeroU32 = NonZeroU32::new(5).unwrap();
}
