//! A replica as words.

use std::collections::BTreeMap;

use paceline::backend::Learnt;
use paceline_core::image::{Image, Words};
use paceline_core::{Grant, Index, Quota, Refusal, Set};

use super::row::Row;
use super::{Replica, Verdict};
use crate::member::Member;
use crate::op::Key;

impl Image for Verdict {
    fn write(&self, out: &mut Vec<u64>) {
        match self {
            Self::Granted(grant) => {
                out.push(0);
                grant.write(out);
            }
            Self::Refused(Refusal::Closed) => out.push(1),
            Self::Refused(Refusal::TooLarge { limit, asked, capacity }) => {
                out.extend([2, (*limit).into(), *asked, *capacity]);
            }
            Self::TooLate => out.push(3),
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(match words.word()? {
            0 => Self::Granted(Grant::read(words)?),
            1 => Self::Refused(Refusal::Closed),
            2 => {
                let limit = Index::try_from(words.word()?).ok()?;
                Self::Refused(Refusal::TooLarge { limit, asked: words.word()?, capacity: words.word()? })
            }
            3 => Self::TooLate,
            _ => return None,
        })
    }
}

impl Image for Replica {
    fn write(&self, out: &mut Vec<u64>) {
        out.extend([self.now.as_nanos(), self.arrivals]);
        self.set.write(out);
        out.push(self.rows.len() as u64);
        for (member, row) in &self.rows {
            member.write(out);
            out.extend([row.active, row.held.len() as u64]);
            out.extend(&row.held);
            write_quotas(&row.words, out);
        }
        self.learnt.write(out);
        write_quotas(&self.stated, out);
        out.push(self.unclaimed.len() as u64);
        for (permit, (member, verdict)) in &self.unclaimed {
            permit.write(out);
            member.write(out);
            verdict.write(out);
        }
        out.push(self.passed.len() as u64);
        for (permit, (member, grant)) in &self.passed {
            permit.write(out);
            member.write(out);
            grant.write(out);
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (now, arrivals) = (words.past()?, words.word()?);
        let mut replica = Self { arrivals, ..Self::new(Set::read(words)?, now) };
        replica.tickets = replica.set.waiters().map(|(ticket, key)| (key.permit, ticket)).collect();
        let limits = replica.set.limits().len();
        for _ in 0..words.count()? {
            let (member, active) = (Member::read(words)?, words.word()?);
            let count = words.count().filter(|count| *count <= limits)?;
            let held = (0..count).map(|_| words.word()).collect::<Option<_>>()?;
            let words = read_quotas(&replica.set, words)?;
            replica.rows.insert(member, Row { active, held, words });
        }
        replica.learnt = Learnt::read(words)?;
        replica.stated = read_quotas(&replica.set, words)?;
        if !replica.is_sound() {
            return None;
        }
        for _ in 0..words.count()? {
            let (permit, member) = (u128::read(words)?, Member::read(words)?);
            let verdict = Verdict::read(words)?;
            let fits = match &verdict {
                Verdict::Granted(grant) => replica.set.has_all_of(&grant.charged),
                Verdict::Refused(Refusal::TooLarge { limit, .. }) => usize::from(*limit) < limits,
                Verdict::Refused(Refusal::Closed) | Verdict::TooLate => true,
            };
            if !fits {
                return None;
            }
            replica.unclaimed.insert(permit, (member, verdict));
        }
        for _ in 0..words.count()? {
            let (permit, member, grant) = (u128::read(words)?, Member::read(words)?, Grant::read(words)?);
            if !replica.set.has_all_of(&grant.charged) {
                return None;
            }
            replica.passed.insert(permit, (member, grant));
        }
        (replica.tickets.len() == replica.set.waiting()).then_some(replica)
    }
}

fn write_quotas(quotas: &BTreeMap<Index, Quota>, out: &mut Vec<u64>) {
    out.push(quotas.len() as u64);
    for (limit, quota) in quotas {
        out.push((*limit).into());
        quota.write(out);
    }
}

/// Quotas of rates that the set has.
fn read_quotas(set: &Set<Key>, words: &mut Words<'_>) -> Option<BTreeMap<Index, Quota>> {
    let mut quotas = BTreeMap::new();
    for _ in 0..words.count()? {
        let limit = Index::try_from(words.word()?).ok()?;
        set.limits().get(usize::from(limit))?.quota()?;
        quotas.insert(limit, Quota::read(words)?);
    }
    Some(quotas)
}
