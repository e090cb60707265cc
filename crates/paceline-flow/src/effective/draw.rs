//! The tree as text.

use std::fmt;

use super::shape::{NodeShape, Reach, Shape, in_set};
use super::{EffectiveLimits, Service};

/// Where a line of the tree hangs.
struct Branch<'a> {
    above: &'a str,
    is_last: bool,
    is_top: bool,
    /// How many times the place exists.
    slots: u64,
}

impl fmt::Display for EffectiveLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for top in &self.tops {
            draw(f, top, &Branch { above: "", is_last: true, is_top: true, slots: 1 })?;
        }
        self.services.iter().try_for_each(|service| writeln!(f, "{service}"))?;
        self.findings().iter().try_for_each(|finding| writeln!(f, "warning: {finding}"))
    }
}

fn draw(f: &mut fmt::Formatter<'_>, shape: &Shape, branch: &Branch<'_>) -> fmt::Result {
    let Branch { above, is_last, is_top, slots } = *branch;
    let (own, below) = match (is_top, is_last) {
        (true, _) => ("", ""),
        (false, true) => ("└─ ", "   "),
        (false, false) => ("├─ ", "│  "),
    };
    write!(f, "{above}{own}")?;
    let (nodes, slots) = match shape {
        Shape::Node(node) => return node_line(f, node, slots),
        Shape::Flow { name, nodes } => {
            writeln!(f, "{name}: once")?;
            (nodes, slots)
        }
        Shape::Batch { name, at_once, per_minute, nodes } => {
            write!(f, "{name}: {at_once} at once")?;
            if let Some(per_minute) = per_minute {
                write!(f, ", {per_minute} started a minute")?;
            }
            let all = slots.saturating_mul(*at_once);
            if slots > 1 {
                write!(f, "; in {slots} slots {all} at once")?;
                if let Some(per_minute) = per_minute {
                    write!(f, ", {} started a minute", per_minute.saturating_mul(slots))?;
                }
            }
            writeln!(f)?;
            (nodes, all)
        }
    };
    let above = format!("{above}{below}");
    for (at, node) in nodes.iter().enumerate() {
        draw(f, node, &Branch { above: &above, is_last: at + 1 == nodes.len(), is_top: false, slots })?;
    }
    Ok(())
}

fn node_line(f: &mut fmt::Formatter<'_>, node: &NodeShape, slots: u64) -> fmt::Result {
    let one = node.own();
    write!(f, "{}: ", node.name)?;
    let mut parts = Vec::new();
    if one != Reach::ANY {
        parts.push(Words(one).to_string());
        if slots > 1 {
            parts.push(format!("in {slots} slots {}", Words(one.times(slots))));
        }
    }
    parts.extend(node.shared.iter().map(|set| format!("within `{}` {}", set.name(), Words(in_set(set)))));
    parts.extend(node.pool.iter().map(|pool| format!("within the pool `{}`", pool.name())));
    writeln!(f, "{}", if parts.is_empty() { "without limit".to_owned() } else { parts.join("; ") })
}

impl NodeShape {
    /// Its limits in one slot, for a diagram; nothing where there are none.
    pub(crate) fn label(&self) -> String {
        let own = self.own();
        if own == Reach::ANY { String::new() } else { Words(own).to_string() }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): ", self.name, self.nodes.join(", "))?;
        let measures = [
            (self.reach.at_once, self.allows.at_once, "at once"),
            (self.reach.per_minute, self.allows.per_minute, "a minute"),
        ];
        let told = measures.into_iter().filter_map(|(reach, allows, what)| {
            let reach = reach.map_or_else(|| "any number".to_owned(), |reach| reach.to_string());
            Some(format!("{reach} of {} {what}", allows?))
        });
        let told: Vec<_> = told.collect();
        f.write_str(&if told.is_empty() { "no limit is known".to_owned() } else { told.join(", ") })
    }
}

/// A reach in words.
struct Words(Reach);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reach::ANY => f.write_str("without limit"),
            Reach { at_once: Some(calls), per_minute: None } => write!(f, "{calls} at once"),
            Reach { at_once: None, per_minute: Some(calls) } => write!(f, "{calls} a minute"),
            Reach { at_once: Some(at_once), per_minute: Some(calls) } => {
                write!(f, "{at_once} at once, {calls} a minute")
            }
        }
    }
}
