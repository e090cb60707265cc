//! `paceline run`: everything started, waited for, and said.

use std::panic::resume_unwind;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use paceline::Clock;
use paceline_mock::Mock;

use crate::drive::{Members, Shared, drive};
use crate::exit::{Exit, Halt};
use crate::input::{self, Source};
use crate::job::{Concurrency, Input, Job, Output};
use crate::journal::record::{Record, Stopped};
use crate::journal::{self, Past};
use crate::output::{self, Origin};
use crate::resume::{self, Before};
use crate::screen::{Screen, count};
use crate::send::Sender;
use crate::sharing::{Sharing, Store, settled, unopened};
use crate::stop::{self, Cause};
use crate::time::epoch_ms;
use crate::{bounds, progress, rehearsal, summary};

pub(crate) fn run(job: Job, screen: Screen) -> Result<Exit, Halt> {
    let source = Source::open(&job.input)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    let (members, store) = runtime.block_on(members(&job))?;
    let before = Before::open(&job)?;
    let exit = runtime.block_on(async {
        let exit = whole(job, Arc::new(screen), source, members, before).await;
        if let Some(store) = store {
            if let Err(error) = store.arrive().await {
                tracing::warn!(%error, "the store of shared limits has not heard of all that was used");
            }
        }
        exit
    });
    // What is still open is nobody's business any more.
    runtime.shutdown_background();
    exit
}

/// The quotas, which may be others' as well.
async fn members(job: &Job) -> Result<(Members, Option<Store>), Halt> {
    // It goes on while this machine sleeps.
    let clock = Clock::boot();
    let Some(sharing) = &job.shared else {
        return Ok((Members::new(job, clock, None).map_err(anyhow::Error::new)?, None));
    };
    let store = Store::open(sharing).await.map_err(unopened)?;
    let members = async {
        let members = Members::new(job, clock, Some(&store))?;
        for member in members.iter() {
            // Others may have made it, with other limits.
            settled(&member.set).await?;
        }
        Ok(members)
    };
    let members = members.await;
    match members {
        Ok(members) => Ok((members, Some(store))),
        Err(error) => Err(store.refused(&error).await),
    }
}

/// With whom a quota is shared, and what that does not know.
fn announce_shared(sharing: &Sharing, members: &Members, past: &Past, screen: &Screen) {
    for member in members.iter() {
        let known = member.set.snapshot();
        screen.say(&match known.members.saturating_sub(1) {
            0 => format!("sharing the quota {sharing}; nobody else does so now"),
            others => format!("sharing the quota {sharing} with {others} more"),
        });
        let forgotten = known.granted == 0 && resume::has_spent(past, member);
        if forgotten {
            screen.say(&format!(
                "{sharing} is new: what earlier runs sent within its windows is not charged to it, so the service may \
                 refuse some requests at first"
            ));
        }
    }
}

