//! The answers of the engine.

use std::time::Duration;

use crate::demand::Index;
use crate::time::Time;

/// The answer to a demand. Waits are relative, so that clocks never have to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// All of it is charged.
    Granted,
    /// Nothing is charged; by what is known now it can be after this long. [`Duration::MAX`] where it depends on
    /// something being given back.
    Wait(Duration),
    /// Nothing is charged and never will be.
    Never(Refusal),
}

/// Why a demand can never be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The set was closed.
    Closed,
    /// It asks for more than a limit can ever grant at once.
    TooLarge {
        /// The limit.
        limit: Index,
        /// Units asked for.
        asked: u64,
        /// The most it can grant at once.
        capacity: u64,
    },
}

/// When a limit has room for some units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    Now,
    /// Then, if nothing else is charged.
    At(Time),
    /// When something is given back; nobody knows when.
    OnReturn,
    Never,
}

impl Ready {
    /// `At(then)`, or `Now` where that has come.
    pub(crate) fn at(then: Time, now: Time) -> Self {
        if then <= now { Self::Now } else { Self::At(then) }
    }

    /// Both conditions together.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::OnReturn, _) | (_, Self::OnReturn) => Self::OnReturn,
            (Self::At(a), Self::At(b)) => Self::At(a.max(b)),
            (Self::At(t), Self::Now) | (Self::Now, Self::At(t)) => Self::At(t),
            (Self::Now, Self::Now) => Self::Now,
        }
    }
}
