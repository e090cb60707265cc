//! `paceline run`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paceline::headers::Dialect;

use super::bounds::BoundArgs;
use super::values::{OnUnknown, Progress, ResultOrder, amount, attempts, concurrency, dialect, period};
use crate::job::Concurrency;
use crate::limits::LimitFlag;
use crate::sharing::{RedisUrl, SharedName, shared_name};

/// What `paceline run` can be told.
#[derive(Args, Debug)]
#[command(after_help = SHORT, after_long_help = AFTER)]
pub(crate) struct RunArgs {
    /// The requests, one JSON object a line: {"custom_id", "method", "url", "body"}; - is stdin
    ///
    /// Files and streams in gzip or zstd are unpacked.
    pub(crate) input: PathBuf,
    /// Where results go; - is stdout [default: INPUT with .results.jsonl beside it]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Read settings from a TOML file; flags win (see `paceline config --example`)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Check everything and estimate tokens, cost and time, but send nothing (see `paceline check`)
    #[arg(long, conflicts_with = "rehearse")]
    pub(crate) dry_run: bool,
    /// Send to a simulated provider that holds the same limits strictly, started for this run
    ///
    /// Without -o the results go to INPUT with .rehearsal.jsonl beside it, overwritten each time. Without limits the
    /// rehearsal takes 600 requests a minute and 8 at once.
    #[arg(long, conflicts_with_all = ["base_url", "api_key_env"])]
    pub(crate) rehearse: bool,

    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    #[command(flatten)]
    pub(crate) retries: RetryArgs,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,

    /// The order of the results [default: completion]
    #[arg(long, value_name = "input|completion", hide_possible_values = true, help_heading = "Output")]
    pub(crate) order: Option<ResultOrder>,
    /// Whether to send again what was in flight when an earlier run was killed [default: retry]
    ///
    /// Nobody knows whether such requests were answered. retry may have some answered twice; skip leaves them without a
    /// result, and the run then ends with exit code 3.
    #[arg(long, value_name = "retry|skip", hide_possible_values = true, help_heading = "Output")]
    pub(crate) on_unknown: Option<OnUnknown>,
    /// How to show progress on stderr [default: auto]
    #[arg(long, value_name = "auto|bar|plain|json|none", hide_possible_values = true, help_heading = "Output")]
    pub(crate) progress: Option<Progress>,
}

const SHORT: &str = "Examples and exit codes: paceline run --help";

const AFTER: &str = "\
Examples:
  paceline run requests.jsonl --rehearse
  paceline run requests.jsonl --rpm 500 --tpm 200000 -o answers.jsonl
  paceline run requests.jsonl.gz --preset \"openai gpt-5 tier 1\" --progress json 2> log.jsonl
  paceline run part-1.jsonl --rpm 500 --concurrency 16 --shared openai
  zcat requests.jsonl.gz | paceline run - -o - --concurrency 8 > answers.jsonl

Running the same command again sends only what has no result yet.

Exit codes: 0 all succeeded; 1 some failed for good; 2 usage, input or configuration; 3 stopped,
run again to go on; 4 the service refused the key; 130 or 143 interrupted, after a flush.";

/// Whom to send to.
#[derive(Args, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
    // Not a doc comment, in which the default would have to be a link.
    #[arg(long, value_name = "URL", help = "Where the service is [default: https://api.openai.com]")]
    pub(crate) base_url: Option<String>,
    /// The environment variable that holds the key [default: OPENAI_API_KEY, or the dialect's usual one]
    ///
    /// A service on this machine needs none unless this flag names one. Several keys, regions or providers are told by
    /// --config.
    #[arg(long, value_name = "NAME")]
    pub(crate) api_key_env: Option<String>,
    /// How the service is spoken to: openai, azure, anthropic, gemini, github, ietf or plain [default: by its host]
    ///
    /// It decides which headers carry the key and how answers are read for limits and usage.
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    pub(crate) dialect: Option<Dialect>,
    /// Give up on an attempt after this long [default: 10m]
    #[arg(long, value_name = "DUR", value_parser = period, allow_hyphen_values = true)]
    pub(crate) timeout: Option<Duration>,
    /// Send each custom_id as the header x-custom-id
    #[arg(long)]
    pub(crate) send_custom_id: bool,
}

