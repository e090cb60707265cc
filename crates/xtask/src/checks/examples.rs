//! Every example is run to its end: an example that only compiles may still teach something wrong.

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::command::Cmd;
use crate::tasks::Outcome;
use crate::workspace::{Workspace, text_of};

pub(crate) fn run(ws: &Workspace) -> Result<Outcome> {
    if !any(ws)? {
        return Ok(Outcome::Skipped("there are no examples"));
    }
    // Built as one, with the features the tests were built with, so that nothing is compiled twice.
    let messages = ws
        .cargo()
        .args(["build", "--workspace", "--all-features", "--examples", "--message-format=json-render-diagnostics"])
        .run_for_output()?;
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut count = 0;
    for message in built.filter(|message| is_example(&message["target"])) {
        Cmd::new(text_of(&message, "executable")?).dir(ws.root()).run()?;
        count += 1;
    }
    ensure!(count > 0, "cargo named no executable for the examples it built");
    println!("examples run: {count}");
    Ok(Outcome::Done)
}

fn any(ws: &Workspace) -> Result<bool> {
    let ours = ws.packages()?.iter().filter(|package| package["source"].is_null());
    Ok(ours.flat_map(|package| package["targets"].as_array()).flatten().any(is_example))
}

fn is_example(target: &Value) -> bool {
    target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "example"))
}
