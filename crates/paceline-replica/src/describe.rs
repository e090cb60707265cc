//! Limits in words, to say what differs.

use paceline::backend::{LimitSpec, Sizing};

use crate::limits::Limits;

/// The first difference between the limits that are in force and those that are wanted, in words.
#[must_use]
pub fn difference(known: &Limits, wanted: &Limits) -> Option<String> {
    let keys = |limits: &Limits| {
        let keys: Vec<_> = limits.iter().map(|(key, _)| quoted(key)).collect();
        if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
    };
    let (ours, theirs) = (keys(wanted), keys(known));
    if ours != theirs {
        return Some(format!("there they are {theirs}, here {ours}"));
    }
    let pairs = known.iter().zip(wanted).find(|((_, known), (_, wanted))| !known.is_like(wanted));
    pairs.map(|((key, known), (_, wanted))| {
        let (mut there, mut here) = (brief(known), brief(wanted));
        if there == here {
            (there, here) = (format!("{known:?}"), format!("{wanted:?}"));
        }
        format!("{} is {there} there, {here} here", quoted(key))
    })
}

/// What is read from elsewhere may hold anything, and is shown on terminals.
fn quoted(key: &str) -> String {
    format!("`{}`", key.escape_debug())
}

fn brief(spec: &LimitSpec) -> String {
    match spec {
        LimitSpec::Rate(quota) => {
            let (amount, period) = (quota.amount(), quota.period());
            let burst =
                if quota.capacity() == amount { String::new() } else { format!(", {} at once", quota.capacity()) };
            format!("{amount} per {period:?} ({:?}{burst})", quota.kind())
        }
        LimitSpec::Resource(capacity) => format!("{capacity} at once"),
        LimitSpec::Adaptive(Sizing { most, by, .. }) => {
            let most = if *most == u64::MAX { "any number".into() } else { format!("{most}") };
            by.map_or(format!("{most} at once"), |rules| format!("{most} at once, learnt by {rules:?}"))
        }
    }
}
