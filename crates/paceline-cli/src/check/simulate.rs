//! The run itself, in virtual time and with nobody at the other end.
//!
//! Loop, limits, controllers, retries and bounds are those of [`drive`](crate::drive): only the clock is one that jumps to
//! whatever is waited for next, and the service a draw of latencies. What is read blocks that clock, so it takes no time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use paceline::Clock;

use super::latency::Latencies;
use crate::args::Progress;
use crate::drive::{Members, Shared, drive};
use crate::input::Source;
use crate::job::Job;
use crate::journal::Journal;
use crate::output::Results;
use crate::resume::{self, Peeked};
use crate::screen::Screen;
use crate::send::{Sender, Simulated};
use crate::stop::Cause;

/// What a simulated run came to.
pub(super) struct Simulation {
    pub(super) elapsed: Duration,
    pub(super) done: u64,
    pub(super) attempts: u64,
    pub(super) most_in_flight: u64,
    /// How long each limit was waited for, the longest first.
    pub(super) waits: Vec<(Arc<str>, Duration)>,
    /// Why it ended early.
    pub(super) stopped: Option<String>,
}

pub(super) fn simulate(job: &Job, latencies: Latencies) -> Result<Simulation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.context("cannot start")?.block_on(whole(job, latencies))
}

async fn whole(job: &Job, latencies: Latencies) -> Result<Simulation> {
    let service = Arc::new(Simulated::new(latencies));
    let endpoints = job.groups.iter().flat_map(|group| &group.endpoints);
    let senders = endpoints.map(|endpoint| Sender::simulated(endpoint, Arc::clone(&service))).collect();
    let screen = Arc::new(Screen::new(Progress::None, true));
    // The time that it goes by can be made to jump. Others who would share its quotas are not simulated.
    let members = Members::new(job, Clock::tokio(), None)?;
    let shared = Arc::new(Shared::new(job, members, senders, screen, Arc::new(Journal::none()))?);
    let Peeked { ids, survey, spent } = resume::peek(job)?;
    shared.spend.begin_with(spent);
    let forget = Results::Counted(Arc::clone(&shared.tally));
    drive(Arc::clone(&shared), Source::open(&job.input)?.feed(ids, survey), forget).await;
    let tally = &shared.tally;
    let totals: BTreeMap<_, _> = shared.waits.totals();
    let mut waits: Vec<_> = totals.into_iter().filter(|(_, waited)| *waited >= Duration::from_millis(10)).collect();
    waits.sort_by_key(|(_, waited)| std::cmp::Reverse(*waited));
    Ok(Simulation {
        elapsed: tally.elapsed(),
        done: tally.succeeded.get() + tally.failed.get(),
        attempts: tally.attempts.get(),
        most_in_flight: service.most_in_flight(),
        waits,
        stopped: shared.stop.cause().map(|cause| match cause {
            Cause::Bound(bound) => bound.to_string(),
            Cause::Unpriced { line, .. } => format!("no price is known for the model of line {line}"),
            cause => cause.word().into(),
        }),
    })
}
