//! A check in words.

use std::time::Duration;

use super::Checked;
use super::load::{Holds, Kind};
use super::plan::Plan;
use crate::job::Job;
use crate::output::Origin;
use crate::screen::{count, grouped};
use crate::time;

/// Lines, to be read on a screen.
pub(super) fn lines(job: &Job, checked: &Checked) -> String {
    let plan = &checked.plan;
    let mut text = String::new();
    if plan.unshown() > 0 {
        text += &format!("and {} more\n", count(plan.unshown(), "bad line"));
    }
    text += &format!(
        "{} for {}; {}, {} done already\n",
        count(plan.load.requests, "request"),
        to(job),
        count(plan.bad, "bad line"),
        grouped(plan.known)
    );
    let mut say = |head: &str, what: String| text += &format!("  {head:10} {what}\n");
    if plan.load.requests == 0 {
        if let Some(stops) = checked.stops(job) {
            say("stops", stops);
        }
        return text + "  nothing to send\n";
    }
    say(
        "tokens",
        format!(
            "about {} in, at most {} out, by the estimate",
            grouped(plan.load.cost.input_tokens),
            grouped(plan.load.cost.output_tokens)
        ),
    );
    for (at, line) in money(plan).into_iter().enumerate() {
        say(if at == 0 { "cost" } else { "" }, line);
    }
    for holds in plan.load.holds(job) {
        say("limit", limit(&holds));
    }
    let binding = plan.load.binding(job);
    let time = binding.as_ref().and_then(|holds| holds.time).map(time::rounded).unwrap_or_default();
    match &binding {
        None => say("binding", "how many are sent at once".into()),
        Some(Holds { quota: Some(_), .. }) => say("together", format!("about {time} and the last answers")),
        Some(Holds { kind: Kind::AtOnce { .. }, .. }) => say("binding", format!("how many are sent at once: {time}")),
        Some(holds) => say("binding", format!("{}: {time} and the last answers", holds.label())),
    }
    if let Some(faster) = plan.load.faster(job) {
        let then = match &faster.then {
            None if plan.load.mean.is_none() => "then only how many are sent at once binds".to_owned(),
            None => "then nothing that is known binds".to_owned(),
            Some(then) => format!("then {then} binds, and it takes {}", time::rounded(faster.time)),
        };
        say(
            "faster",
            match faster.to {
                Some(to) => format!("raise {} to {}; {then}", faster.raise, grouped(to)),
                None => format!("raise {}; {then}", faster.raise),
            },
        );
    }
    if let Some(simulation) = &checked.simulation {
        let (took, made) = (time::rounded(simulation.elapsed), count(simulation.attempts, "attempt"));
        say("simulated", format!("{took} with {made}, {} in flight at most", grouped(simulation.most_in_flight)));
        let waits: Vec<_> =
            simulation.waits.iter().map(|(limit, waited)| format!("{limit} {}", time::rounded(*waited))).collect();
        if !waits.is_empty() {
            say("", format!("waited for {}", waits.join(", ")));
        }
        if let Some(stopped) = &simulation.stopped {
            say("", format!("stopped after {}: {stopped}", count(simulation.done, "result")));
        }
    }
    if let Some(stops) = checked.stops(job) {
        say("stops", stops);
    }
    text
}

/// Whom it is for.
fn to(job: &Job) -> String {
    if job.origin == Origin::Rehearsal {
        return "a simulated provider".into();
    }
    let mut bases: Vec<&str> = Vec::new();
    for endpoint in job.groups.iter().flat_map(|group| &group.endpoints) {
        if !bases.contains(&endpoint.base.as_str()) {
            bases.push(endpoint.base.as_str());
        }
    }
    bases.join(", ")
}

/// A limit, and what it means for the job; of several quotas, if it had all of it.
fn limit(holds: &Holds) -> String {
    let Holds { quota, kind, limit, amount, units, time, .. } = holds;
    let limit = match kind {
        Kind::Rate(_) => limit.clone(),
        Kind::AtOnce { found } => format!("{}{amount} at once", if *found { "up to " } else { "" }),
    };
    let takes = match (kind, time) {
        (Kind::AtOnce { .. }, Some(time)) => format!("answers take {}", time::rounded(*time)),
        (_, None) => match units.div_ceil((*amount).max(1)) {
            0 | 1 => "as long as one answer takes".into(),
            times => format!("{} times as long as one answer takes", grouped(times)),
        },
        (Kind::Rate(counted), Some(time)) => {
            let what = count(*units, &counted.as_str().trim_end_matches('s').replace('_', " "));
            let s = if *units == 1 { "s" } else { "" };
            match *time {
                Duration::ZERO => format!("{what} fit{s} at once"),
                time => format!("{what} take{s} {}", time::rounded(time)),
            }
        }
    };
    let alone = quota.as_ref().map(|quota| format!("{quota} alone: ")).unwrap_or_default();
    format!("{alone}{limit}: {takes}")
}

/// The sum, and where its prices come from; nothing where no model has one and none was asked by name.
fn money(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let priced: Vec<_> = plan.models.iter().filter_map(|(model, it)| Some((model, it, it.source.as_ref()?))).collect();
    match &priced[..] {
        [] => {}
        [(model, _, source)] => lines.push(format!("{} at most, for {model} ({source})", plan.money)),
        several => {
            lines.push(format!("{} at most", plan.money));
            lines.extend(several.iter().map(|(model, it, source)| format!("  {} for {model} ({source})", it.money)));
        }
    }
    let unknown: Vec<_> =
        plan.models.iter().filter(|(_, it)| it.source.is_none()).map(|(model, _)| model.as_str()).collect();
    if !unknown.is_empty() {
        lines.push(format!("no price is known for {}; say it by [prices]", unknown.join(", ")));
    }
    lines
}
