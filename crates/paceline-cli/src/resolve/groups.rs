//! Endpoints by quota: what each group of them may use together.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::endpoints::{self, Resolved};
use super::{shared, stated};
use crate::args::RunArgs;
use crate::config::{Config, EndpointConfig, LimitsConfig};
use crate::endpoint::{Endpoint, Group};
use crate::job::Concurrency;
use crate::limits::{Counted, LimitFlag, Stated, merge};

/// What a rehearsal holds where nobody said.
const REHEARSED_RPM: u64 = 600;
const REHEARSED_CONCURRENCY: u64 = 8;

pub(super) fn groups(args: &RunArgs, config: &Config) -> Result<Vec<Group>> {
    let only = EndpointConfig::default();
    let mut groups: Vec<(String, Vec<Resolved<'_>>)> = Vec::new();
    for resolved in endpoints::endpoints(args, config, &only)? {
        let name = resolved.config.quota_group.clone();
        // A group of its own does not join one that has the same name.
        let found = groups.iter_mut().find(|(of, all)| name.as_ref() == Some(of) && all[0].config.quota_group == name);
        match found {
            Some((_, all)) => all.push(resolved),
            None => groups.push((name.unwrap_or_else(|| resolved.endpoint.name.clone()), vec![resolved])),
        }
    }
    let mut resolved = Vec::with_capacity(groups.len());
    for (name, members) in &groups {
        resolved.push(group(args, config, name.clone(), members)?);
    }
    if let Some(sharing) = shared::sharing(args, config)? {
        shared::check(&sharing.name, &resolved)?;
    }
    for (group, (_, members)) in resolved.iter_mut().zip(groups) {
        for member in members {
            let key = endpoints::key(args, &member)?;
            group.endpoints.push(Endpoint { key, ..member.endpoint });
        }
    }
    Ok(resolved)
}

/// A group without its endpoints.
fn group(args: &RunArgs, config: &Config, name: String, members: &[Resolved<'_>]) -> Result<Group> {
    let own: Vec<LimitsConfig> = members.iter().map(|member| member.config.limits()).collect();
    let what = || format!("the quota group `{name}`");
    let speech = agreed(members.iter().map(|member| Some(member.speech)), "dialects").with_context(what)?;
    let preset = agreed(own.iter().map(|limits| limits.preset.as_ref()), "presets").with_context(what)?;
    let preset = args.limits.preset.as_ref().or(preset).or(config.limits.preset.as_ref());
    let preset = preset.map(|name| crate::limits::preset(name)).transpose()?;
    let concurrency = agreed(own.iter().map(|limits| limits.concurrency), "concurrencies").with_context(what)?;
    let common = args.limits.concurrency.or(concurrency).or(config.limits.concurrency);
    let mut concurrency = common.or_else(|| preset?.concurrency.map(Concurrency::Fixed));

    let mut layers = [
        stated::by_flags(&args.limits),
        together(&own),
        stated::by_file(&config.limits),
        preset.map(stated::by_preset).unwrap_or_default(),
    ];
    if args.rehearse && concurrency.is_none() && layers.iter().all(Vec::is_empty) {
        let limit = LimitFlag::window(Counted::Requests, REHEARSED_RPM, Duration::from_secs(60));
        layers[3].push(Stated { limit, by: "--rehearse".into() });
        concurrency = Some(Concurrency::Fixed(REHEARSED_CONCURRENCY));
    }
    let limits = merge(layers, config.limits.guard.0);
    let limits = if members.len() > 1 { limits.with_context(what) } else { limits }?;
    Ok(Group {
        speech: speech.expect("a group has a member"),
        limits,
        concurrency: concurrency.unwrap_or(Concurrency::AUTO),
        endpoints: Vec::with_capacity(members.len()),
        name,
    })
}

/// What all that say something say.
fn agreed<T: PartialEq>(said: impl Iterator<Item = Option<T>>, what: &str) -> Result<Option<T>> {
    let mut agreed = None;
    for one in said.flatten() {
        if agreed.as_ref().is_some_and(|agreed| *agreed != one) {
            bail!("its endpoints have different {what}, but one quota; give all the same, or each a group of its own");
        }
        agreed = Some(one);
    }
    Ok(agreed)
}

/// What they state, once where they say the same. Where they do not, merging tells.
fn together(own: &[LimitsConfig]) -> Vec<Stated> {
    let mut all: Vec<Stated> = Vec::new();
    for stated in own.iter().flat_map(stated::by_file) {
        if all.iter().all(|known| known.limit != stated.limit) {
            all.push(stated);
        }
    }
    all
}
