//! `paceline top`.

use clap::Args;

use crate::sharing::{RedisUrl, SharedName, shared_name};

/// What `paceline top` can be told.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub(crate) struct TopArgs {
    /// The name that runs share their quotas under
    #[arg(long, value_name = "NAME", value_parser = shared_name)]
    pub(crate) shared: SharedName,
    /// Shared over this Redis or Valkey [env: PACELINE_REDIS_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<RedisUrl>,
    /// Look once and end
    #[arg(long)]
    pub(crate) once: bool,
}

const AFTER: &str = "\
On a terminal it is drawn anew four times a second until q or Ctrl-C; elsewhere it is a line a second.

Examples:
  paceline top --shared openai
  paceline top --shared openai --redis redis://limits.internal --once";
