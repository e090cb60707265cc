//! The steps of `setup`: each looks first, says what it installs and how, and fails clearly when it cannot.

use anyhow::{Context as _, Result};

use crate::command::Cmd;
use crate::tasks::Outcome;
use crate::toolchain::unpacked::Unpacked;
use crate::toolchain::{Msrv, WASM32, Wasm32};
use crate::workspace::Workspace;

pub(crate) fn tools(ws: &Workspace) -> Result<Outcome> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        let is_there = || ws.cargo().args([subcommand, "--version"]).probe().is_some();
        if is_there() {
            println!("{component} is there");
            continue;
        }
        println!("installing {component} with rustup");
        rustup().args(["component", "add", component]).run().with_context(|| {
            format!("install {component} for this cargo by hand, so that `cargo {subcommand}` runs")
        })?;
    }
    Ok(Outcome::Done)
}

pub(crate) fn msrv(ws: &Workspace) -> Result<Outcome> {
    let version = ws.rust_version()?;
    let said = match Msrv::find(ws)? {
        Some(Msrv::Current) => "the current one",
        Some(Msrv::Rustup(_)) => "rustup's",
        Some(Msrv::Unpacked(_)) => "the unpacked one",
        None => {
            println!("installing the toolchain of Rust {version} with rustup");
            let by_rustup =
                rustup().args(["toolchain", "install", version, "--profile", "minimal", "--no-self-update"]);
            or_unpacked(ws, by_rustup, || Ok(Msrv::find(ws)?.is_some()))?;
            return Ok(Outcome::Done);
        }
    };
    println!("a toolchain of Rust {version} is there: {said}");
    Ok(Outcome::Done)
}

pub(crate) fn wasm32(ws: &Workspace) -> Result<Outcome> {
    let said = match Wasm32::find(ws)? {
        Some(Wasm32::Installed) => "compiled",
        Some(Wasm32::FromSource(_)) => "as source, beside the unpacked toolchain",
        None => {
            println!("installing the standard library for {WASM32} with rustup");
            let by_rustup = rustup().args(["target", "add", WASM32]);
            or_unpacked(ws, by_rustup, || Ok(Wasm32::find(ws)?.is_some()))?;
            return Ok(Outcome::Done);
        }
    };
    println!("a standard library for {WASM32} is there: {said}");
    Ok(Outcome::Done)
}

/// Its backtraces tell nobody here anything, and look like a crash of ours.
fn rustup() -> Cmd {
    Cmd::new("rustup").env("RUST_BACKTRACE", "0")
}

/// Tries rustup, and Debian's packages if that leaves `found` false.
fn or_unpacked(ws: &Workspace, by_rustup: Cmd, found: impl Fn() -> Result<bool>) -> Result<()> {
    let shown = by_rustup.to_string();
    match by_rustup.run() {
        Ok(()) if found()? => return Ok(()),
        Ok(()) => println!("`{shown}` did not bring what the check needs"),
        Err(error) => println!("{error:#}"),
    }
    println!("installing from Debian's packages instead");
    Unpacked::install(ws).with_context(|| {
        format!("neither rustup nor Debian's packages had it; install it by hand, as `{shown}` would")
    })?;
    Ok(())
}
