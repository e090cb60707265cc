//! Shared quotas as lines of text: nothing but drawing.

use std::sync::Arc;

use console::{style, truncate_str};
use paceline::{LimitKind, LimitView};

use crate::progress::{Fill, gauge};
use crate::screen::{self, grouped};
use crate::sharing::{Away, Look, Set};
use crate::time;

/// What to show on a terminal of that many columns and rows; `rates` are grants a second, by set, where they are known.
/// No line is wider and there are fewer of them than rows.
pub(super) fn block(look: &Look, rates: &[Option<f64>], columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", style(&look.name).bold(), users(look))];
    lines.extend(away(look).into_iter().flatten().map(|line| format!("  {}", style(line).yellow())));
    // All gauges are of one length, so that they can be compared.
    let limits = || look.sets.iter().flat_map(|set| &set.limits);
    let names = limits().map(|(key, _)| plain(key).chars().count()).max().unwrap_or(0);
    let words = limits().map(|(key, view)| state(key, view).chars().count()).max().unwrap_or(0);
    let room = columns.saturating_sub(names + words + 8);
    for (at, set) in look.sets.iter().enumerate() {
        if look.sets.len() > 1 {
            lines.push(format!("{}", style(plain(&set.name)).bold()));
        }
        lines.push(format!("  {}", traffic(set, rates.get(at).copied().flatten())));
        lines.extend(gate(set).map(|gate| format!("  {}", style(gate).yellow())));
        lines.extend(set.limits.iter().map(|(key, view)| limit(key, view, names, room)));
    }
    // The last row is the cursor's; a full last column would wrap on some terminals.
    let (most, wide) = (rows.saturating_sub(1).max(1), columns.saturating_sub(1));
    if lines.len() > most {
        let hidden = lines.len() + 1 - most;
        lines.truncate(most - 1);
        lines.push(format!("  and {hidden} more"));
    }
    lines.iter().map(|line| truncate_str(line, wide, "…").into_owned()).collect()
}

/// The same in one line.
pub(super) fn line(look: &Look, rates: &[Option<f64>]) -> String {
    let set = |(at, set): (usize, &Set)| {
        let mut parts = vec![traffic(set, rates.get(at).copied().flatten())];
        parts.extend(gate(set));
        parts.extend(set.limits.iter().map(|(key, view)| format!("{} {:.0} %", plain(key), view.fill() * 100.0)));
        let whose = if look.sets.len() > 1 { format!("{}: ", plain(&set.name)) } else { String::new() };
        format!("{whose}{}", parts.join(" | "))
    };
    let sets = look.sets.iter().enumerate().map(set).collect::<Vec<_>>().join(" || ");
    let away = away(look).map(|[state, why]| format!("{state}: {why} | ")).unwrap_or_default();
    format!("{}  {} | {away}{sets}", look.name, users(look))
}

/// What these figures are worth, and why.
fn away(look: &Look) -> Option<[String; 2]> {
    let Away { since, why } = look.away.as_ref()?;
    Some([format!("away for {}, and these figures are from before", time::rounded(*since)), plain(why)])
}

/// Somebody else's text, as part of a line.
fn plain(text: &str) -> String {
    screen::plain(text).replace(['\n', '\t'], " ")
}

fn users(look: &Look) -> String {
    match look.members {
        0 => "nobody uses it now".into(),
        1 => "1 process".into(),
        some => format!("{some} processes"),
    }
}

fn traffic(set: &Set, rate: Option<f64>) -> String {
    let granted = grouped(set.granted);
    let granted = match rate {
        Some(rate) => format!("{rate:.1}/s granted, {granted} so far"),
        None => format!("{granted} granted so far"),
    };
    format!("{} in use, {} waiting | {granted}", grouped(set.active), grouped(set.waiting as u64))
}

/// What lets nobody through.
fn gate(set: &Set) -> Option<String> {
    if set.closed {
        return Some("closed for good".into());
    }
    set.paused.map(|pause| format!("paused for {}", time::rounded(pause)))
}

fn limit(key: &Arc<str>, view: &LimitView, names: usize, room: usize) -> String {
    let bar = style(gauge(view.fill(), room, '#'));
    // Full is what holds somebody up.
    let bar = if view.available == 0 { bar.yellow() } else { bar.green() };
    format!("  {:names$} [{bar}] {}", plain(key), state(key, view))
}

fn state(key: &Arc<str>, view: &LimitView) -> String {
    let words = match view.kind {
        LimitKind::Rate(quota) => Fill::new(Arc::clone(key), quota, view).state(),
        LimitKind::Resource => format!("{} of {} at once", grouped(view.used), grouped(view.capacity)),
    };
    let debt = if view.debt > 0 { format!(", {} over", grouped(view.debt)) } else { String::new() };
    format!("{:3.0} %  {words}{debt}", view.fill() * 100.0)
}

#[cfg(test)]
mod tests;
