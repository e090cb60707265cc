//! What earlier runs left, opened and checked before anything is sent.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;

use anyhow::Result;
use paceline::Error;

use crate::args::OnUnknown;
use crate::drive::{Member, Members};
use crate::endpoint::Group;
use crate::input::{Ids, Results, Survey};
use crate::job::{Job, Output};
use crate::journal::record::{Endpoint, Limit, Record, Run, VERSION};
use crate::journal::{self, Journal, Opened, Past, Recalled, Terms, Tracked};
use crate::output::{Resumed, Sink};
use crate::price::Usd;
use crate::screen::{Screen, count};
use crate::time::{epoch_ms, millis};

/// An output that is open and locked, and what is known of its requests.
pub(crate) struct Before {
    pub(crate) sink: Sink,
    pub(crate) journal: Journal,
    pub(crate) past: Past,
    pub(crate) spent: Usd,
    pub(crate) ids: Ids,
    /// None where nothing is known, or the input is a stream.
    pub(crate) survey: Option<Survey>,
    results: Resumed,
    torn_journal: bool,
    /// Whether an earlier run of this output left a journal.
    kept: bool,
    /// Requests with no known end, where there is no survey to tell which.
    unknown: u64,
}

impl Before {
    /// Opens the output and its journal, and holds the input against them.
    ///
    /// # Errors
    /// One of the files cannot be used, or the input is not what was begun.
    pub(crate) fn open(job: &Job) -> Result<Self> {
        let mut results = Results::default();
        let mut sink = Sink::open(&job.output)?;
        // Where much is done, both are long.
        let (resumed, left) = thread::scope(|scope| {
            let left = scope.spawn(|| journal::read(&job.output, recalled(job)));
            let resumed = sink.go_on(&job.output, &mut results);
            (resumed, left.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let resumed = resumed?;
        let Opened { journal, recalled, torn } = left?.open()?;
        let Recalled { starts, past, spent, run, .. } = recalled;
        let mut ids = Ids::known(starts, results);
        let survey = Survey::take(&job.input, &mut ids)?;
        let [.., unknown] = ids.fates();
        Ok(Self {
            sink,
            journal,
            past,
            spent,
            ids,
            survey,
            results: resumed,
            torn_journal: torn,
            kept: run.is_some(),
            unknown,
        })
    }

    /// Says what there is to go on with.
    pub(crate) fn announce(&self, job: &Job, screen: &Screen) {
        let Output::File(path) = &job.output else { return };
        let (name, journal) = (path.display(), journal::beside(path));
        if self.results.torn {
            screen.say(&format!("{name}: the last line was torn and has been cut off"));
        }
        if self.torn_journal {
            screen.say(&format!("{}: the last line was torn and has been cut off", journal.display()));
        }
        if self.results.results > 0 {
            let results = count(self.results.results, "result");
            screen.say(&format!("resuming: {name} has {results}; those requests are not sent again"));
            if !self.kept {
                screen.say(&format!(
                    "there is no {}: requests are known by their custom_ids alone, whatever they ask for",
                    journal.display()
                ));
            }
        }
        self.announce_unknown(job, screen);
    }

    fn announce_unknown(&self, job: &Job, screen: &Screen) {
        let (unknown, named) = match &self.survey {
            Some(survey) => (survey.unknown_count, &survey.unknown[..]),
            None => (self.unknown, &[][..]),
        };
        if unknown == 0 {
            return;
        }
        let more = if unknown > named.len() as u64 && !named.is_empty() { ", …" } else { "" };
        let named = if named.is_empty() { String::new() } else { format!(" ({}{more})", named.join(", ")) };
        let then = match job.on_unknown {
            OnUnknown::Retry => "sent again, since they may not have been answered; --on-unknown skip leaves them out",
            OnUnknown::Skip => "left out, since they may have been answered; --on-unknown retry sends them again",
        };
        screen.say(&format!("{} in flight when an earlier run ended{named}: {then}", count(unknown, "request")));
    }

    /// Writes that a run begins.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) fn begin(&self, job: &Job) -> std::io::Result<()> {
        let of = |group: &Group| -> Vec<Endpoint> {
            let limits: Vec<_> = group.limits.iter().map(recorded).collect();
            let endpoint =
                |name: &str| Endpoint { name: name.into(), quota: group.name.clone(), limits: limits.clone() };
            group.endpoints.iter().map(|it| endpoint(&it.name)).collect()
        };
        let concurrency: Vec<_> = job.groups.iter().map(|group| group.concurrency.to_string()).collect();
        self.journal.write(&Record::Run(Run {
            version: VERSION,
            at: epoch_ms(),
            input: job.input.name(),
            concurrency: concurrency.join(", "),
            endpoints: job.groups.iter().flat_map(of).collect(),
        }))?;
        self.journal.sync()
    }
}

/// What [`peek`] finds.
pub(crate) struct Peeked {
    pub(crate) ids: Ids,
    pub(crate) survey: Option<Survey>,
    /// What earlier runs cost, as far as prices were known.
    pub(crate) spent: Usd,
}

/// What is known of the requests of an output, which stays as it is.
pub(crate) fn peek(job: &Job) -> Result<Peeked> {
    let (mut ids, spent) = known(job)?;
    let survey = Survey::take(&job.input, &mut ids)?;
    Ok(Peeked { ids, survey, spent })
}

fn known(job: &Job) -> Result<(Ids, Usd)> {
    let mut results = Results::default();
    Sink::peek(&job.output, &mut results)?;
    let mut recalled = nothing();
    if let Output::File(path) = &job.output {
        journal::peek(path, &mut recalled)?;
    }
    Ok((Ids::known(recalled.starts, results), recalled.spent))
}

/// The requests of an output as [`peek`] knows them, where those that failed may have changed.
pub(crate) fn failed(job: &Job) -> Result<Ids> {
    let (mut ids, _) = known(job)?;
    ids.forgive_failed();
    Survey::take(&job.input, &mut ids)?;
    Ok(ids)
}

/// For the journal of an output whose limits do not matter.
pub(crate) fn nothing() -> Recalled {
    Recalled::new(Past::new([]), BTreeMap::new())
}

/// Charges fresh sets what earlier runs spent of their limits.
///
/// # Errors
/// A set is not made of its limits.
pub(crate) fn charge(past: &Past, members: &Members) -> Result<(), Error> {
    members.iter().try_for_each(|member| {
        let recall =
            |limit: &crate::limits::Limit| member.set.recall(&*limit.name, past.of(&tracked(member.name(), limit)));
        member.limits.iter().try_for_each(recall)
    })
}

/// Whether earlier runs spent anything that still counts.
pub(crate) fn has_spent(past: &Past, member: &Member) -> bool {
    member.limits.iter().any(|limit| past.of(&tracked(member.name(), limit)).iter().any(|(_, units)| *units > 0))
}

fn recalled(job: &Job) -> Recalled {
    let limits =
        |group: &Group| -> Vec<Tracked> { group.limits.iter().map(|limit| tracked(&group.name, limit)).collect() };
    let terms = |group: &Group| {
        let timeout = group.endpoints.iter().map(|endpoint| endpoint.timeout).max().unwrap_or_default();
        (group.name.clone(), Terms { timeout, charges: group.speech.charges })
    };
    Recalled::new(Past::new(job.groups.iter().flat_map(limits)), job.groups.iter().map(terms).collect())
}

fn tracked(quota: &str, limit: &crate::limits::Limit) -> Tracked {
    Tracked { quota: quota.into(), counted: limit.counted, window: limit.guarded() }
}

/// A limit as the journal has it.
pub(crate) fn recorded(limit: &crate::limits::Limit) -> Limit {
    Limit {
        name: limit.name.clone(),
        counted: limit.counted.as_str().into(),
        amount: limit.amount,
        window_ms: millis(limit.window),
        burst: limit.burst,
        guard_ms: millis(limit.guard),
    }
}
