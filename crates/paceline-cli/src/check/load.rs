//! How long a job lasts by what is known of its quotas, and what makes it so.

use std::time::Duration;

use crate::endpoint::Group;
use crate::estimate::Cost;
use crate::job::{Concurrency, Job};
use crate::limits::Counted;

/// What is asked of quotas.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) cost: Cost,
    /// How long an answer takes.
    pub(super) mean: Option<Duration>,
}

/// Something that makes a job last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Holds {
    /// Whose limit it is, where there are several quotas.
    pub(super) quota: Option<String>,
    pub(super) kind: Kind,
    /// `requests`, `concurrency`.
    name: String,
    /// As it would be given: `requests=60/1m`.
    pub(super) limit: String,
    pub(super) amount: u64,
    pub(super) units: u64,
    /// None where that depends on how long answers take, and nobody said.
    pub(super) time: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rate(Counted),
    /// How many are in flight; `found` where that is found on the way.
    AtOnce {
        found: bool,
    },
}

/// What to raise to go faster.
#[derive(Debug, PartialEq)]
pub(super) struct Faster {
    pub(super) raise: String,
    /// Beyond this something else binds; none where nothing else is known to.
    pub(super) to: Option<u64>,
    pub(super) then: Option<String>,
    pub(super) time: Duration,
}

impl Load {
    pub(super) fn add(&mut self, cost: Cost) {
        self.requests += 1;
        self.cost.input_tokens = self.cost.input_tokens.saturating_add(cost.input_tokens);
        self.cost.output_tokens = self.cost.output_tokens.saturating_add(cost.output_tokens);
    }

    /// Everything that would make the job last if each quota had all of it, in the order in which limits are told.
    pub(super) fn holds(&self, job: &Job) -> Vec<Holds> {
        job.groups.iter().flat_map(|group| self.at(job, group)).collect()
    }

    /// How long it takes by what is known, and what makes it so; none where nothing does.
    pub(super) fn binding(&self, job: &Job) -> Option<Holds> {
        self.together(job, None)
    }

    /// The limit whose rise would gain most.
    pub(super) fn faster(&self, job: &Job) -> Option<Faster> {
        let now = self.binding(job)?.time?;
        let ways = job.groups.iter().filter_map(|group| {
            let binding = self.longest(job, group, None)?;
            let then = self.together(job, Some(&binding));
            let next = self.longest(job, group, Some(&binding)).and_then(|next| next.time).unwrap_or_default();
            let to = match binding.time {
                Some(longest) if !next.is_zero() => {
                    Some((binding.amount as f64 * longest.as_secs_f64() / next.as_secs_f64()).ceil() as u64)
                }
                _ => None,
            };
            let time = then.as_ref().and_then(|then| then.time).unwrap_or_default();
            Some(Faster { raise: binding.label(), to, then: then.map(|then| then.label()), time })
        });
        ways.min_by_key(|faster| faster.time).filter(|faster| faster.time < now)
    }

    /// The longest of all when the job is shared out among the quotas by their speeds, as if that one were not there.
    fn together(&self, job: &Job, without: Option<&Holds>) -> Option<Holds> {
        let alone = job.groups.iter().map(|group| self.longest(job, group, without)?.time.filter(|it| !it.is_zero()));
        // One that holds up nothing can have all of it.
        let speeds: Vec<f64> = alone.map(|time| Some(time?.as_secs_f64().recip())).collect::<Option<_>>()?;
        let whole: f64 = speeds.iter().sum();
        let shares = job.groups.iter().zip(speeds);
        let longest = shares.filter_map(|(group, speed)| self.share(speed / whole).longest(job, group, without));
        longest.max_by_key(|holds| holds.time).filter(|holds| holds.time.is_some_and(|time| !time.is_zero()))
    }

    fn longest(&self, job: &Job, group: &Group, without: Option<&Holds>) -> Option<Holds> {
        let all = self.at(job, group).filter(|holds| !without.is_some_and(|without| without.is(holds)));
        all.max_by_key(|holds| holds.time)
    }

    /// What makes it last there.
    fn at<'a>(&'a self, job: &Job, group: &'a Group) -> impl Iterator<Item = Holds> + 'a {
        let quota = (job.groups.len() > 1).then(|| group.name.clone());
        let of = quota.clone();
        let rates = group.limits.iter().map(move |limit| {
            let units = self.units(limit.counted);
            Holds {
                quota: of.clone(),
                kind: Kind::Rate(limit.counted),
                name: limit.name.clone(),
                limit: limit.to_string(),
                amount: limit.amount,
                units,
                time: Some(limit.time_for(units)),
            }
        });
        let amount = group.concurrency.most();
        // The last answers come after whatever else, so a job that fits at once still takes one.
        let rounds = self.requests.div_ceil(amount.max(1));
        let at_once = Holds {
            quota,
            kind: Kind::AtOnce { found: matches!(group.concurrency, Concurrency::Adaptive { .. }) },
            name: "concurrency".into(),
            limit: format!("concurrency={}", group.concurrency),
            amount,
            units: self.requests,
            time: self.mean.map(|mean| mean.mul_f64(rounds as f64)),
        };
        rates.chain([at_once])
    }

    fn units(&self, counted: Counted) -> u64 {
        match counted {
            Counted::Requests => self.requests,
            counted => self.cost.units(counted),
        }
    }

    /// A part of it.
    fn share(&self, share: f64) -> Self {
        let part = |of: u64| (of as f64 * share).ceil() as u64;
        let Cost { input_tokens, output_tokens } = self.cost;
        let cost = Cost { input_tokens: part(input_tokens), output_tokens: part(output_tokens) };
        Self { requests: part(self.requests), cost, mean: self.mean }
    }
}

impl Holds {
    /// Its name where people see it.
    pub(super) fn label(&self) -> String {
        match &self.quota {
            Some(quota) => format!("{quota}:{}", self.name),
            None => self.name.clone(),
        }
    }

    fn is(&self, other: &Self) -> bool {
        (&self.quota, &self.limit) == (&other.quota, &other.limit)
    }
}
