//! From item to result: one loop that takes the input in order and lets each request wait for its limits, and a task
//! a request that takes it through its attempts.
//!
//! What bounds it: an item holds a slot from when it is met until its result is written, so requests that wait to be
//! sent again and results that wait for their turn are counted, too. How many are in flight at once is the limit set's
//! affair; waiting, judging, pausing and trying again is the library's.

mod attempts;
mod call;
mod members;
mod out;
mod request;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tower_layer::Layer as _;

use crate::args::{OnUnknown, ResultOrder};
use crate::bounds::Failures;
use crate::estimate::{Cost, Estimate, Learnt};
use crate::found::Found;
use crate::input::{BadLine, Item, Request};
use crate::job::Job;
use crate::journal::Journal;
use crate::limits::Counted;
use crate::output::{Origin, Outcome, ResultId, ResultLine, Results, Written};
use crate::screen::Screen;
use crate::send::Sender;
use crate::spend::Spend;
use crate::stop::{Cause, Stop};
use crate::tally::Tally;
use crate::waits::{self, Waits};
use attempts::Attempts;
use call::{Demand, Outgoing};
pub(crate) use members::{Member, Members};
pub(crate) use out::Out;
use paceline::tower::{FoundLimit, LimitLayer, LimitLayerBuilder, LimitService};
use paceline::{LimitSet, LimitSnapshot, Pipeline, Retry, Snapshot};

/// What all parts of a run share.
pub(crate) struct Shared {
    pub(crate) members: Arc<Members>,
    /// The limits that a demand names, once for all members; not those that every request takes one of unasked.
    keys: Vec<(Arc<str>, Counted)>,
    /// What answers told of besides.
    pub(crate) found: Arc<Found>,
    service: LimitService<Attempts, Outgoing>,
    pub(crate) estimate: Estimate,
    pub(crate) learnt: Learnt,
    pub(crate) origin: Origin,
    /// The endpoints.
    pub(crate) senders: Arc<[Sender]>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) spend: Arc<Spend>,
    failures: Failures,
    pub(crate) waits: Arc<Waits>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) screen: Arc<Screen>,
    pub(crate) journal: Arc<Journal>,
    on_unknown: OnUnknown,
    slots: u32,
    leaving: Arc<Semaphore>,
    /// Quotas that are shared cannot be asked for now, and that was said.
    quota_away: AtomicBool,
}

/// Requests that may be admitted and not yet on their way. A service counts from when they arrive, so a burst is admitted
/// no faster than it leaves, above all the first, for which connections must be made.
const LEAVING: usize = 32;

/// Requests that may wait to be sent again, or written, besides those in flight.
const SPARE: u64 = 256;

/// The same where results keep the input's order: the window in which one slow answer holds up no other request.
const SPARE_IN_ORDER: u64 = 1_024;

impl Shared {
    /// `members` are of the job's quota groups, `senders` of its endpoints, in their order.
    pub(crate) fn new(
        job: &Job,
        members: Members,
        senders: Arc<[Sender]>,
        screen: Arc<Screen>,
        journal: Arc<Journal>,
    ) -> Result<Self, paceline::Error> {
        let waits = Arc::clone(&members.waits);
        let members = Arc::new(members);
        let spare = match job.order {
            ResultOrder::Completion => SPARE,
            ResultOrder::Input => SPARE_IN_ORDER,
        };
        let stop = Arc::<Stop>::default();
        let tally = Arc::new(Tally::new(members.iter().map(|member| member.limits.len()).sum(), senders.len()));
        let attempts = Attempts::new(attempts::Parts {
            senders: Arc::clone(&senders),
            members: Arc::clone(&members),
            tally: Arc::clone(&tally),
            waits: Arc::clone(&waits),
            journal: Arc::clone(&journal),
            stop: Arc::clone(&stop),
        });
        let found = Arc::<Found>::default();
        let telling = (Arc::clone(&found), Arc::clone(&members), Arc::clone(&screen), Arc::clone(&journal));
        let on_found = move |set: &LimitSet, limit: &FoundLimit| {
            let (found, members, screen, journal) = &telling;
            found.note(members, set, limit, screen, journal);
        };
        let slots = u32::try_from(members.most().saturating_add(spare)).unwrap_or(MOST_SLOTS).min(MOST_SLOTS);
        Ok(Self {
            keys: members.keys(),
            found,
            service: layer(job, &members, &stop)?.on_found(on_found).build()?.layer(attempts),
            members,
            estimate: job.estimate,
            learnt: Learnt::default(),
            origin: job.origin,
            senders,
            tally,
            spend: Arc::new(Spend::new(job.prices.clone(), job.bounds.cost)),
            failures: Failures::new(job.bounds.failures),
            waits,
            stop,
            screen,
            journal,
            on_unknown: job.on_unknown,
            slots,
            leaving: Arc::new(Semaphore::new(LEAVING)),
            quota_away: AtomicBool::new(false),
        })
    }

