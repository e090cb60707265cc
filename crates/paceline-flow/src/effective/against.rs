//! What services allow, beside what the flow can do there.

use std::fmt;
use std::sync::Arc;

use paceline::presets::Preset;

use super::shape::{NodeShape, in_set};
use super::{EffectiveLimits, Service};

/// What a service allows: calls at once, calls a minute, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct ServiceLimits {
    /// Calls at once; none where it does not say.
    pub at_once: Option<u64>,
    /// Calls in any minute; none where it does not say.
    pub per_minute: Option<u64>,
}

impl ServiceLimits {
    /// It allows so many calls at once.
    pub const fn concurrent(calls: u64) -> Self {
        Self { at_once: Some(calls), per_minute: None }
    }

    /// It allows so many calls in any minute, and any number at once.
    pub const fn rate(calls_per_minute: u64) -> Self {
        Self { at_once: None, per_minute: Some(calls_per_minute) }
    }

    /// It also allows no more than so many calls in any minute.
    pub const fn per_minute(mut self, calls: u64) -> Self {
        self.per_minute = Some(calls);
        self
    }
}

impl From<&Preset> for ServiceLimits {
    fn from(preset: &Preset) -> Self {
        Self { at_once: preset.concurrency, per_minute: preset.requests_per_minute }
    }
}

/// Something about the limits that is worth a second look. Its text says what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// The flow can do more than the service allows: it will refuse some.
    UnderConstrained {
        /// The service.
        service: Arc<str>,
        /// What is counted.
        what: Measure,
        /// What it allows.
        allows: u64,
        /// What the limits let through; none where nothing bounds it.
        reach: Option<u64>,
    },
    /// The flow can do less than half of what the service allows: the rest is wasted.
    OverConstrained {
        /// The service.
        service: Arc<str>,
        /// What is counted.
        what: Measure,
        /// What it allows.
        allows: u64,
        /// What the limits let through.
        reach: u64,
    },
    /// A service was named with a node that there is not.
    UnknownNode {
        /// The service.
        service: Arc<str>,
        /// The node.
        node: Arc<str>,
    },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Measure {
    /// Calls in flight.
    AtOnce,
    /// Calls that start in a minute.
    PerMinute,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtOnce => "at once",
            Self::PerMinute => "a minute",
        })
    }
}

impl EffectiveLimits {
    /// Says which of the nodes call a service, and what it allows: what they can do there together is shown beside it,
    /// and [findings](Self::findings) tell where that is too much, or less than half.
    pub fn against(mut self, service: &str, nodes: &[&str], allows: impl Into<ServiceLimits>) -> Self {
        let reach = self.reach(&|name| nodes.contains(&name));
        let nodes = nodes.iter().map(|node| Arc::from(*node)).collect();
        self.services.push(Service { name: service.into(), nodes, allows: allows.into(), reach, is_set: false });
        self
    }

    /// Adds every shared set, with the nodes that share it.
    pub(super) fn with_sets(mut self) -> Self {
        let mut nodes: Vec<&NodeShape> = Vec::new();
        self.tops.iter().for_each(|top| top.nodes(&mut nodes));
        let mut sets: Vec<&paceline::LimitSet> = Vec::new();
        for set in nodes.iter().flat_map(|node| &node.shared) {
            if !sets.iter().any(|seen| seen.is(set)) {
                sets.push(set);
            }
        }
        let services = sets.into_iter().map(|set| {
            let sharing = |node: &NodeShape| node.shared.iter().any(|shared| shared.is(set));
            let names: Vec<_> = nodes.iter().filter(|node| sharing(node)).map(|node| Arc::clone(&node.name)).collect();
            let allows = in_set(set);
            let reach = self.reach(&|name| names.iter().any(|other| &**other == name));
            let allows = ServiceLimits { at_once: allows.at_once, per_minute: allows.per_minute };
            Service { name: set.name().into(), nodes: names, allows, reach, is_set: true }
        });
        self.services = services.collect();
        self
    }

    /// What is worth a second look, in the order of the services.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut known = Vec::new();
        self.tops.iter().for_each(|top| top.nodes(&mut known));
        let mut findings = Vec::new();
        for service in &self.services {
            let unknown = service.nodes.iter().filter(|name| !known.iter().any(|node| node.name == **name));
            findings.extend(
                unknown.map(|node| Finding::UnknownNode { service: Arc::clone(&service.name), node: Arc::clone(node) }),
            );
            findings.extend(service.finding(Measure::AtOnce, service.allows.at_once, service.reach.at_once));
            findings.extend(service.finding(Measure::PerMinute, service.allows.per_minute, service.reach.per_minute));
        }
        findings
    }
}

impl Service {
    fn finding(&self, what: Measure, allows: Option<u64>, reach: Option<u64>) -> Option<Finding> {
        let (allows, service) = (allows?, Arc::clone(&self.name));
        match reach {
            Some(reach) if reach < allows.div_ceil(2) => {
                Some(Finding::OverConstrained { service, what, allows, reach })
            }
            Some(reach) if reach <= allows => None,
            _ if self.is_set => None,
            reach => Some(Finding::UnderConstrained { service, what, allows, reach }),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderConstrained { service, what, allows, reach } => {
                write!(f, "`{service}` allows {allows} {what}, and these limits let ")?;
                match reach {
                    Some(reach) => write!(f, "{reach}")?,
                    None => f.write_str("any number")?,
                }
                f.write_str(
                    " through; it will refuse some. Lower the limit of a node or the number of slots, or let the ",
                )?;
                write!(f, "nodes share one set of {allows}")
            }
            Self::OverConstrained { service, what, allows, reach } => {
                let unused = 100 - u128::from(*reach) * 100 / u128::from((*allows).max(1));
                write!(
                    f,
                    "of the {allows} {what} that `{service}` allows, these limits use at most {reach}: {unused} % are "
                )?;
                f.write_str("wasted. Raise the limit of a node or the number of slots")
            }
            Self::UnknownNode { service, node } => write!(f, "there is no node `{node}` that could call `{service}`"),
        }
    }
}
