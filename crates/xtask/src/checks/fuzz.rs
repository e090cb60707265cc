//! Every parser of outside text, fed by a fuzzer that sees which branches its input takes.
//!
//! libFuzzer on a stable compiler: the flags below are what cargo-fuzz passes, less the sanitizers, which need a nightly
//! one and look for what safe code cannot do. A target's seeds are the answers that the tests know. What a soak finds of
//! interest stays among the build's output for the next; what it breaks belongs beside the seeds, where the tests try it
//! for ever.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Depth;
use crate::command::Cmd;
use crate::tasks::Outcome;
use crate::workspace::{Workspace, text_of};

const MANIFEST: &str = "crates/paceline-core/fuzz/Cargo.toml";
const SEEDS: &str = "crates/paceline-core/tests/answers";
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

pub(crate) fn run(ws: &Workspace, depth: Depth) -> Result<Outcome> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if Cmd::new(compiler).args(["--version"]).probe().is_none() {
        println!("note: libFuzzer is C++; the tests of paceline-core try its seeds, and edits of them, without it");
        return Ok(Outcome::Skipped("there is no C++ compiler"));
    }
    let (seconds, seen) = match depth {
        Depth::Usual => (5, "seen"),
        Depth::Soak => (600, "corpus"),
    };
    let folder = ws.target("fuzz");
    let mut count = 0;
    for executable in build(ws, &folder)? {
        count += 1;
        let name = Path::new(&executable).file_stem().context("a target has a name")?;
        let found = folder.join(seen).join(name);
        // What a long run found would take a short one all its seconds to read.
        if depth == Depth::Usual && found.exists() {
            fs::remove_dir_all(&found).with_context(|| format!("could not empty {}", found.display()))?;
        }
        fs::create_dir_all(&found).with_context(|| format!("could not create {}", found.display()))?;
        let broken = folder.join("broken").join(name);
        fs::create_dir_all(&broken).with_context(|| format!("could not create {}", broken.display()))?;
        let seeds = ws.root().join(SEEDS).join(name);
        Cmd::new(&executable)
            .args([format!("-max_total_time={seconds}"), "-timeout=5".into(), "-verbosity=0".into()])
            .args([format!("-artifact_prefix={}/", broken.display())])
            .args([&found, &seeds])
            .run()
            .with_context(|| {
                format!("the input is in {}: put it into {} with the fix", broken.display(), seeds.display())
            })?;
    }
    ensure!(count > 0, "cargo named no executable for the targets it built");
    println!("targets: {count}, {seconds} s each");
    Ok(Outcome::Done)
}

/// The targets' executables.
fn build(ws: &Workspace, folder: &Path) -> Result<Vec<String>> {
    // With a target named, flags are not for build scripts and macros.
    let about = Cmd::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).args(["-vV"]).read()?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let messages = ws
        .cargo()
        .args(["build", "--release", "--manifest-path", MANIFEST, "--target", host])
        .args(["--message-format=json-render-diagnostics"])
        .env("RUSTFLAGS", super::cargo::joined("RUSTFLAGS", FLAGS))
        .env("CARGO_TARGET_DIR", folder)
        .run_for_output()?;
    let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executables = built.filter(|message| message["executable"].is_string());
    executables.map(|message| Ok(text_of(&message, "executable")?.to_owned())).collect()
}
