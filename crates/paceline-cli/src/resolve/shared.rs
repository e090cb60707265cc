//! Whether the quotas are shared with other runs, and whether they can be.

use anyhow::{Result, bail};

use crate::args::RunArgs;
use crate::config::Config;
use crate::endpoint::Group;
use crate::job::Concurrency;
use crate::sharing::SharedName;

/// What a set that is shared cannot find out by itself has to be stated.
pub(super) fn shared(args: &RunArgs, config: &Config, groups: &[Group]) -> Result<Option<SharedName>> {
    let Some(name) = args.limits.shared.as_ref().or(config.limits.shared.as_ref()) else { return Ok(None) };
    if args.rehearse {
        // Its provider is its own, and what it sends must not be charged to a real quota.
        return Ok(None);
    }
    if groups.len() > 1 {
        bail!(
            "only one quota can be shared by a run, and the configuration has {}; run each by a command of its own",
            groups.len()
        );
    }
    for group in groups {
        let adaptive = matches!(group.concurrency, Concurrency::Adaptive { .. });
        if adaptive && group.limits.is_empty() {
            bail!(
                "there is nothing to share as `{name}`: no limit is stated, and limits that answers tell of are each \
                 run's own; say them, for example by --rpm 500, and --concurrency N"
            );
        }
        if adaptive {
            bail!(
                "runs that share `{name}` need to be told how many requests may be in flight, all of them together: \
                 say --concurrency N, with a number"
            );
        }
    }
    Ok(Some(name.clone()))
}
