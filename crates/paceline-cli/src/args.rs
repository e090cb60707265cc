//! The command line as it is written. What it means is decided in [`resolve`](crate::resolve).

mod bounds;
mod check;
mod mock;
mod report;
mod run;
mod status;
mod top;
pub(crate) mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use check::CheckArgs;
pub(crate) use mock::MockArgs;
pub(crate) use report::ReportArgs;
pub(crate) use run::{LimitArgs, RunArgs};
pub(crate) use status::StatusArgs;
pub(crate) use top::TopArgs;
pub(crate) use values::{Color, OnUnknown, Progress, ResultOrder};

/// Drives work through limits: every request at the earliest instant that all of them permit.
#[derive(Debug, Parser)]
#[command(name = "paceline", version, arg_required_else_help = true, infer_long_args = false, max_term_width = 100)]
#[command(after_help = AFTER)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER: &str = "\
Examples:
  paceline run requests.jsonl --rehearse              try a job against a simulated provider
  paceline run requests.jsonl --rpm 500 --tpm 200000  send it; the same command again resumes it
  paceline status requests.results.jsonl              what is done, and what is left
  paceline report requests.results.jsonl              see how it went";

const RETRY_FAILED: &str = "\
Examples:
  paceline retry-failed requests.results.jsonl --rpm 500 --tpm 200000
  paceline retry-failed requests.results.jsonl --rpm 100 --max-attempts 8";

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more on stderr: -v retries and pauses, -vv every attempt, -vvv everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Write the log to a file, one JSON object a line
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_json: Option<PathBuf>,
    /// Colour what goes to a terminal
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "auto|always|never"
    )]
    pub(crate) color: Color,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Send every request of a file within the limits, and write every result
    Run(Box<RunArgs>),
    /// Say offline what a run would cost, how long it would take, and which limit binds
    ///
    /// Takes the flags of `run`, so that one word turns a run into its check.
    #[command(after_long_help = CHECK, after_help = "")]
    Check(Box<CheckArgs>),
    /// Ask again for the failed results of a run, which are taken out first
    ///
    /// Takes the flags of `run`, but for its files: say the service and its limits as the run did.
    // The same as `run`, but for its files.
    #[command(
        after_help = RETRY_FAILED,
        after_long_help = RETRY_FAILED,
        mut_arg("input", |arg| arg.value_name("OUT").help("The results of a run").long_help(None)),
        mut_arg("rehearse", |arg| arg.hide(true)),
        mut_arg("output", |arg| {
            arg.long("input").short(None).value_name("FILE").help("Where its requests are [default: where the latest run read them]")
        })
    )]
    RetryFailed(Box<RunArgs>),
    /// Tell what is done of a job, and what is left; or how quotas stand that several runs share
    Status(StatusArgs),
    /// Watch quotas that several runs share: how full they are, who waits, what is granted
    Top(TopArgs),
    /// Draw what a job did as one HTML page: rates, windows, latencies, waits, verdicts
    Report(ReportArgs),
    /// Simulate a provider that holds its limits strictly and remembers what it saw
    Mock(Box<MockArgs>),
    /// List the known limits of providers, each with its source and date
    Presets {
        /// Show this one in full
        name: Option<String>,
    },
    /// Show what a configuration file can say
    Config {
        /// Print a commented example that equals the defaults
        #[arg(long, required = true)]
        example: bool,
    },
    /// Print a completion script
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

const CHECK: &str = "\
Examples:
  paceline check requests.jsonl --preset openai-gpt-4o-mini-tier-1
  paceline check requests.jsonl --rpm 500 --tpm 200000 --simulate --latency lognormal:2s,0.5
  paceline check more.jsonl --rpm 500 --simulate --latency-from requests.results.jsonl

Exit codes: 0 all can be sent; 1 some lines cannot; 2 usage, input or configuration; 3 a bound would
stop the run before its end.";

/// Reads the command line; prints help or the error and ends where it does not lead to a command.
pub(crate) fn parse() -> Cli {
    let args: Vec<OsString> = std::env::args_os().collect();
    let matches = Cli::command().color(Color::wanted(&args).into()).get_matches_from(args);
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