/// How to try again.
#[derive(Args, Debug)]
#[command(next_help_heading = "Retries")]
pub(crate) struct RetryArgs {
    /// Try a request so often, the first time included [default: 5]
    #[arg(long, value_name = "N", value_parser = attempts, allow_negative_numbers = true)]
    pub(crate) max_attempts: Option<NonZeroU32>,
    /// Begin no attempt later than this after a request's first [default: no bound]
    #[arg(long, value_name = "DUR", value_parser = period, allow_hyphen_values = true)]
    pub(crate) retry_elapsed: Option<Duration>,
}

/// What the service allows.
#[derive(Args, Debug)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArgs {
    /// Take the known limits of a provider (see `paceline presets`); flags beside it win
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// Requests a minute: short for --limit requests=N/1m
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true)]
    pub(crate) rpm: Option<NonZeroU64>,
    /// Tokens a minute, input and output together
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true)]
    pub(crate) tpm: Option<NonZeroU64>,
    /// Input tokens a minute
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true)]
    pub(crate) itpm: Option<NonZeroU64>,
    /// Output tokens a minute
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true)]
    pub(crate) otpm: Option<NonZeroU64>,
    /// Requests a day
    #[arg(long, value_name = "N", value_parser = amount, allow_negative_numbers = true)]
    pub(crate) rpd: Option<NonZeroU64>,
    /// Any limit, as often as needed; KEY is requests, tokens, input_tokens or output_tokens
    ///
    /// For example requests=100/10s. With ,burst=N it is a bucket of N that refills evenly instead of a sliding window.
    #[arg(long = "limit", value_name = "KEY=AMOUNT/WINDOW[,burst=N]", allow_hyphen_values = true)]
    pub(crate) limit: Vec<LimitFlag>,
    /// Requests in flight at once [default: the preset's, or else auto]
    ///
    /// auto finds the number by what is answered, from 1 to 50, and a rate where one at a time is too much already.
    /// MIN-MAX does so in other bounds.
    #[arg(long, value_name = "N|auto|MIN-MAX", value_parser = concurrency, allow_hyphen_values = true)]
    pub(crate) concurrency: Option<Concurrency>,
    /// Share these limits with all runs on this machine that give the same name (Linux)
    ///
    /// Together they then keep them: runs on parts of one job, say. Each has to be given the same limits, --concurrency
    /// and the guard of a configuration included, and has one quota: several quota groups cannot be shared. What is shared is
    /// shown by `paceline status --shared NAME` and `paceline top --shared NAME`, and lies in memory, under PACELINE_SHM_DIR or
    /// else in /dev/shm.
    #[arg(long, value_name = "NAME", value_parser = shared_name, conflicts_with = "rehearse")]
    pub(crate) shared: Option<SharedName>,
    /// Share what --shared names over this Redis or Valkey, with runs on other machines [env: PACELINE_REDIS_URL]
    ///
    /// redis://HOST is enough, redis://USER:PASSWORD@HOST:PORT/DB is all of it; rediss://… for TLS, or unix:///PATH; any node
    /// of a cluster. A password is better told by the environment variable, since other users of this machine can see what
    /// a command was given. Over TLS those are trusted whom this system trusts; others by SSL_CERT_FILE, a file of
    /// certificates that takes the place of the system's, or SSL_CERT_DIR, directories of such files, or both together.
    #[arg(long, value_name = "URL", conflicts_with = "rehearse")]
    pub(crate) redis: Option<RedisUrl>,
}
