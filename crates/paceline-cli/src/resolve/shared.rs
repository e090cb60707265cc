//! Whether the quotas are shared with other runs, and whether they can be.

use anyhow::{Result, bail};

use crate::args::RunArgs;
use crate::config::Config;
use crate::endpoint::Group;
use crate::job::Concurrency;
use crate::sharing::{SharedName, Sharing};

pub(super) fn name<'a>(args: &'a RunArgs, config: &'a Config) -> Option<&'a SharedName> {
    // The provider of a rehearsal is its own, and what goes there must not be charged to a real quota.
    let shared = args.limits.shared.as_ref().or(config.limits.shared.as_ref());
    shared.filter(|_| !args.rehearse)
}

pub(super) fn sharing(args: &RunArgs, config: &Config) -> Result<Option<Sharing>> {
    let redis = args.limits.redis.as_ref().or(config.limits.redis.as_ref());
    match name(args, config) {
        Some(name) => Sharing::new(name.clone(), redis.cloned()).map(Some),
        None if redis.is_some() && !args.rehearse => {
            bail!("--redis says where limits are shared and not as what; name them by --shared NAME")
        }
        None => Ok(None),
    }
}

/// What those who share a quota cannot find out each for himself has to be stated.
pub(super) fn check(name: &SharedName, groups: &[Group]) -> Result<()> {
    let [group] = groups else {
        // A request goes to whichever has room first, and waits in all their queues for that: one claim settles it within a
        // process, and there is none between stores. Nor could a run leave one out by closing it, which is everybody's.
        let names: Vec<_> = groups.iter().map(|group| format!("`{}`", group.name)).collect();
        bail!(
            "a run can share one quota, and the configuration has {}: {}; share each under a name of its own, by a run \
             whose configuration has only its endpoints",
            groups.len(),
            names.join(", ")
        );
    };
    if group.limits.is_empty() && group.concurrency == Concurrency::AUTO {
        bail!(
            "there is nothing to share as `{name}`: limits that answers tell of are each run's own; state some, for \
             example by --rpm 500, or how many requests may be in flight, by --concurrency N"
        );
    }
    Ok(())
}
