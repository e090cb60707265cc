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
        Some(name) => Ok(Some(Sharing::new(name.clone(), redis.cloned()))),
        None if redis.is_some() && !args.rehearse => {
            bail!("--redis says where limits are shared and not as what; name them by --shared NAME")
        }
        None => Ok(None),
    }
}

/// What those who share a quota cannot find out each for himself has to be stated.
pub(super) fn check(name: &SharedName, groups: &[Group]) -> Result<()> {
    let [group] = groups else {
        bail!(
            "only one quota can be shared by a run, and the configuration has {}; run each by a command of its own",
            groups.len()
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
