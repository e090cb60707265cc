//! The report's pictures: which figures each shows.

use std::time::Duration;

use anyhow::Result;
use plotters::style::RGBColor;

use super::bins::{Bin, Bins, Verdict};
use super::chart::{self, Axes, Bar, Series, Time, colour};
use super::facts::{Facts, Limit};
use crate::screen::grouped;
use crate::time;

/// A picture and what is to be said of it.
pub(super) struct Picture {
    /// Its anchor in the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What it shows, and how to read it.
    pub(super) caption: String,
    pub(super) legend: Legend,
    /// None where there is nothing to draw, which the caption says.
    pub(super) svg: Option<String>,
}

/// What each colour stands for.
type Legend = Vec<(String, RGBColor, Line)>;

/// How a legend shows a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole,
    Dashed,
    Area,
}

pub(super) fn all(facts: &Facts) -> Result<Vec<Picture>> {
    let coarse = facts.bins.coarser(readable(facts.running())).until(facts.running());
    Ok(vec![
        rate(facts, &coarse)?,
        windows(facts)?,
        level(facts)?,
        latency(facts, &coarse)?,
        waits(facts)?,
        verdicts(facts, &coarse)?,
    ])
}

/// Milliseconds over which a rate is worth looking at: short parts hold one request or none.
fn readable(running: u64) -> u64 {
    (running / 100).max(1_000.min(running / 10))
}

fn axes(facts: &Facts, y: &'static str) -> Axes {
    let marks = facts.resumed.iter().map(|at| *at as f64 / 1e3).collect();
    Axes { time: Time { seconds: facts.running() as f64 / 1e3 }, y, marks }
}

/// How many seconds the run had of a part: the last is seldom as long as the others.
fn length(bins: &Bins, at: usize, end: f64) -> f64 {
    let width = bins.seconds();
    if at + 1 < bins.all.len() { width } else { (end - at as f64 * width).max(width / 20.0) }
}

/// A value for each part, told its length, as a line with steps.
fn steps(bins: &Bins, end: f64, mut value: impl FnMut(&Bin, f64) -> Option<f64>) -> Vec<Option<(f64, f64)>> {
    let step = |(at, bin): (usize, &Bin)| {
        let length = length(bins, at, end);
        let from = at as f64 * bins.seconds();
        match value(bin, length) {
            Some(value) => vec![Some((from, value)), Some((from + length, value))],
            None => vec![None],
        }
    };
    bins.all.iter().enumerate().flat_map(step).collect()
}

fn drawn(axes: &Axes, series: &[Series]) -> Result<(Legend, Option<String>)> {
    let line = |series: &Series| if series.dashed { Line::Dashed } else { Line::Whole };
    let legend = series.iter().map(|series| (series.name.clone(), series.colour, line(series))).collect();
    Ok((legend, Some(chart::lines(axes, series)?)))
}

fn rate(facts: &Facts, bins: &Bins) -> Result<Picture> {
    let axes = axes(facts, "requests a second");
    let end = axes.time.seconds;
    let rates = |count: fn(&Bin) -> u64| steps(bins, end, |bin, seconds| Some(count(bin) as f64 / seconds));
    let series = |name: &str, colour, points| Series { name: name.into(), colour, dashed: false, points };
    let mut all = vec![
        series("sent", colour::BLUE, rates(|bin| bin.started)),
        series("answered with success", colour::GREEN, rates(|bin| bin.ended[Verdict::Success as usize])),
    ];
    let quota = quota(facts);
    if let Some(quota) = quota {
        let points = vec![Some((0.0, quota)), Some((end, quota))];
        all.push(Series { name: "quota".into(), colour: colour::RED, dashed: true, points });
    }
    let average = facts.started() as f64 / end.max(0.001);
    let of = quota.map_or("no limit on requests was given".into(), |quota| {
        format!("the limits on requests allow {} a second", chart::number(quota))
    });
    let resumed = if facts.resumed.is_empty() { "" } else { "; a dotted line is where a run was resumed" };
    let caption = format!(
        "{} attempts in {}, {} a second on average; {of}. Each step is {} long{resumed}.",
        grouped(facts.started()),
        time::rounded(Duration::from_millis(facts.running())),
        chart::number(average),
        time::rounded(Duration::from_millis(bins.width)),
    );
    let (legend, svg) = drawn(&axes, &all)?;
    Ok(Picture { id: "rate", title: "Requests a second", caption, legend, svg })
}

