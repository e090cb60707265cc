//! `paceline`: a file of requests through a quota, nothing over, nothing lost.
//!
//! Parse ([`args`], [`config`]), resolve ([`resolve`], to a [`job::Job`] of plain facts), act ([`run`], or one of the
//! smaller commands). A request's way is [`input`] → [`drive`] → [`send`] → [`output`]; what an earlier
//! run left of it is [`journal`] and [`resume`].

mod args;
mod bounds;
mod check;
mod config;
mod daily;
mod drive;
mod endpoint;
mod estimate;
mod exit;
mod extras;
mod found;
mod input;
mod job;
mod journal;
mod limits;
mod log;
mod mock;
mod output;
mod presets;
mod price;
mod progress;
mod rehearsal;
mod report;
mod resolve;
mod resume;
mod retry_failed;
mod run;
mod screen;
mod send;
mod sharing;
mod spend;
mod status;
mod stop;
mod summary;
mod tally;
mod time;
mod top;
mod waits;

use std::process::ExitCode;

use args::{Cli, Command};
use exit::{Exit, Halt};
use screen::Screen;

// What one thread allocates another gives back (a line that was read, an answer that is written): with the system's
// allocator they wait for each other's locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = args::parse();
    match act(cli) {
        Ok(exit) => exit.into(),
        Err(halt) => {
            screen::error(&halt.error);
            halt.exit.into()
        }
    }
}

fn act(cli: Cli) -> Result<Exit, Halt> {
    let Cli { global, command } = cli;
    screen::set_color(global.color);
    log::start(&global)?;
    match command {
        Command::Run(args) => {
            let job = resolve::resolve(&args, &global)?;
            let screen = Screen::new(job.progress, global.quiet);
            if args.dry_run { check::run(&job, check::How::default(), &screen) } else { run::run(job, screen) }
        }
        Command::Check(mut args) => {
            args.run.dry_run = true;
            let job = resolve::resolve(&args.run, &global)?;
            check::run(&job, check::How::new(&args)?, &Screen::new(job.progress, global.quiet))
        }
        Command::RetryFailed(args) => retry_failed::run(*args, &global),
        Command::Status(args) => status::run(&args),
        Command::Top(args) => top::run(&args),
        Command::Report(args) => report::run(&args, &Screen::new(args::Progress::None, global.quiet)),
        Command::Mock(mock) => mock::run(&mock, global.quiet),
        Command::Presets { name } => presets::run(name.as_deref()),
        Command::Config { .. } => extras::config(),
        Command::Completions { shell } => extras::completions(shell),
        Command::Man => extras::man(),
    }
}
