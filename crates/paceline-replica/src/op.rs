//! What is done to a set.
//!
//! Everything that an operation depends on is in it, the instant apart, which its record has. So whoever replays it comes
//! to the same. It tells lengths of time, not instants, so that one can be written before its instant is known.

mod words;

use std::time::Duration;

use paceline::backend::Report;
use paceline_core::{Demand, Grant, Index, Priority, Quota, ServerState, Time};

use crate::member::Member;

/// Whose demand waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Who asked.
    pub member: Member,
    /// For what, as a word.
    pub permit: u128,
}

/// A demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Whose.
    pub key: Key,
    /// What it asks for.
    pub demand: Demand,
    /// How urgent it is.
    pub priority: Priority,
    /// How long before this operation it arrived.
    pub waited: Duration,
    /// How long it would wait from this operation on.
    pub patience: Patience,
}

/// How long a demand would wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Not at all: it takes no place in the queue.
    None,
    /// At most so long.
    Within(Duration),
    /// As long as it takes.
    Endless,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A demand is granted, refused or let wait.
    Ask(Asked),
    /// Time alone.
    Pump,
    /// A wait is given up.
    Cancel(u128),
    /// A member has taken note of what became of these demands.
    Claim(Vec<u128>),
    /// A permit comes back.
    Release(Member, Grant),
    /// A member holds these, waits for nothing, and has nothing else: told to a state that may have forgotten some of it.
    /// What they hold of resources counts; rates remember what they were charged, or have forgotten it for good.
    Hold(Member, Vec<Grant>),
    /// A member holds these too, which nobody was asked for: rates are [told](Self::Used) apart.
    Took(Member, Vec<Grant>),
    /// Units of a rate that were used and nobody was asked for, and how long before this operation.
    Used(Index, Vec<(Duration, u64)>),
    /// A permit comes back, charged what it really was.
    End(Member, Grant, Demand),
    /// A permit that nobody has used comes back.
    Undo(Member, Grant),
    /// A permit is charged what it really was.
    Settle(Member, Grant, Demand),
    /// A member is gone: what it held and waited for is not its any more.
    Clear(Member),
    /// A member does not take note of what it was granted: others go first until it asks again.
    PassBy(Member),
    /// Another quota.
    Quota(Index, Quota),
    /// Another capacity.
    Capacity(Index, u64),
    /// The service's word, and the grant of the call whose answer carried it.
    Sync(Index, ServerState, Option<Grant>),
    /// A closed gate.
    Pause(Duration),
    /// An open gate.
    Resume,
    /// Nothing used.
    Reset,
    /// No more grants.
    Close,
    /// An attempt ended. When its permit was granted, unless its owner does not know that any more.
    Report(Option<Time>, Report),
    /// How carefully a member would have a quota counted.
    Pace(Member, Index, Quota),
    /// Nothing learnt.
    Unlearn,
}

impl Op {
    /// The limits it names beside those of demands.
    pub(crate) fn limit(&self) -> Option<Index> {
        match self {
            Self::Quota(limit, _)
            | Self::Capacity(limit, _)
            | Self::Sync(limit, ..)
            | Self::Pace(_, limit, _)
            | Self::Used(limit, _) => Some(*limit),
            _ => None,
        }
    }

    /// The demands and charges it names.
    pub(crate) fn demands(&self) -> impl Iterator<Item = &Demand> {
        let (first, second, rest) = match self {
            Self::Ask(asked) => (Some(&asked.demand), None, &[][..]),
            Self::Release(_, grant) | Self::Undo(_, grant) | Self::Sync(_, _, Some(grant)) => {
                (Some(&grant.charged), None, &[][..])
            }
            Self::Settle(_, grant, actual) | Self::End(_, grant, actual) => {
                (Some(&grant.charged), Some(actual), &[][..])
            }
            Self::Hold(_, grants) | Self::Took(_, grants) => (None, None, &grants[..]),
            _ => (None, None, &[][..]),
        };
        first.into_iter().chain(second).chain(rest.iter().map(|grant| &grant.charged))
    }
}
