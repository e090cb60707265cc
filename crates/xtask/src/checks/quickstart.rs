//! The README's first command, with its results put where they soil nothing.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::tasks::Outcome;
use crate::workspace::Workspace;

const REQUESTS: &str = "examples/quickstart.jsonl";

pub(crate) fn run(ws: &Workspace) -> Result<Outcome> {
    let folder = ws.target("xtask");
    fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
    let results = folder.join("quickstart.results.jsonl");
    if results.exists() {
        fs::remove_file(&results).with_context(|| format!("could not remove {}", results.display()))?;
    }

    ws.cargo().args(["run", "--release", "--", "run", REQUESTS, "--rehearse", "-o"]).args([&results]).run()?;

    let lines = |path: PathBuf| -> Result<usize> {
        let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
        Ok(text.lines().filter(|line| !line.trim().is_empty()).count())
    };
    let (asked, answered) = (lines(ws.root().join(REQUESTS))?, lines(results)?);
    ensure!(asked == answered, "{REQUESTS} has {asked} requests, and {answered} results were written");
    println!("{asked} requests, as many results");
    Ok(Outcome::Done)
}
