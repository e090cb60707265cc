//! What a run came to.

use std::sync::Arc;
use std::time::Duration;

use console::style;
use paceline_mock::Stats;
use serde_json::json;

use crate::drive::{Member, Shared};
use crate::job::{Job, Output};
use crate::price::Usd;
use crate::progress::utilisation;
use crate::screen::{count, grouped, plain};
use crate::send::Sender;
use crate::tally::Endpoint;
use crate::{rehearsal, time};

/// Says it on stderr, as text or, beside progress in JSON, as an object.
pub(crate) fn show(job: &Job, shared: &Shared, rehearsed: &[Stats]) {
    if shared.screen.is_quiet() {
        return;
    }
    if shared.screen.is_json() {
        shared.screen.show(&object(job, shared, rehearsed).to_string());
    } else {
        text(job, shared, rehearsed).iter().for_each(|line| shared.screen.show(line));
    }
}

fn text(job: &Job, shared: &Shared, rehearsed: &[Stats]) -> Vec<String> {
    let tally = &shared.tally;
    let fresh = tally.succeeded.get() + tally.failed.get();
    let elapsed = tally.elapsed();
    let rate = fresh as f64 / elapsed.as_secs_f64().max(0.001);
    let mut lines = vec![style(headline(shared)).for_stderr().bold().to_string()];
    let mut say = |head: &str, what: String| lines.push(format!("  {head:10} {}", plain(&what)));
    if tally.abandoned.get() > 0 {
        say("given up", format!("{} on the way, for the next run", count(tally.abandoned.get(), "request")));
    }
    if let Some(why) = tally.first_failure.get() {
        say("failed", format!("first {why}"));
    }
    say("time", format!("{}, {rate:.1} a second", time::rounded(elapsed)));
    let (attempts, retries) = (count(tally.attempts.get(), "attempt"), grouped(tally.retries.get()));
    say("429s", format!("{}, {retries} retries, {attempts} in all", grouped(tally.refusals.get())));
    if tally.tokens.get() > 0 {
        let (input, output) = (grouped(tally.input_tokens.get()), grouped(tally.output_tokens.get()));
        say("tokens", format!("{} ({input} in, {output} out)", grouped(tally.tokens.get())));
    }
    if let Some(cost) = cost(shared) {
        say("cost", cost);
    }
    for (at, line) in limits(shared).into_iter().enumerate() {
        say(if at == 0 { "limits" } else { "" }, line);
    }
    if let Some(sharing) = &job.shared {
        say("shared", format!("as {sharing}; what others used of these limits is not in the figures"));
    }
    let found = shared.found.words(&shared.members);
    if !found.is_empty() {
        say("found", found.join(", "));
    }
    say(
        "binding",
        match binding(shared) {
            Some((limit, waited)) => format!("{limit}, waited for {} in all", time::rounded(waited)),
            None => "none of them".into(),
        },
    );
    for (at, line) in endpoints(shared).into_iter().enumerate() {
        say(if at == 0 { "endpoints" } else { "" }, line);
    }
    for (at, line) in rehearsed.iter().flat_map(rehearsal::saw).enumerate() {
        say(if at == 0 { "simulated" } else { "" }, line);
    }
    match &job.output {
        Output::Stdout => {}
        Output::File(path) => say("results", path.display().to_string()),
        Output::Scratch(path) => {
            say("results", format!("{} (of a rehearsal; overwritten by the next)", path.display()))
        }
    }
    lines
}

/// How many came to what. A run that was stopped says of how many these are.
fn headline(shared: &Shared) -> String {
    let tally = &shared.tally;
    let (done, met) = (tally.done(), tally.met.get());
    let counts = [(&tally.succeeded, "ok"), (&tally.failed, "failed"), (&tally.known, "skipped")];
    let counts = counts.map(|(count, name)| format!("{} {name}", grouped(count.get()))).join(", ");
    match tally.total.get() {
        Some(total) if *total > done => {
            let left = grouped(total - done);
            format!("{} of {}: {counts}, {left} left", grouped(done), count(*total, "request"))
        }
        // Of an input without an end, only what was met is known.
        None if met > done => format!("{} of {} or more: {counts}", grouped(done), count(met, "request")),
        _ => format!("{}: {counts}", count(done, "request")),
    }
}

