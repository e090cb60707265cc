//! What `cargo metadata` says about this workspace.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::Cmd;

/// The workspace this task runs in.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    metadata: Value,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let text = Cmd::cargo().args(["metadata", "--format-version=1", "--all-features"]).read()?;
        let metadata: Value = serde_json::from_str(&text).context("cargo metadata did not print JSON")?;
        let root = text_of(&metadata, "workspace_root")?.into();
        let target = text_of(&metadata, "target_directory")?.into();
        Ok(Workspace { root, target, metadata })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of our own among the build's output: checks whose flags or compiler differ keep apart there, so that
    /// none of them empties another's cache.
    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.target.join(name)
    }

    /// A cargo command at the root.
    pub(crate) fn cargo(&self) -> Cmd {
        Cmd::cargo().dir(&self.root)
    }

    /// Every package of the graph, ours and others'.
    pub(crate) fn packages(&self) -> Result<&[Value]> {
        let packages = self.metadata["packages"].as_array();
        Ok(packages.context("cargo metadata lists no packages")?)
    }

    /// The declared rust-version, such as `1.85`: core's, since every crate inherits the same.
    pub(crate) fn rust_version(&self) -> Result<&str> {
        let core = self.packages()?.iter().find(|package| package["name"] == "paceline-core");
        text_of(core.context("there is no package paceline-core")?, "rust_version")
    }
}

/// The text that `value` has under `key`.
pub(crate) fn text_of<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("cargo metadata has no `{key}`"))
}
