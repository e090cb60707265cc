//! The IETF drafts on RateLimit header fields, all that are in use.
//!
//! Drafts 8 to 11 have two structured lists, of policies and of what is left of each; draft 7 one dictionary; the
//! earlier ones three plain fields. A malformed field is ignored, as they ask.

use std::time::Duration;

use sfv::{BareItem, Dictionary, Item, List, ListEntry, Parser};

use super::facts::{Doubt, Scope, Unit};
use super::reader::{Reader, count, seconds};
use crate::server::Reset;

const POLICY: &str = "ratelimit-policy";
const STATE: &str = "ratelimit";

pub(super) fn limits(reader: &mut Reader<'_>) {
    let policies = reader.joined(POLICY).map(|text| policies(reader, &text)).unwrap_or_default();
    match reader.joined(STATE) {
        Some(text) => match Parser::new(&text).parse::<Dictionary>() {
            Ok(all) if all.contains_key("remaining") => combined(reader, &text, &all, &policies),
            _ => match Parser::new(&text).parse::<List>() {
                Ok(list) => states(reader, &list, &policies),
                Err(_) => reader.note(STATE, &text, Doubt::Malformed),
            },
        },
        None => separate(reader, &policies),
    }
    untold(reader, policies);
}

/// Of a policy whose state is not told, the policy is.
fn untold(reader: &mut Reader<'_>, policies: Vec<Policy>) {
    for policy in policies {
        let (Some(name), Some(unit)) = (policy.name, policy.unit) else { continue };
        let scope = Scope::Named(name);
        if reader.limits().iter().all(|told| told.scope != scope) {
            reader.limit(unit, scope, policy.period, (policy.amount, None, None));
        }
    }
}

/// One of `RateLimit-Policy`.
struct Policy {
    name: Option<Box<str>>,
    unit: Option<Unit>,
    amount: Option<u64>,
    period: Option<Duration>,
}

/// `"burst";q=100;w=60`, or `100;w=60` before draft 8.
fn policies(reader: &mut Reader<'_>, text: &str) -> Vec<Policy> {
    let Ok(list) = Parser::new(text).parse::<List>() else {
        reader.note(POLICY, text, Doubt::Malformed);
        return Vec::new();
    };
    let policy = |entry: &ListEntry| {
        let ListEntry::Item(item) = entry else { return None };
        let (name, amount) = match &item.bare_item {
            BareItem::Integer(amount) => (None, Some(i64::from(*amount))),
            bare => (Some(text_of(bare)?), integer(item, "q")),
        };
        let amount = amount.and_then(|amount| u64::try_from(amount).ok()).filter(|amount| *amount > 0);
        let period = integer(item, "w").and_then(|window| u64::try_from(window).ok()).map(Duration::from_secs);
        let unit = unit(name, item.params.get("qu").and_then(text_of));
        Some(Policy { name: name.map(Box::from), unit, amount, period })
    };
    list.iter().filter_map(policy).collect()
}

/// Drafts 8 to 11: `"burst";r=50;t=30`.
fn states(reader: &mut Reader<'_>, list: &List, policies: &[Policy]) {
    for (item, name) in list.iter().filter_map(named) {
        let policy = policies.iter().find(|policy| policy.name.as_deref() == Some(name));
        let Some(unit) = policy.map_or_else(|| unit(Some(name), None), |policy| policy.unit) else { continue };
        let shown = |key: &str, value: i64| format!("{name};{key}={value}");
        let mut remaining = None;
        if let Some(left) = integer(item, "r") {
            remaining = u64::try_from(left).ok();
            if remaining.is_none() {
                reader.note(STATE, &shown("r", left), Doubt::Absurd);
            }
        }
        let reset = integer(item, "t").and_then(|left| {
            let read = u64::try_from(left).map(Duration::from_secs).map_err(|_| Doubt::Absurd);
            reader.bounded(STATE, &shown("t", left), read)
        });
        let (limit, period) = policy.map_or((None, None), |policy| (policy.amount, policy.period));
        reader.limit(unit, Scope::Named(name.into()), period, (limit, remaining, reset.map(Reset::Window)));
    }
}

/// Draft 7: `limit=100, remaining=50, reset=5`.
fn combined(reader: &mut Reader<'_>, text: &str, all: &Dictionary, policies: &[Policy]) {
    let mut value = |key: &str| {
        let Some(ListEntry::Item(item)) = all.get(key) else { return None };
        let whole = item.bare_item.as_integer().and_then(|whole| u64::try_from(i64::from(whole)).ok());
        if whole.is_none() {
            reader.note(STATE, text, Doubt::Absurd);
        }
        whole
    };
    let (limit, remaining, reset) = (value("limit"), value("remaining"), value("reset"));
    let reset = reset.and_then(|left| reader.bounded(STATE, text, Ok(Duration::from_secs(left))));
    unnamed(reader, policies, (limit.filter(|limit| *limit > 0), remaining, reset));
}

/// Drafts up to 6. A limit may be followed by its policies: `100, 100;w=60`.
fn separate(reader: &mut Reader<'_>, policies: &[Policy]) {
    let first = |text: &str| text.split([',', ';']).next().unwrap_or_default().trim().to_owned();
    let limit = reader.parsed("ratelimit-limit", |_, text| match count(&first(text))? {
        0 => Err(Doubt::Absurd),
        limit => Ok(limit),
    });
    let remaining = reader.remaining("ratelimit-remaining");
    let reset = reader.wait("ratelimit-reset", |_, text| seconds(text));
    unnamed(reader, policies, (limit, remaining, reset));
}

/// A limit without a name is that of the policy of its size, if there is one.
fn unnamed(
    reader: &mut Reader<'_>,
    policies: &[Policy],
    (limit, remaining, reset): (Option<u64>, Option<u64>, Option<Duration>),
) {
    let period = policies.iter().find(|policy| policy.amount == limit).and_then(|policy| policy.period);
    reader.limit(Unit::Requests, Scope::Account, period, (limit, remaining, reset.map(Reset::Window)));
}

fn named(entry: &ListEntry) -> Option<(&Item, &str)> {
    let ListEntry::Item(item) = entry else { return None };
    Some((item, text_of(&item.bare_item)?))
}

/// Names are strings; servers that send tokens are understood.
fn text_of(bare: &BareItem) -> Option<&str> {
    match bare {
        BareItem::String(text) => Some(text.as_str()),
        BareItem::Token(text) => Some(text.as_str()),
        _ => None,
    }
}

fn integer(item: &Item, key: &str) -> Option<i64> {
    item.params.get(key)?.as_integer().map(i64::from)
}

/// The unit that the policy's name says, else that of `qu`, which means requests when it is left out. Of others, such
/// as `content-bytes`, there is no limit here to tell.
fn unit(name: Option<&str>, quota_unit: Option<&str>) -> Option<Unit> {
    let by_name = |name: &str| Unit::ALL.into_iter().find(|unit| unit.as_str() == name.replace('-', "_"));
    name.and_then(by_name).or_else(|| by_name(quota_unit.unwrap_or("requests")))
}