fn object(job: &Job, shared: &Shared, rehearsed: &[Stats]) -> serde_json::Value {
    let tally = &shared.tally;
    let shares = utilisation(shared).into_iter().map(|(name, share)| (name, json!((share * 1e4).round() / 1e4)));
    let binding = binding(shared);
    json!({
        "event": "summary",
        "ok": tally.succeeded.get(),
        "failed": tally.failed.get(),
        "skipped": tally.known.get(),
        "left": tally.total.get().map(|total| total.saturating_sub(tally.done())),
        "given_up": tally.abandoned.get(),
        "attempts": tally.attempts.get(),
        "rejected": tally.refusals.get(),
        "retries": tally.retries.get(),
        "elapsed_s": tally.elapsed().as_secs_f64(),
        "tokens": {"input": tally.input_tokens.get(), "output": tally.output_tokens.get(), "total": tally.tokens.get()},
        "cost_usd": shared.spend.spent().map(Usd::as_f64),
        "endpoints": endpoint_objects(shared),
        "utilisation": shares.collect::<serde_json::Map<_, _>>(),
        "shared": job.shared.as_ref().map(|sharing| sharing.name.to_string()),
        "found": shared.found.words(&shared.members),
        "binding": binding.as_ref().map(|(limit, _)| &**limit),
        "results": job.output.path().map(|path| path.display().to_string()),
        "simulated": rehearsed,
    })
}

/// What is spent, and on what nobody knows.
fn cost(shared: &Shared) -> Option<String> {
    let spent = shared.spend.spent().map(|spent| spent.to_string());
    let unpriced = shared.spend.unpriced();
    let but =
        (!unpriced.is_empty() && spent.is_some()).then(|| format!("no price is known for {}", unpriced.join(", ")));
    spent.map(|spent| [Some(spent), but].into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// How much of them was used: a line for each quota.
fn limits(shared: &Shared) -> Vec<String> {
    let mut uses = utilisation(shared).into_iter();
    let line = |member: &Member| {
        let limits = member.limits.iter().map(ToString::to_string).chain([concurrency(member)]);
        let uses = limits.zip(uses.by_ref()).map(|(limit, (_, share))| format!("{limit} {:.0} % used", share * 100.0));
        let uses = uses.collect::<Vec<_>>().join(", ");
        if shared.members.are_one() { uses } else { format!("{}: {uses}", member.name()) }
    };
    shared.members.iter().map(line).collect()
}

/// Who did what, where there are several.
fn endpoints(shared: &Shared) -> Vec<String> {
    if shared.senders.len() < 2 {
        return Vec::new();
    }
    let line = |(sender, tally): (&Sender, &Endpoint)| {
        let Endpoint { attempts, succeeded, refusals, failed, tokens, .. } = tally;
        let tokens = if tokens.get() > 0 { format!(", {}", count(tokens.get(), "token")) } else { String::new() };
        let counts = [(succeeded, "ok"), (refusals, "429s"), (failed, "failed")];
        let counts = counts.map(|(number, what)| format!("{} {what}", grouped(number.get()))).join(", ");
        format!("{}: {}, {counts}{tokens}", sender.name(), count(attempts.get(), "attempt"))
    };
    shared.senders.iter().zip(&shared.tally.endpoints).map(line).collect()
}

fn endpoint_objects(shared: &Shared) -> Vec<serde_json::Value> {
    let object = |(sender, tally): (&Sender, &Endpoint)| {
        json!({
            "name": sender.name(),
            "attempts": tally.attempts.get(),
            "ok": tally.succeeded.get(),
            "rejected": tally.refusals.get(),
            "failed": tally.failed.get(),
            "tokens": tally.tokens.get(),
        })
    };
    shared.senders.iter().zip(&shared.tally.endpoints).map(object).collect()
}

/// As it was given, and what came of it where that is not the same.
fn concurrency(member: &Member) -> String {
    match member.set.snapshot().feedback.level {
        None => format!("concurrency={}", member.concurrency),
        Some(level) => format!("concurrency={} (at {level})", member.concurrency),
    }
}

/// What was waited for longest, if there was any waiting to speak of.
fn binding(shared: &Shared) -> Option<(Arc<str>, Duration)> {
    let totals = shared.waits.totals().into_iter();
    totals.max_by_key(|(_, waited)| *waited).filter(|(_, waited)| *waited >= Duration::from_millis(10))
}
