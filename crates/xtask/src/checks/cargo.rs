//! The checks that are a cargo command and its flags.

use std::env;

use anyhow::Result;

use super::Depth;
use crate::command::Cmd;
use crate::real_parts;
use crate::tasks::Outcome;
use crate::workspace::Workspace;

/// Tells tests to multiply their rounds.
const SOAK: &str = "PACELINE_SOAK";
const SOAK_PROPTEST_CASES: &str = "20000";

pub(crate) fn fmt(ws: &Workspace) -> Result<Outcome> {
    ws.cargo().args(["fmt", "--all", "--check"]).run()?;
    Ok(Outcome::Done)
}

pub(crate) fn clippy(ws: &Workspace) -> Result<Outcome> {
    ws.cargo().args(["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]).run()?;
    Ok(Outcome::Done)
}

/// Unit and integration tests. Doc tests are a step of their own, since cargo compiles each of them anew.
pub(crate) fn test(ws: &Workspace, depth: Depth) -> Result<Outcome> {
    real_parts::needed()?;
    let mut cmd = ws.cargo().args(["test", "--workspace", "--all-features", "--lib", "--bins", "--tests"]);
    if depth == Depth::Soak {
        cmd = cmd.args(["--release", "--no-fail-fast"]).env(SOAK, "1").env("PROPTEST_CASES", SOAK_PROPTEST_CASES);
    }
    cmd.run()?;
    Ok(Outcome::Done)
}

pub(crate) fn doctest(ws: &Workspace) -> Result<Outcome> {
    ws.cargo().args(["test", "--workspace", "--all-features", "--doc"]).run()?;
    Ok(Outcome::Done)
}

/// Binaries and libraries apart: the command and the library are both called `paceline`, and one page would silently
/// replace the other. The libraries go last, so that theirs stay.
pub(crate) fn docs(ws: &Workspace) -> Result<Outcome> {
    for kind in ["--bins", "--lib"] {
        ws.cargo()
            .args(["doc", "--workspace", "--all-features", "--no-deps", kind])
            .env("RUSTDOCFLAGS", joined("RUSTDOCFLAGS", "-D warnings"))
            .run()?;
    }
    Ok(Outcome::Done)
}

/// The search grows steeply with the number of preemptions, and nearly all known races need no more than two.
pub(crate) fn loom(ws: &Workspace, depth: Depth) -> Result<Outcome> {
    let preemptions = match depth {
        Depth::Usual => "2",
        Depth::Soak => "4",
    };
    let mut cmd = ws
        .cargo()
        .args(["test", "--release", "--package", "paceline-core", "--test", "loom"])
        .env("RUSTFLAGS", joined("RUSTFLAGS", "--cfg loom"))
        .env("LOOM_MAX_PREEMPTIONS", preemptions)
        .env("CARGO_TARGET_DIR", ws.target("loom"));
    if depth == Depth::Soak {
        cmd = cmd.env(SOAK, "1");
    }
    cmd.run()?;
    Ok(Outcome::Done)
}

/// Optional by nature: it is minutes to install, and `licences` holds by itself what matters most.
pub(crate) fn deny(ws: &Workspace) -> Result<Outcome> {
    if Cmd::cargo().args(["deny", "--version"]).probe().is_none() {
        println!("note: cargo-deny is not installed; `cargo install cargo-deny` would let this step run");
        return Ok(Outcome::Skipped("cargo-deny is not installed"));
    }
    ws.cargo().args(["deny", "check", "bans", "licenses", "sources"]).run()?;
    Ok(Outcome::Done)
}

/// The flags that the caller's environment has, and ours.
pub(super) fn joined(name: &str, ours: &str) -> String {
    match env::var(name) {
        Ok(theirs) if !theirs.trim().is_empty() => format!("{theirs} {ours}"),
        _ => ours.to_owned(),
    }
}
