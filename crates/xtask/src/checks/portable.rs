//! The checks that need a compiler or a standard library other than this machine's usual one.

use anyhow::{Context as _, Result};

use crate::tasks::Outcome;
use crate::toolchain::{Msrv, WASM32, Wasm32};
use crate::workspace::Workspace;

const HOW: &str = "run `cargo xtask setup`, which installs it";

/// Libraries and binaries only: tests may use what a newer compiler has.
pub(crate) fn msrv(ws: &Workspace) -> Result<Outcome> {
    let toolchain = Msrv::find(ws)?.with_context(|| {
        let version = ws.rust_version().unwrap_or("the declared version");
        format!("no toolchain of Rust {version} was found: {HOW}")
    })?;
    toolchain
        .cargo(ws)
        .args(["check", "--workspace", "--all-features", "--locked"])
        .env("CARGO_TARGET_DIR", ws.target("msrv"))
        .run()?;
    Ok(Outcome::Done)
}

/// Core reads no clock and opens no file, so it must compile where there is neither.
pub(crate) fn wasm32(ws: &Workspace) -> Result<Outcome> {
    let source = Wasm32::find(ws)?.with_context(|| format!("no standard library for {WASM32} was found: {HOW}"))?;
    let (cmd, build_std) = match source {
        Wasm32::Installed => (ws.cargo(), None),
        Wasm32::FromSource(toolchain) => (toolchain.cargo(ws), Some("-Zbuild-std=std,panic_abort")),
    };
    let mut cmd = cmd.args(["check", "--package", "paceline-core", "--locked", "--target", WASM32]).args(build_std);
    if build_std.is_some() {
        // A released compiler builds its own standard library only when it is told to stand in for a nightly one.
        cmd = cmd.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", ws.target("wasm32"));
    }
    cmd.run()?;
    Ok(Outcome::Done)
}
