//! What a run came to.

use std::sync::Arc;
use std::time::Duration;

use console::style;
use paceline_mock::Stats;
use serde_json::json;

use crate::drive::Shared;
use crate::job::{Job, Output};
use crate::progress::utilisation;
use crate::screen::{count, grouped};
use crate::{rehearsal, time};

/// Says it on stderr, as text or, beside progress in JSON, as an object.
pub(crate) fn show(job: &Job, shared: &Shared, rehearsed: Option<&Stats>) {
    if shared.screen.is_quiet() {
        return;
    }
    if shared.screen.is_json() {
        shared.screen.show(&object(job, shared, rehearsed).to_string());
    } else {
        text(job, shared, rehearsed).iter().for_each(|line| shared.screen.show(line));
    }
}

fn text(job: &Job, shared: &Shared, rehearsed: Option<&Stats>) -> Vec<String> {
    let tally = &shared.tally;
    let (ok, failed, known) = (tally.succeeded.get(), tally.failed.get(), tally.known.get());
    let elapsed = tally.elapsed();
    let rate = (ok + failed) as f64 / elapsed.as_secs_f64().max(0.001);
    let headline = format!(
        "{}: {} ok, {} failed, {} skipped",
        count(ok + failed + known, "request"),
        grouped(ok),
        grouped(failed),
        grouped(known)
    );
    let mut lines = vec![style(headline).for_stderr().bold().to_string()];
    let mut say = |head: &str, what: String| lines.push(format!("  {head:10} {what}"));
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
    let limits = job.limits.iter().map(ToString::to_string).chain([concurrency(job, shared)]);
    let uses = utilisation(shared);
    let uses = limits.zip(&uses).map(|(limit, (_, share))| format!("{limit} {:.0} % used", share * 100.0));
    say("limits", uses.collect::<Vec<_>>().join(", "));
    say(
        "binding",
        match binding(shared) {
            Some((limit, waited)) => format!("{limit}, waited for {} in all", time::rounded(waited)),
            None => "none of them".into(),
        },
    );
    for (at, line) in rehearsed.map(rehearsal::saw).unwrap_or_default().into_iter().enumerate() {
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

fn object(job: &Job, shared: &Shared, rehearsed: Option<&Stats>) -> serde_json::Value {
    let tally = &shared.tally;
    let shares = utilisation(shared).into_iter().map(|(name, share)| (name, json!((share * 1e4).round() / 1e4)));
    let binding = binding(shared);
    json!({
        "event": "summary",
        "ok": tally.succeeded.get(),
        "failed": tally.failed.get(),
        "skipped": tally.known.get(),
        "attempts": tally.attempts.get(),
        "rejected": tally.refusals.get(),
        "retries": tally.retries.get(),
        "elapsed_s": tally.elapsed().as_secs_f64(),
        "tokens": {"input": tally.input_tokens.get(), "output": tally.output_tokens.get(), "total": tally.tokens.get()},
        "utilisation": shares.collect::<serde_json::Map<_, _>>(),
        "binding": binding.as_ref().map(|(limit, _)| &**limit),
        "results": job.output.path().map(|path| path.display().to_string()),
        "simulated": rehearsed,
    })
}

/// As it was given, and what came of it where that is not the same.
fn concurrency(job: &Job, shared: &Shared) -> String {
    match shared.set.snapshot().feedback.level {
        None => format!("concurrency={}", job.concurrency),
        Some(level) => format!("concurrency={} (at {level})", job.concurrency),
    }
}

/// What was waited for longest, if there was any waiting to speak of.
fn binding(shared: &Shared) -> Option<(Arc<str>, Duration)> {
    let totals = shared.waits.totals().into_iter();
    totals.max_by_key(|(_, waited)| *waited).filter(|(_, waited)| *waited >= Duration::from_millis(10))
}
