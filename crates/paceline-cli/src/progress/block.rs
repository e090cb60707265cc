//! The display on a terminal: lines of text that fit it, whatever its size.

use console::{StyledObject, style, truncate_str};

use super::view::{AtOnce, Endpoint, Fill, View};
use crate::screen::grouped;
use crate::time;

/// Gauges grow with the terminal, up to here: beyond, one no longer sees both ends at once.
const GAUGE: std::ops::RangeInclusive<usize> = 8..=60;

/// What to show on a terminal of that many columns and rows. No line is wider and there are fewer of them than rows.
pub(super) fn lines(view: &View, columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![headline(view, columns), results(view), held(view), attempts(view)];
    // What a learnt rate allows is a pace, of which nothing fills up.
    let fills: Vec<_> = view.fills.iter().filter(|fill| !fill.is_learnt()).collect();
    let names = fills.iter().map(|fill| fill.name.chars().count());
    let names = names.chain(view.endpoints.iter().map(|endpoint| endpoint.name.chars().count())).max().unwrap_or(0);
    // All gauges are of one length, so that they can be compared.
    let words = fills.iter().map(|fill| state(fill).chars().count()).max().unwrap_or(0);
    let room = columns.saturating_sub(names + words + 8);
    lines.extend(fills.iter().map(|fill| limit(fill, view, names, room)));
    lines.extend(view.endpoints.iter().map(|one| endpoint(one, names)));
    // The last row is the cursor's; a full last column would wrap on some terminals.
    let (most, wide) = (rows.saturating_sub(1).max(1), columns.saturating_sub(1));
    if lines.len() > most {
        let hidden = lines.len() + 1 - most;
        lines.truncate(most - 1);
        lines.push(format!("  and {hidden} more"));
    }
    lines.iter().map(|line| truncate_str(line, wide, "…").into_owned()).collect()
}

fn paint(text: impl Into<String>) -> StyledObject<String> {
    style(text.into()).for_stderr()
}

fn headline(view: &View, columns: usize) -> String {
    let (done, elapsed) = (view.of_total(), time::rounded(view.elapsed));
    let Some(total) = view.total else {
        return format!("{} in {elapsed}", paint(done).bold());
    };
    let share = if total == 0 { 1.0 } else { view.done() as f64 / total as f64 };
    // Only what is done is 100 %.
    let percent = (share * 100.0).floor();
    let eta = match view.eta {
        Some(eta) => format!("ETA {}", time::rounded(eta)),
        None if view.left() == Some(0) => "done".into(),
        None => "ETA unknown".into(),
    };
    let rest = format!("{done}  {percent:3.0} %    {eta}");
    let bar = gauge(share, columns.saturating_sub(rest.chars().count() + 12), '=');
    format!("[{}] {}  {percent:3.0} %  {eta}", paint(bar).cyan(), paint(done).bold())
}

fn results(view: &View) -> String {
    let mut parts = vec![format!("{} ok", grouped(view.ok))];
    let failed = format!("{} failed", grouped(view.failed));
    parts.push(if view.failed > 0 { paint(failed).red().to_string() } else { failed });
    if view.skipped > 0 {
        parts.push(format!("{} skipped", grouped(view.skipped)));
    }
    parts.extend(view.left().map(|left| format!("{} left", grouped(left))));
    let pace = format!("{:.1}/s now, {:.1}/s on average", view.rate, view.average);
    format!("  {} | {pace} | {}", parts.join(", "), time::rounded(view.elapsed))
}

fn held(view: &View) -> String {
    let held = paint(view.held_by());
    let held = if view.paused.is_some() || view.binding.is_some() { held.yellow() } else { held };
    let mut parts = vec![held.to_string()];
    if view.tokens > 0 {
        parts.push(format!("tokens {}", grouped(view.tokens)));
    }
    parts.extend(view.cost.clone());
    format!("  {}", parts.join(" | "))
}

fn attempts(view: &View) -> String {
    let mut parts = vec![in_flight(view.in_flight, view.at_once)];
    let learnt = view.fills.iter().find(|fill| fill.is_learnt());
    parts.extend(learnt.map(|fill| format!("at most {}", fill.allows())));
    if view.waiting > 0 {
        parts.push(format!("{} waiting", grouped(view.waiting)));
    }
    let refused = format!("429s {}", grouped(view.refusals));
    parts.push(if view.refusals > 0 { paint(refused).yellow().to_string() } else { refused });
    parts.push(format!("retries {}", grouped(view.retries)));
    format!("  {}", parts.join(" | "))
}

fn in_flight(number: u64, at_once: AtOnce) -> String {
    let learnt = if at_once.learnt { " (adaptive)" } else { "" };
    format!("{} in flight of {}{learnt}", grouped(number), grouped(at_once.amount))
}

fn limit(fill: &Fill, view: &View, names: usize, room: usize) -> String {
    let bar = paint(gauge(fill.share(), room, '#'));
    let bar = if view.binding.as_ref() == Some(&fill.name) { bar.yellow() } else { bar.green() };
    format!("  {:names$} [{bar}] {}", fill.name, state(fill))
}

fn state(fill: &Fill) -> String {
    format!("{:3.0} %  {}", fill.share() * 100.0, fill.state())
}

fn endpoint(endpoint: &Endpoint, names: usize) -> String {
    let in_flight = in_flight(endpoint.in_flight, endpoint.at_once);
    let (ok, refused) = (grouped(endpoint.ok), grouped(endpoint.refusals));
    let paused = endpoint.paused.map(|pause| format!(" | paused for {}", time::rounded(pause))).unwrap_or_default();
    format!("  {:names$} {in_flight} | {ok} ok | 429s {refused}{}", endpoint.name, paint(paused).yellow())
}

/// A share as a row of marks.
pub(crate) fn gauge(share: f64, room: usize, mark: char) -> String {
    let width = room.clamp(*GAUGE.start(), *GAUGE.end());
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    (0..width).map(|at| if at < full { mark } else { '.' }).collect()
}

#[cfg(test)]
mod tests;
