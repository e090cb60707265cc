//! What differs between two descriptions of limits, in words.

use std::time::Duration;

use paceline::backend::{LimitSpec, Sizing};
use paceline_core::{Algorithm, Anchor, Quota};

use crate::limits::Limits;

/// What differs between the limits that are in force and those that are wanted, in words; none where nothing does.
///
/// All limits that differ are told. Of what a set is given beside its limits (how it is paced, what it begins with, how it
/// learns) something is told only where all else is the same: mostly that follows from what was stated.
#[must_use]
pub fn difference(known: &Limits, wanted: &Limits) -> Option<String> {
    let keys = |limits: &Limits| {
        let keys: Vec<_> = limits.iter().map(|(key, _)| quoted(key)).collect();
        if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
    };
    let (there, here) = (keys(known), keys(wanted));
    if there != here {
        return Some(format!("there they are {there}, here {here}"));
    }
    let pairs = known.iter().zip(wanted).map(|((key, known), (_, wanted))| (key, known, wanted));
    let unlike: Vec<_> = pairs.filter(|(_, known, wanted)| !known.is_like(wanted)).collect();
    let told = |aspects: fn(&str, &LimitSpec) -> Vec<Aspect>| -> Vec<String> {
        let unlike = unlike.iter();
        unlike.flat_map(|(key, known, wanted)| differing(aspects(key, known), aspects(key, wanted))).collect()
    };
    let (key, ..) = unlike.first()?;
    let all = [told(stated), told(given)].into_iter().find(|told| !told.is_empty());
    Some(
        all.map_or_else(|| format!("{} is the same, but told in other words", quoted(key)), |told| told.join(", and ")),
    )
}

/// What is read from elsewhere may hold anything, and is shown on terminals.
fn quoted(key: &str) -> String {
    format!("`{}`", key.escape_debug())
}

/// Something that can be said of a limit, and what is.
struct Aspect {
    of: String,
    is: String,
}

impl Aspect {
    fn new(of: String, is: impl Into<String>) -> Self {
        Self { of, is: is.into() }
    }
}

/// Those that can be said of both, where they differ.
fn differing(there: Vec<Aspect>, here: Vec<Aspect>) -> Vec<String> {
    let both = |there: Aspect| {
        let here = here.iter().find(|here| here.of == there.of)?;
        (there.is != here.is).then(|| format!("{} is {} there, {} here", there.of, there.is, here.is))
    };
    there.into_iter().filter_map(both).collect()
}

/// What whoever wants a limit says of it.
fn stated(key: &str, spec: &LimitSpec) -> Vec<Aspect> {
    let itself = quoted(key);
    match spec {
        LimitSpec::Rate(quota) => vec![
            Aspect::new(itself, format!("{} per {:?}", quota.amount(), quota.period())),
            Aspect::new(format!("the algorithm of {}", quoted(key)), algorithm(quota)),
            Aspect::new(format!("the guard of {}", quoted(key)), guard(quota.guard_pad())),
            Aspect::new(
                format!("the anchor of {}", quoted(key)),
                match quota.anchored_at() {
                    Anchor::Completion => "the completion",
                    _ => "the admission",
                },
            ),
            Aspect::new(
                format!("the reset of {}", quoted(key)),
                if quota.first_reset().is_some() { "told" } else { "not told" },
            ),
        ],
        LimitSpec::Resource(most) | LimitSpec::Adaptive(Sizing { most, by: None, .. }) => {
            vec![Aspect::new(itself, at_once(*most))]
        }
        LimitSpec::Adaptive(Sizing { most, by: Some(rules), .. }) => {
            let [(_, min), (_, max), ..] = rules.parameters();
            let most = if *most == u64::MAX { String::new() } else { format!(", {most} at most") };
            vec![Aspect::new(itself, format!("learnt from {min} to {max} at once{most}"))]
        }
    }
}

/// What it is given beside that.
fn given(key: &str, spec: &LimitSpec) -> Vec<Aspect> {
    match spec {
        LimitSpec::Rate(quota) => vec![Aspect::new(format!("the pace of {}", quoted(key)), at_once(quota.capacity()))],
        LimitSpec::Resource(_) => vec![first(key, None)],
        LimitSpec::Adaptive(Sizing { first: bound, by, .. }) => {
            let parameters = by.iter().flat_map(|rules| rules.parameters());
            let learnt =
                parameters.map(|(name, value)| Aspect::new(format!("`{name}` of {}", quoted(key)), value.to_string()));
            std::iter::once(first(key, *bound)).chain(learnt).collect()
        }
    }
}

fn first(key: &str, bound: Option<u64>) -> Aspect {
    Aspect::new(format!("{} until the first answer", quoted(key)), bound.map_or_else(|| "the same".into(), at_once))
}

fn at_once(most: u64) -> String {
    if most == u64::MAX { "any number at once".into() } else { format!("{most} at once") }
}

fn guard(pad: Duration) -> String {
    if pad.is_zero() { "none".into() } else { format!("{pad:?}") }
}

fn algorithm(quota: &Quota) -> String {
    match quota.kind() {
        Algorithm::SlidingWindow => "a sliding window".into(),
        Algorithm::TokenBucket => format!("a token bucket of {}", quota.capacity()),
        Algorithm::Gcra => format!("GCRA with a burst of {}", quota.capacity()),
        Algorithm::LeakyBucket => "a leaky bucket".into(),
        Algorithm::SlidingCounter => "a sliding counter".into(),
        Algorithm::FixedWindow => "a fixed window".into(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests;
