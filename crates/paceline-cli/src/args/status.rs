//! `paceline status`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::sharing::{RedisUrl, SharedName, shared_name};

/// What `paceline status` can be told.
#[derive(Args, Debug)]
#[command(after_help = AFTER, override_usage = USAGE, group = ArgGroup::new("of").required(true).args(["results", "shared"]))]
pub(crate) struct StatusArgs {
    /// The results of a run
    #[arg(value_name = "OUT")]
    pub(crate) results: Option<PathBuf>,
    /// Where its requests are [default: where the latest run read them]
    #[arg(long, value_name = "FILE", conflicts_with = "shared")]
    pub(crate) input: Option<PathBuf>,
    /// How the quotas stand that runs share under this name
    #[arg(long, value_name = "NAME", value_parser = shared_name)]
    pub(crate) shared: Option<SharedName>,
    /// Of those that are shared over this Redis or Valkey [env: PACELINE_REDIS_URL]
    #[arg(long, value_name = "URL", requires = "shared", conflicts_with = "results")]
    pub(crate) redis: Option<RedisUrl>,
    /// Forget what is shared; while it is in use, only what has been used of it
    ///
    /// What nobody uses is forgotten, limits included, so that the next run can share others. Where runs have it open, or a
    /// `paceline top`, its limits stay: what was charged and learnt is forgotten, and a pause ended. What is in flight stays in
    /// flight.
    #[arg(long, requires = "shared", conflicts_with_all = ["results", "json"])]
    pub(crate) reset: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const USAGE: &str = "\
paceline status [--input <FILE>] [--json] <OUT>
       paceline status --shared <NAME> [--redis <URL>] [--json|--reset]";

const AFTER: &str = "\
Examples:
  paceline status requests.results.jsonl
  paceline status --shared openai";