/// All of it, within a runtime.
async fn whole(
    mut job: Job,
    screen: Arc<Screen>,
    source: Source,
    members: Members,
    before: Before,
) -> Result<Exit, Halt> {
    announce(&job, &screen);
    before.announce(&job, &screen);
    let mocks = match job.origin {
        Origin::Service => Vec::new(),
        Origin::Rehearsal => rehearsal::start(&mut job).await?,
    };
    let job = &job;
    before.begin(job).context("cannot write the journal")?;
    let Before { sink, journal, past, spent, ids, survey, .. } = before;
    let journal = Arc::new(journal);
    let shared = Shared::new(job, members, Sender::all(job)?, screen, Arc::clone(&journal));
    let shared = Arc::new(shared.map_err(anyhow::Error::new)?);
    shared.spend.begin_with(spent);
    match &job.shared {
        // What runs that share it have sent it knows already.
        Some(sharing) => announce_shared(sharing, &shared.members, &past, &shared.screen),
        None => resume::charge(&past, &shared.members).map_err(anyhow::Error::new)?,
    }

    match &survey {
        Some(survey) => drop(shared.tally.total.set(survey.lines)),
        None => count_lines(job, &shared),
    }
    let (tally, stop) = (Arc::clone(&shared.tally), Arc::clone(&shared.stop));
    let (results, writer) = output::spawn(sink, job.order, Arc::clone(&journal), tally, stop);
    let levels = tokio::spawn(journal::watch_level(Arc::clone(&shared)));
    let tally = Arc::clone(&shared.tally);
    let in_flight = move || tally.in_flight.get();
    let signals = tokio::spawn(stop::listen(Arc::clone(&shared.stop), Arc::clone(&shared.screen), in_flight));
    let tally = Arc::clone(&shared.tally);
    let in_flight = move || tally.in_flight.get();
    let time = tokio::spawn(bounds::watch(job.bounds, Arc::clone(&shared.stop), Arc::clone(&shared.screen), in_flight));
    let shown = progress::start(job.progress, &shared);

    // On a worker, which the tasks that it is woken by run on, too.
    let driven = tokio::spawn(drive(Arc::clone(&shared), source.spawn(ids, survey), results)).await;
    if let Some(panic) = driven.err().and_then(|error| error.try_into_panic().ok()) {
        resume_unwind(panic);
    }

    let written = tokio::task::spawn_blocking(move || writer.join()).await;
    if let Some(shown) = shown {
        shown.end().await;
    }
    signals.abort();
    time.abort();
    levels.abort();
    let cause = shared.stop.cause().map_or("done", Cause::word);
    let stopped = journal.write(&Record::Stopped(Stopped { at: epoch_ms(), cause: cause.into() }));
    if let Err(error) = stopped.and_then(|()| journal.sync()) {
        shared.stop.drain(Cause::Journal(error.to_string()));
    }
    let seen: Vec<_> = mocks.iter().map(Mock::stats).collect();
    summary::show(job, &shared, &seen);
    if !matches!(written, Ok(Ok(()))) {
        return Err(Halt::new(
            Exit::Stopped,
            anyhow!("writing the results failed; run the same command again to go on"),
        ));
    }
    ended(job, &shared)
}

fn announce(job: &Job, screen: &Screen) {
    if let Output::Scratch(path) = &job.output {
        for group in &job.groups {
            let limits: Vec<_> = group.limits.iter().map(ToString::to_string).collect();
            let limits = if limits.is_empty() { String::new() } else { format!("{}, ", limits.join(", ")) };
            let of = if job.groups.len() > 1 { format!(" for {}", group.name) } else { String::new() };
            screen.say(&format!(
                "rehearsing against a simulated provider{of} that allows {limits}{} at once; {} is written anew",
                at_once(group.concurrency),
                path.display()
            ));
        }
    }
}

fn at_once(concurrency: Concurrency) -> String {
    match concurrency {
        Concurrency::Fixed(amount) => amount.to_string(),
        Concurrency::Adaptive { .. } => "any number".into(),
    }
}

/// A file's lines are counted beside the work; stdin has no length.
fn count_lines(job: &Job, shared: &Arc<Shared>) {
    let Input::File(path) = &job.input else { return };
    if !path.is_file() {
        return;
    }
    let (path, tally) = (path.clone(), Arc::clone(&shared.tally));
    std::thread::spawn(move || {
        if let Ok(lines) = input::count(&path) {
            let _ = tally.total.set(lines);
        }
    });
}

