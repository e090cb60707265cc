//! From what was written to what is to be done: flags over file over preset over defaults, checked.

mod endpoints;
mod groups;
mod headers;
mod shared;
mod stated;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::args::{Global, Progress, RunArgs};
use crate::bounds::Bounds;
use crate::config::Config;
use crate::estimate::Estimate;
use crate::job::{Attempts, Input, Job, Output};
use crate::output::Origin;
use crate::price::Prices;

pub(crate) fn resolve(args: &RunArgs, global: &Global) -> Result<Job> {
    let config = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let input = if args.input == Path::new("-") { Input::Stdin } else { Input::File(args.input.clone()) };
    let groups = groups::groups(args, &config)?;
    Ok(Job {
        shared: shared::sharing(args, &config)?,
        estimate: Estimate::new(config.estimate, &groups),
        output: output(args, &input)?,
        input,
        origin: if args.rehearse { Origin::Rehearsal } else { Origin::Service },
        groups,
        attempts: Attempts {
            most: args.retries.max_attempts.or(config.retry.max_attempts).unwrap_or(Attempts::MOST),
            elapsed: args.retries.retry_elapsed.or(config.retry.retry_elapsed),
        },
        bounds: Bounds {
            deadline: args.bounds.deadline.or(config.job.deadline),
            elapsed: args.bounds.max_elapsed.or(config.job.max_elapsed),
            cost: args.bounds.max_cost.or(config.job.max_cost),
            failures: args.bounds.fail_fast.or(config.job.fail_fast),
        },
        send_custom_id: args.service.send_custom_id || config.job.send_custom_id || args.rehearse,
        prices: Prices::new(config.prices),
        on_unknown: args.on_unknown.or(config.job.on_unknown).unwrap_or_default(),
        order: args.order.or(config.job.order).unwrap_or_default(),
        progress: if global.quiet {
            Progress::None
        } else {
            shown(args.progress.or(config.job.progress).unwrap_or_default(), global.verbose)
        },
    })
}

/// A few lines of a log go above a bar; a flood of them would have it redrawn for each.
fn shown(wanted: Progress, verbose: u8) -> Progress {
    match wanted {
        Progress::Auto if verbose <= 1 && console::user_attended_stderr() => Progress::Bar,
        Progress::Auto => Progress::Plain,
        chosen => chosen,
    }
}

fn output(args: &RunArgs, input: &Input) -> Result<Output> {
    match (&args.output, input) {
        (Some(path), _) if path == Path::new("-") => Ok(Output::Stdout),
        (Some(path), Input::File(input)) if same_file(path, input) => {
            bail!("the results would overwrite the requests in {}; name another file by -o", input.display())
        }
        (Some(path), _) if args.rehearse => Ok(Output::Scratch(path.clone())),
        (Some(path), _) => Ok(Output::File(path.clone())),
        (None, Input::Stdin) if args.dry_run => Ok(Output::Stdout),
        (None, Input::Stdin) => bail!("requests come from stdin; say where results go by -o OUT (- is stdout)"),
        (None, Input::File(input)) if args.rehearse => Ok(Output::Scratch(beside(input, "rehearsal"))),
        (None, Input::File(input)) => Ok(Output::File(beside(input, "results"))),
    }
}

/// `requests.jsonl` becomes `requests.results.jsonl`, and so does `requests.jsonl.gz`: results are not packed.
fn beside(input: &Path, kind: &str) -> PathBuf {
    let packed = input.extension().is_some_and(|extension| extension == "gz" || extension == "zst");
    let plain = if packed { input.with_extension("") } else { input.to_owned() };
    plain.with_extension(format!("{kind}.jsonl"))
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}