/// Requests a second that all endpoints allow together; none if one of them has no such limit.
fn quota(facts: &Facts) -> Option<f64> {
    let rate = |limit: &Limit| limit.is.amount as f64 * 1e3 / limit.is.window_ms.max(1) as f64;
    let tightest =
        |limits: &[Limit]| limits.iter().filter(|limit| limit.is.counted == "requests").map(rate).reduce(f64::min);
    let all: Option<Vec<f64>> = facts.endpoints.iter().map(|endpoint| tightest(&endpoint.limits)).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.iter().sum())
}

fn windows(facts: &Facts) -> Result<Picture> {
    let several = facts.endpoints.len() > 1;
    let bar = |endpoint: &str, limit: &Limit| {
        let (is, most) = (&limit.is, limit.fullest.most);
        // A bucket promises its amount and its burst.
        let allowed = is.amount.saturating_add(is.burst.unwrap_or(0)).max(1);
        let window = time::exact(Duration::from_millis(is.window_ms));
        let name = format!("{} per {window}", is.name);
        Bar {
            name: if several { format!("{endpoint}: {name}") } else { name },
            share: most as f64 / allowed as f64,
            words: format!("{} of {} ({:.0} %)", grouped(most), grouped(allowed), most as f64 * 100.0 / allowed as f64),
            colour: if most > allowed { colour::RED } else { colour::BLUE },
        }
    };
    let limits =
        facts.endpoints.iter().flat_map(|endpoint| endpoint.limits.iter().map(|limit| (&endpoint.name, limit)));
    let bars: Vec<Bar> = limits.map(|(endpoint, limit)| bar(endpoint, limit)).collect();
    let caption = if bars.is_empty() {
        "No limits were given, and no answer told of any.".into()
    } else {
        "The most that any window of a limit's length held, over all starts, by what the answers say was used; the line \
         is what is allowed, by a bucket with its burst. Not counted are reserves for what an answer might have used."
            .to_owned()
    };
    let svg = if bars.is_empty() { None } else { Some(chart::bars(&bars, true)?) };
    Ok(Picture { id: "windows", title: "Fullest window of each limit", caption, legend: Vec::new(), svg })
}

/// A value that holds on until it changes: what each part shows, and what it leaves to those after it.
fn held(
    bins: &Bins,
    end: f64,
    shown: fn(&Bin) -> Option<u64>,
    left: fn(&Bin) -> Option<u64>,
) -> Vec<Option<(f64, f64)>> {
    let mut last = None;
    steps(bins, end, |bin, _| {
        let value = shown(bin).or(last);
        last = left(bin).or(last);
        value.map(|value| value as f64)
    })
}

fn level(facts: &Facts) -> Result<Picture> {
    let axes = axes(facts, "requests at once");
    let end = axes.time.seconds;
    let series = |name: &str, colour, dashed, points| Series { name: name.into(), colour, dashed, points };
    let in_flight = held(&facts.bins, end, |bin| bin.in_flight, |bin| bin.still);
    let mut all = vec![series("in flight", colour::BLUE, false, in_flight)];
    let adaptive = facts.bins.all.iter().any(|bin| bin.level.is_some());
    if adaptive {
        all.push(series(
            "adaptive level",
            colour::ORANGE,
            true,
            held(&facts.bins, end, |bin| bin.level, |bin| bin.level),
        ));
    }
    let most = facts.bins.all.iter().filter_map(|bin| bin.in_flight).max().unwrap_or(0);
    let told = if adaptive { "; the level follows what the answers showed to be good" } else { "" };
    let caption =
        format!("At most {} were in flight at once; the concurrency was {}{told}.", grouped(most), facts.concurrency);
    let (legend, svg) = drawn(&axes, &all)?;
    Ok(Picture { id: "level", title: "Concurrency level and requests in flight", caption, legend, svg })
}