    /// What a request uses at most, as far as anybody asks.
    fn estimate(&self, request: &Request) -> Cost {
        // Reading the body again is worth it only where a limit, or a bound on cost, asks what is in it.
        let asked = !self.keys.is_empty() || self.found.asks_for_tokens() || self.spend.is_bounded();
        if asked { self.estimate.of(request.body_text()) } else { Cost::default() }
    }

    fn demand(&self, cost: Cost) -> Demand {
        let stated = self.keys.iter().map(|(key, counted)| (Arc::clone(key), cost.units(*counted)));
        // What one group states, another may have found: it is named once all the same.
        let is_stated = |key: &Arc<str>| self.keys.iter().any(|(stated, _)| stated == key);
        stated.chain(self.found.demand(cost).into_iter().filter(|(key, _)| !is_stated(key))).collect()
    }

    /// Says anew what a demand that still waits is waiting for, since what held it first may have gone.
    fn look(&self, demand: &Demand) {
        // Of several the first that does not pause will do: they are alike, mostly.
        let lacking = self.members.iter().filter_map(|member| lacking(&member.set.snapshot(), demand));
        let (paused, lacking): (Vec<_>, Vec<_>) = lacking.partition(|limit| **limit == *waits::PAUSE);
        if let Some(limit) = lacking.first().or(paused.first()) {
            self.waits.relabel(limit);
        }
    }

    fn id(&self, line: u64) -> ResultId {
        ResultId { origin: self.origin, line }
    }
}

/// What a semaphore can count on every platform.
const MOST_SLOTS: u32 = u32::MAX >> 3;

/// What a demand lacks there. Concurrency is the last of them: what comes back at any moment is not what is waited for if
/// another is, too.
fn lacking(snapshot: &Snapshot, demand: &Demand) -> Option<Arc<str>> {
    if snapshot.closed {
        return None;
    }
    if snapshot.paused.is_some() {
        return Some(waits::PAUSE.into());
    }
    let lacks = |limit: &&LimitSnapshot| {
        let units = demand.iter().find(|(key, _)| *key == limit.key);
        limit.view.available < units.map_or(1, |(_, units)| *units)
    };
    snapshot.limits.iter().find(lacks).map(|limit| Arc::clone(&limit.key))
}

/// What takes requests through the limits, judges their answers and tries again.
fn layer(job: &Job, members: &Members, stop: &Arc<Stop>) -> Result<LimitLayerBuilder<Outgoing>, paceline::Error> {
    let retry = Retry::attempts(job.attempts.most.get());
    let retry = match job.attempts.elapsed {
        Some(elapsed) => retry.elapsed(elapsed),
        None => retry,
    };
    let pipeline = Pipeline::over(members.source()?).retry(retry);
    // One that fails is better than none.
    let pipeline = if members.are_one() { pipeline } else { pipeline.breaker(members::breaker()?) };
    let stop = Arc::clone(stop);
    let speak = |layer: LimitLayerBuilder<Outgoing>, member: &Member| {
        layer.member(&member.set, member.speech.dialect, member.speech.charges)
    };
    let layer = members
        .iter()
        .fold(LimitLayer::builder(pipeline.build()?), speak)
        .cost(|request: &http::Request<Outgoing>| request.body().call.demand.clone())
        .repeat_clones()
        .retry_if(move |_, _| !stop.is_draining());
    Ok(layer)
}

