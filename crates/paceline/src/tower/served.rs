//! What is known of an answer besides itself.

use std::time::Duration;

use paceline_core::headers::Facts;

use crate::set::LimitSet;

/// What an answer said of limits and what it took to get it: in the extensions of every answer that comes through a
/// [`LimitService`](super::LimitService).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// What the last attempt's answer says, by its head and, of an error, its body. The usage of a success is known
    /// once its body has been read: [`LimitBody::usage`](super::LimitBody::usage).
    pub facts: Facts,
    /// Attempts that were made, each of them charged.
    pub attempts: u32,
    /// How long it waited for limits.
    pub waited: Duration,
    /// How long it waited to try again.
    pub backed_off: Duration,
    /// The set that served the last attempt: of a pool, the member.
    pub set: LimitSet,
}
