//! What is done to a set, as words of the journal.
//!
//! Everything that an operation depends on is in it, the instant apart, which its record has. So whoever replays it comes
//! to the same. It tells lengths of time, not instants, so that one can be written before its instant is known.

use std::time::Duration;

use paceline::backend::Report;
use paceline_core::image::{Image, Words};
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

impl Image for Key {
    fn write(&self, out: &mut Vec<u64>) {
        self.member.write(out);
        self.permit.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { member: Member::read(words)?, permit: u128::read(words)? })
    }
}

impl Image for Patience {
    fn write(&self, out: &mut Vec<u64>) {
        match self {
            Self::None => out.push(0),
            Self::Within(wait) => {
                out.push(1);
                wait.write(out);
            }
            Self::Endless => out.push(2),
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(match words.word()? {
            0 => Self::None,
            1 => Self::Within(Duration::read(words)?),
            2 => Self::Endless,
            _ => return None,
        })
    }
}

impl Image for Asked {
    fn write(&self, out: &mut Vec<u64>) {
        self.key.write(out);
        self.demand.write(out);
        self.priority.write(out);
        self.waited.write(out);
        self.patience.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (key, demand) = (Key::read(words)?, Demand::read(words)?);
        let (priority, waited) = (Priority::read(words)?, Duration::read(words)?);
        Some(Self { key, demand, priority, waited, patience: Patience::read(words)? })
    }
}

fn read_index(words: &mut Words<'_>) -> Option<Index> {
    Index::try_from(words.word()?).ok()
}

fn read_all<T>(words: &mut Words<'_>, one: impl Fn(&mut Words<'_>) -> Option<T>) -> Option<Vec<T>> {
    (0..words.count()?).map(|_| one(words)).collect()
}

impl Image for Op {
    fn write(&self, out: &mut Vec<u64>) {
        match self {
            Self::Ask(asked) => {
                out.push(0);
                asked.write(out);
            }
            Self::Pump => out.push(1),
            Self::Cancel(permit) => {
                out.push(2);
                permit.write(out);
            }
            Self::Claim(permits) => {
                out.extend([3, permits.len() as u64]);
                permits.iter().for_each(|permit| permit.write(out));
            }
            Self::Release(member, grant) => {
                out.push(4);
                member.write(out);
                grant.write(out);
            }
            Self::Undo(member, grant) => {
                out.push(5);
                member.write(out);
                grant.write(out);
            }
            Self::Settle(member, grant, actual) => {
                out.push(6);
                member.write(out);
                grant.write(out);
                actual.write(out);
            }
            Self::Clear(member) => {
                out.push(7);
                member.write(out);
            }
            Self::Quota(limit, quota) => {
                out.extend([8, (*limit).into()]);
                quota.write(out);
            }
            Self::Capacity(limit, capacity) => out.extend([9, (*limit).into(), *capacity]),
            Self::Sync(limit, state, grant) => {
                out.extend([10, (*limit).into()]);
                state.write(out);
                grant.write(out);
            }
            Self::Pause(pause) => {
                out.push(11);
                pause.write(out);
            }
            Self::Resume => out.push(12),
            Self::Reset => out.push(13),
            Self::Close => out.push(14),
            Self::PassBy(member) => {
                out.push(15);
                member.write(out);
            }
            Self::Hold(member, grants) => {
                out.push(17);
                member.write(out);
                out.push(grants.len() as u64);
                grants.iter().for_each(|grant| grant.write(out));
            }
            Self::Took(member, grants) => {
                out.push(21);
                member.write(out);
                out.push(grants.len() as u64);
                grants.iter().for_each(|grant| grant.write(out));
            }
            Self::Used(limit, past) => {
                out.extend([22, (*limit).into(), past.len() as u64]);
                for (age, units) in past {
                    age.write(out);
                    out.push(*units);
                }
            }
            Self::End(member, grant, actual) => {
                out.push(16);
                member.write(out);
                grant.write(out);
                actual.write(out);
            }
            Self::Report(began, report) => {
                out.push(18);
                began.write(out);
                report.write(out);
            }
            Self::Pace(member, limit, quota) => {
                out.push(19);
                member.write(out);
                out.push((*limit).into());
                quota.write(out);
            }
            Self::Unlearn => out.push(20),
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(match words.word()? {
            0 => Self::Ask(Asked::read(words)?),
            1 => Self::Pump,
            2 => Self::Cancel(u128::read(words)?),
            3 => Self::Claim((0..words.count()?).map(|_| u128::read(words)).collect::<Option<_>>()?),
            4 => Self::Release(Member::read(words)?, Grant::read(words)?),
            5 => Self::Undo(Member::read(words)?, Grant::read(words)?),
            6 => Self::Settle(Member::read(words)?, Grant::read(words)?, Demand::read(words)?),
            7 => Self::Clear(Member::read(words)?),
            8 => Self::Quota(read_index(words)?, Quota::read(words)?),
            9 => Self::Capacity(read_index(words)?, words.word()?),
            10 => Self::Sync(read_index(words)?, ServerState::read(words)?, Option::read(words)?),
            11 => Self::Pause(Duration::read(words)?),
            12 => Self::Resume,
            13 => Self::Reset,
            14 => Self::Close,
            15 => Self::PassBy(Member::read(words)?),
            16 => Self::End(Member::read(words)?, Grant::read(words)?, Demand::read(words)?),
            17 => Self::Hold(Member::read(words)?, read_all(words, Grant::read)?),
            21 => Self::Took(Member::read(words)?, read_all(words, Grant::read)?),
            22 => {
                let limit = read_index(words)?;
                Self::Used(limit, read_all(words, |words| Some((Duration::read(words)?, words.word()?)))?)
            }
            18 => Self::Report(Option::read(words)?, Report::read(words)?),
            19 => Self::Pace(Member::read(words)?, read_index(words)?, Quota::read(words)?),
            20 => Self::Unlearn,
            _ => return None,
        })
    }
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
