//! The service's own word on a limit, as its answers carry it.

use std::time::Duration;

use crate::time::Time;

/// What a service said of one limit.
///
/// Taken as the truth about its own side: the amount in force becomes the smaller of ours and its `limit`, and what is
/// available the smaller of ours and its `remaining`, less what was charged here after the request that it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerState {
    /// Units per period that it allows.
    pub limit: Option<u64>,
    /// Units it had left when it answered.
    pub remaining: Option<u64>,
    /// When they come back.
    pub reset: Option<Reset>,
    /// Whether its word also raises what is available and allowed, not only lowers it.
    pub authoritative: bool,
}

/// What a reset time means; the same header has both meanings at different providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// All units are back after this long, by even refill.
    Full(Duration),
    /// The running window ends after this long, and all units come back at once.
    Window(Duration),
}

impl Reset {
    pub(crate) fn window_end(self, now: Time) -> Option<Time> {
        match self {
            Self::Full(left) | Self::Window(left) => Some(now + left),
        }
    }
}