fn latency(facts: &Facts, bins: &Bins) -> Result<Picture> {
    let axes = axes(facts, "seconds to the answer");
    let end = axes.time.seconds;
    let quantiles =
        [("half (p50)", 0.5, colour::BLUE), ("90 % (p90)", 0.9, colour::ORANGE), ("99 % (p99)", 0.99, colour::RED)];
    let series = quantiles.map(|(name, quantile, colour)| Series {
        name: name.into(),
        colour,
        dashed: false,
        points: steps(bins, end, |bin, _| {
            (!bin.took.is_empty()).then(|| bin.took.value_at_quantile(quantile) as f64 / 1e3)
        }),
    });
    let mut whole = Bin::default();
    facts.bins.all.iter().for_each(|bin| whole.join(bin));
    let whole = whole.took;
    if whole.is_empty() {
        let caption = "Nothing was answered with success.".into();
        return Ok(Picture { id: "latency", title: "Latency", caption, legend: Vec::new(), svg: None });
    }
    let at = |quantile| time::rounded(Duration::from_millis(whole.value_at_quantile(quantile)));
    let caption = format!(
        "Half of the successful answers came within {}, 90 % within {}, 99 % within {}.",
        at(0.5),
        at(0.9),
        at(0.99)
    );
    let (legend, svg) = drawn(&axes, &series)?;
    Ok(Picture { id: "latency", title: "Latency", caption, legend, svg })
}

fn waits(facts: &Facts) -> Result<Picture> {
    let mut waits: Vec<_> = facts.waits.iter().map(|(name, waited)| (name, *waited)).collect();
    waits.sort_by_key(|(_, waited)| std::cmp::Reverse(*waited));
    let whole: u64 = waits.iter().map(|(_, waited)| *waited).fold(0, u64::saturating_add);
    let bars: Vec<Bar> = waits
        .iter()
        .map(|(name, waited)| Bar {
            name: (*name).clone(),
            share: *waited as f64,
            words: format!(
                "{} ({:.0} %)",
                time::rounded(Duration::from_millis(*waited)),
                *waited as f64 * 100.0 / whole.max(1) as f64
            ),
            colour: colour::PURPLE,
        })
        .collect();
    let (caption, svg) = match waits.first() {
        None => ("Every request was admitted at once.".into(), None),
        Some((name, _)) => {
            let caption =
                format!("How long requests waited for each limit before they were sent; {name} held them back most.");
            (caption, Some(chart::bars(&bars, false)?))
        }
    };
    Ok(Picture { id: "waits", title: "Waits by what was waited for", caption, legend: Vec::new(), svg })
}

/// Of each verdict, in the order in which they are stacked.
pub(super) const COLOURS: [RGBColor; Verdict::ALL.len()] =
    [colour::GREEN, colour::ORANGE, colour::PURPLE, colour::RED, colour::DARK, colour::SKY];

fn verdicts(facts: &Facts, bins: &Bins) -> Result<Picture> {
    let (axes, width) = (axes(facts, "attempts a second"), bins.seconds());
    let end = axes.time.seconds;
    let parts = bins
        .all
        .iter()
        .enumerate()
        .map(|(at, bin)| bin.ended.iter().map(|count| *count as f64 / length(bins, at, end)).collect());
    let parts: Vec<Vec<f64>> = parts.collect();
    let seen = Verdict::ALL.into_iter().filter(|verdict| facts.ended(*verdict) > 0);
    let legend =
        seen.clone().map(|verdict| (verdict.name().to_owned(), COLOURS[verdict as usize], Line::Area)).collect();
    let counts: Vec<_> = seen.map(|verdict| format!("{} {}", grouped(facts.ended(verdict)), verdict.name())).collect();
    let caption = if counts.is_empty() {
        "No attempt has ended.".into()
    } else {
        format!("How attempts ended: {}.", counts.join(", "))
    };
    let svg = if counts.is_empty() { None } else { Some(chart::stack(&axes, width, &COLOURS, &parts)?) };
    Ok(Picture { id: "verdicts", title: "How attempts ended", caption, legend, svg })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_within_a_part_is_not_in_flight_after_it() {
        let mut bins = Bins::default();
        (bins.at(0).in_flight, bins.at(0).still) = (Some(3), Some(0));
        (bins.at(250).in_flight, bins.at(250).still) = (Some(1), Some(1));
        let points = held(&bins, 0.3, |bin| bin.in_flight, |bin| bin.still);
        let values: Vec<_> = points.into_iter().flatten().map(|(_, value)| value).collect();
        assert_eq!(values, [3.0, 3.0, 0.0, 0.0, 1.0, 1.0]);
    }
}
