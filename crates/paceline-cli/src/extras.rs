//! The commands that only print: configuration, completions, manual.

use anyhow::{Context as _, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::config::EXAMPLE;
use crate::exit::{Exit, Halt};
use crate::screen;

pub(crate) fn config() -> Result<Exit, Halt> {
    print(EXAMPLE)
}

pub(crate) fn completions(shell: Shell) -> Result<Exit, Halt> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "paceline", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// One page for the command and one for each of its commands, one after the other, as `man -l` shows them.
pub(crate) fn man() -> Result<Exit, Halt> {
    let mut command = Cli::command();
    command.build();
    let mut pages = Vec::new();
    render(&command, &mut pages)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        render(sub, &mut pages)?;
    }
    print(&String::from_utf8_lossy(&pages))
}

fn render(command: &clap::Command, pages: &mut Vec<u8>) -> Result<()> {
    clap_mangen::Man::new(command.clone()).render(pages).context("cannot make the manual page")
}

fn print(text: &str) -> Result<Exit, Halt> {
    screen::print(text).context("cannot write to stdout")?;
    Ok(Exit::Ok)
}
