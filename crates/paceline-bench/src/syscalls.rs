//! System calls of a process between two of its own, counted by `strace`: all of them, of all its threads.
//!
//! The worker reads its order and writes its answer; what lies between is what its permits cost. Nothing has to be estimated
//! from two runs, and what it was can be named.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::child::{Child, Role};
use crate::worker::{DONE, From};

/// How many of each name.
pub(crate) type Counts = BTreeMap<String, u32>;

/// Those of a worker that takes so many, once it has warmed up; why not, where it cannot be traced.
pub(crate) fn counted(directory: &Path, from: From, permits: u32) -> Result<Counts, String> {
    let trace = directory.join("trace");
    let strace = |program: &Path| {
        let mut strace = Command::new("strace");
        strace.arg("--follow-forks").arg("--output").arg(&trace).arg(program);
        strace
    };
    let tried = strace(Path::new("true")).stdin(Stdio::null()).stderr(Stdio::piped()).output();
    match tried {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(format!("strace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => return Err(format!("strace: {error}; `cargo xtask setup` installs it")),
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut worker = Child::start_by(strace(&program), Role::Worker, directory);
    for permits in [permits / 10, permits] {
        worker.tell(&from.order(permits));
        assert_eq!(worker.answer(), DONE);
    }
    drop(worker);
    let trace = std::fs::read_to_string(&trace).map_err(|error| error.to_string())?;
    Ok(between(&trace, &format!("{}\\n", from.order(permits)), &format!("{DONE}\\n")))
}

/// A line is `PID name(arguments) = result`; one that another thread's interrupts goes on in a second, `PID <... name resumed>`.
fn between(trace: &str, order: &str, answer: &str) -> Counts {
    let calls =
        trace.lines().skip_while(|line| !line.contains(order)).skip(1).take_while(|line| !line.contains(answer));
    let mut counts = Counts::new();
    for line in calls {
        let call = line.split_once(' ').map_or("", |(_pid, call)| call.trim_start());
        let name = call.split_once('(').map_or("", |(name, _)| name);
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}