/// The exit code, and what there is to say about it.
fn ended(job: &Job, shared: &Shared) -> Result<Exit, Halt> {
    let tally = &shared.tally;
    let again = match job.output {
        // What went there is not looked at again.
        Output::Stdout => "the same command begins anew",
        _ => "run the same command again to go on",
    };
    let stopped = |exit, message: String| Err(Halt::new(exit, anyhow!(message)));
    let output = job.output.path().map_or_else(|| "stdout".into(), |path| path.display().to_string());
    match shared.stop.cause() {
        None => {}
        Some(Cause::Interrupt | Cause::Terminate) => {
            shared.screen.say(&format!("stopped as asked; {again}"));
            let interrupted = shared.stop.cause() == Some(&Cause::Interrupt);
            return Ok(if interrupted { Exit::Interrupted } else { Exit::Terminated });
        }
        Some(Cause::NobodyLeft { endpoint, why }) => {
            let at = &shared.senders[*endpoint];
            return stopped(why.exit(), format!("{}; {}", why.words(at), why.remedy(at, again)));
        }
        Some(Cause::Unreachable { endpoint, why }) => {
            let base = shared.senders[*endpoint].base().as_str();
            return stopped(Exit::Stopped, format!("{base}: {why}; once it answers, {again}"));
        }
        Some(Cause::AllFail) => {
            let message = format!("every endpoint that is left fails call after call; once one works, {again}");
            return stopped(Exit::Stopped, message);
        }
        Some(Cause::Shared(why)) => {
            let message =
                format!("the shared quota can no longer be kept, so nothing more is sent: {why}; then {again}");
            return stopped(Exit::Stopped, message);
        }
        Some(Cause::Output(why)) => {
            let lost = count(tally.lost.get(), "answer");
            let then = if job.output == Output::Stdout { again.into() } else { format!("make room and {again}") };
            let message = format!(
                "cannot write the results to {output}: {why}; sending has stopped, and {lost} could not be kept; {then}"
            );
            return stopped(Exit::Stopped, message);
        }
        Some(Cause::Journal(why)) => {
            let message = format!(
                "cannot write the journal of {output}: {why}; sending has stopped, and what was answered is kept; make \
                 room and {again}"
            );
            return stopped(Exit::Stopped, message);
        }
        Some(Cause::Changed(what)) => {
            let message = format!(
                "the input is not what was begun: {what}\nput it back as it was, or name another output by -o to begin \
                 anew"
            );
            return stopped(Exit::Usage, message);
        }
        Some(Cause::Bound(bound)) => return stopped(Exit::Stopped, format!("{bound}; {again}")),
        Some(Cause::Unpriced { line, model }) => {
            let name = job.input.name();
            return stopped(
                Exit::Usage,
                match model {
                    Some(model) => format!(
                        "{name}:{line}: no price is known for the model {model:?}, so --max-cost cannot be held; say it by \
                     [prices.{model:?}] in a configuration (see `paceline config --example`)"
                    ),
                    None => format!(
                        "{name}:{line}: the request names no model, so --max-cost cannot be held; name it in the body"
                    ),
                },
            );
        }
        Some(Cause::Input(why)) => {
            return stopped(Exit::Usage, format!("cannot read on in {}: {why}", job.input.name()));
        }
    }
    let left_out = tally.left_out.get();
    let without = tally.met.get().saturating_sub(tally.done() + left_out);
    if without > 0 {
        // Nothing leads here but a mistake of ours, such as a task that panicked.
        return stopped(Exit::Stopped, format!("{} ended without a result; {again}", count(without, "request")));
    }
    if left_out > 0 {
        let left_out = count(left_out, "request");
        let message = format!(
            "{left_out} left without a result, in flight when an earlier run ended; --on-unknown retry sends them again"
        );
        return stopped(Exit::Stopped, message);
    }
    let failed = tally.failed.get() + tally.known_failed.get();
    if tally.known.get() == tally.met.get() {
        let known_failed = tally.known_failed.get();
        let but = if known_failed > 0 {
            format!(", {} of them failed", count(known_failed, "result"))
        } else {
            String::new()
        };
        shared.screen.say(&format!("nothing left to do: every request has a result in {output}{but}"));
    }
    Ok(if failed > 0 { Exit::SomeFailed } else { Exit::Ok })
}