/// Drives every item to its result. Returns when all have one, or what is to stop has stopped.
pub(crate) async fn drive(shared: Arc<Shared>, mut items: mpsc::Receiver<Item>, results: Results) {
    let slots = Arc::new(Semaphore::new(shared.slots as usize));
    let mut tasks = JoinSet::new();
    let mut number = 0;
    while let Some((item, slot)) = next(&shared, &mut items, &slots).await {
        while tasks.try_join_next().is_some() {}
        shared.tally.met.add(item.lines());
        let request = match item {
            Item::Request(request) => request,
            Item::Unknown(request) if shared.on_unknown == OnUnknown::Retry => request,
            Item::Unknown(_) => {
                shared.tally.left_out.add(1);
                continue;
            }
            Item::Changed(what) => {
                shared.stop.drain(Cause::Changed(what));
                break;
            }
            Item::Bad(line) => {
                let outcome = bad(&shared, &line);
                number += send(&shared, &results, number, outcome, slot);
                continue;
            }
            Item::Known { lines, failed } => {
                shared.tally.known.add(lines);
                shared.tally.known_failed.add(failed);
                continue;
            }
            Item::Broken(error) => {
                shared.stop.drain(Cause::Input(error.to_string()));
                break;
            }
        };
        match request::admit(&shared, request).await {
            request::Admission::Granted(granted) => {
                let (shared, results, place) = (Arc::clone(&shared), results.clone(), number);
                tasks.spawn(async move {
                    let outcome = granted.run(&shared).await;
                    send(&shared, &results, place, outcome, slot);
                });
                number += 1;
            }
            request::Admission::Refused(outcome) => number += send(&shared, &results, number, outcome, slot),
            request::Admission::Stopped => break,
        }
    }
    finish(&shared, tasks).await;
}

/// The next item and a slot for it; none at the end or when nothing more is to be sent.
async fn next(
    shared: &Shared,
    items: &mut mpsc::Receiver<Item>,
    slots: &Arc<Semaphore>,
) -> Option<(Item, OwnedSemaphorePermit)> {
    let ready = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        Some((items.recv().await?, slot))
    };
    tokio::select! {
        biased;
        () = shared.stop.draining() => None,
        ready = ready => ready,
    }
}

/// Waits for what is in flight, or drops it where that is asked for.
async fn finish(shared: &Shared, mut tasks: JoinSet<()>) {
    tokio::select! {
        biased;
        () = shared.stop.aborting() => {
            shared.tally.abandoned.add(tasks.len() as u64);
            tasks.shutdown().await;
        }
        () = async { while tasks.join_next().await.is_some() {} } => {}
    }
}

fn bad(shared: &Shared, line: &BadLine) -> Outcome {
    let BadLine { line, custom_id, code, message } = line;
    tracing::info!(line, "{message}");
    shared.tally.note_failure(|| message.to_string());
    let result = ResultLine::failed(shared.id(*line), custom_id.as_deref(), *code, message);
    Outcome::Failed(result.to_bytes())
}

/// Hands a result to the writer. Gives the one place that it took.
fn send(shared: &Shared, results: &Results, number: u64, outcome: Outcome, slot: OwnedSemaphorePermit) -> u64 {
    let ended = match outcome {
        Outcome::Succeeded(_) => shared.failures.note(false),
        Outcome::Failed(_) => shared.failures.note(true),
        Outcome::Abandoned => None,
    };
    if let Some(bound) = ended {
        shared.stop.drain(Cause::Bound(bound));
    }
    results.send(Written { number, outcome, slot });
    1
}
