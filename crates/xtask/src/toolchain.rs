//! Where the compilers of the MSRV and wasm32 checks come from.
//!
//! First from what is there, then from rustup, and where rustup has nothing to give (it was not the way Rust was
//! installed, or its server is out of reach) from Debian's packages, unpacked among the build's output by
//! [`unpacked`]. None of them becomes anybody's default compiler. Finding is apart from installing (`crate::setup`), so
//! that a check never installs anything.

pub(crate) mod unpacked;

use std::path::Path;

use anyhow::Result;

use self::unpacked::Unpacked;
use crate::command::Cmd;
use crate::workspace::Workspace;

/// The target that core is checked for.
pub(crate) const WASM32: &str = "wasm32-unknown-unknown";

/// A toolchain of the declared rust-version.
pub(crate) enum Msrv {
    /// The one this task runs on.
    Current,
    /// rustup's, by name.
    Rustup(String),
    /// Debian's, unpacked.
    Unpacked(Unpacked),
}

impl Msrv {
    pub(crate) fn find(ws: &Workspace) -> Result<Option<Self>> {
        let version = ws.rust_version()?;
        if rustc(ws).args(["--version"]).probe().is_some_and(|text| is_version(&text, version)) {
            return Ok(Some(Msrv::Current));
        }
        let by_rustup = Cmd::new("rustup").args(["run", version, "rustc", "--version"]).probe();
        if by_rustup.is_some_and(|text| is_version(&text, version)) {
            return Ok(Some(Msrv::Rustup(version.to_owned())));
        }
        Ok(Unpacked::find(ws)?.map(Msrv::Unpacked))
    }

    pub(crate) fn cargo(&self, ws: &Workspace) -> Cmd {
        match self {
            Msrv::Current => ws.cargo(),
            Msrv::Rustup(name) => Cmd::new("rustup").args(["run", name, "cargo"]).dir(ws.root()),
            Msrv::Unpacked(toolchain) => toolchain.cargo(ws),
        }
    }
}

/// A standard library for wasm32.
pub(crate) enum Wasm32 {
    /// Compiled, beside the compiler this task runs on.
    Installed,
    /// Its source, beside this compiler.
    FromSource(Unpacked),
}

impl Wasm32 {
    pub(crate) fn find(ws: &Workspace) -> Result<Option<Self>> {
        let folder = rustc(ws).args(["--print", "target-libdir", "--target", WASM32]).probe();
        if folder.is_some_and(|path| has_entries(Path::new(path.trim()))) {
            return Ok(Some(Wasm32::Installed));
        }
        Ok(Unpacked::find(ws)?.map(Wasm32::FromSource))
    }
}

/// The compiler that the running cargo uses.
fn rustc(ws: &Workspace) -> Cmd {
    Cmd::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).dir(ws.root())
}

fn has_entries(folder: &Path) -> bool {
    folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether `rustc --version` printed `version`, whatever its patch number.
fn is_version(printed: &str, version: &str) -> bool {
    let found = printed.split_whitespace().nth(1).unwrap_or_default();
    found == version || found.strip_prefix(version).is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn a_patch_number_makes_no_difference() {
        assert!(is_version("rustc 1.85.1 (4eb161250 2025-03-15)", "1.85"));
        assert!(is_version("rustc 1.85.0 (4d91de4e4 2025-02-17)", "1.85.0"));
        assert!(!is_version("rustc 1.95.0 (59807616e 2026-04-14)", "1.85"));
        assert!(!is_version("rustc 1.8.0 (db2939409 2016-04-11)", "1.85"));
        assert!(!is_version("", "1.85"));
    }
}
