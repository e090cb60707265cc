//! Operations as words of a journal.

use std::time::Duration;

use paceline::backend::Report;
use paceline_core::image::{Image, Words};
use paceline_core::{Demand, Grant, Index, Priority, Quota, ServerState};

use super::{Asked, Key, Op, Patience};
use crate::member::Member;

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
            Self::End(member, grant, actual) => {
                out.push(16);
                member.write(out);
                grant.write(out);
                actual.write(out);
            }
            Self::Hold(member, grants) => {
                out.push(17);
                member.write(out);
                out.push(grants.len() as u64);
                grants.iter().for_each(|grant| grant.write(out));
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
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(match words.word()? {
            0 => Self::Ask(Asked::read(words)?),
            1 => Self::Pump,
            2 => Self::Cancel(u128::read(words)?),
            3 => Self::Claim(read_all(words, u128::read)?),
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
            18 => Self::Report(Option::read(words)?, Report::read(words)?),
            19 => Self::Pace(Member::read(words)?, read_index(words)?, Quota::read(words)?),
            20 => Self::Unlearn,
            21 => Self::Took(Member::read(words)?, read_all(words, Grant::read)?),
            22 => {
                let limit = read_index(words)?;
                Self::Used(limit, read_all(words, |words| Some((Duration::read(words)?, words.word()?)))?)
            }
            _ => return None,
        })
    }
}
