//! The steps of `test` and `soak`.

pub(crate) mod cargo;
pub(crate) mod examples;
pub(crate) mod fuzz;
pub(crate) mod licences;
pub(crate) mod portable;
pub(crate) mod quickstart;

/// How long a check that can go on for ever does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Minutes: at every change.
    Usual,
    /// As long as it takes: before a release, or when in doubt.
    Soak,
}
