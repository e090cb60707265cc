//! The tasks of this workspace: `cargo xtask ci | test | soak | setup`.
//!
//! A task is a list of named steps; a step is one idea and a few commands, all printed as they are run, so that any of
//! them can be copied into a shell. `ci` is `setup` and then `test`. The lists are in [`tasks`], the steps that are more
//! than a command in [`checks`], and where the compilers of the wasm32 and MSRV checks come from in [`toolchain`].

mod browser;
mod checks;
mod command;
mod real_parts;
mod report;
mod setup;
mod tasks;
mod toolchain;
mod workspace;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::tasks::Task;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks of the Paceline workspace")]
struct Cli {
    #[command(subcommand)]
    task: TaskArg,
}

#[derive(Subcommand)]
enum TaskArg {
    /// Install what the checks need, then run them all: what a fresh clone must pass
    Ci(Selection),
    /// Run all checks, without installing anything
    Test(Selection),
    /// Run the long forms: many more rounds, in release, with a wider loom search
    Soak(Selection),
    /// Install what the checks need, saying what and how; what is there already is left alone
    Setup(Selection),
}

#[derive(Args)]
struct Selection {
    /// Run this step alone (may be given several times)
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
    /// List the steps and stop
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let (task, selection) = match Cli::parse().task {
        TaskArg::Ci(selection) => (Task::Ci, selection),
        TaskArg::Test(selection) => (Task::Test, selection),
        TaskArg::Soak(selection) => (Task::Soak, selection),
        TaskArg::Setup(selection) => (Task::Setup, selection),
    };
    match run(task, &selection) {
        Ok(true) => ExitCode::SUCCESS,
        // The report has said what failed.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task, selection: &Selection) -> anyhow::Result<bool> {
    let steps = tasks::select(task.steps(), &selection.only)?;
    if selection.list {
        for step in steps {
            println!("{:<14} {}", step.name, step.about);
        }
        return Ok(true);
    }
    Ok(report::run_all(&steps, &Workspace::load()?))
}
