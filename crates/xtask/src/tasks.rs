//! Which steps each task has, in order: cheap and telling ones first.

use anyhow::{Result, bail};

use crate::browser;
use crate::checks::{self, Depth};
use crate::real_parts;
use crate::setup;
use crate::workspace::Workspace;

/// What a step that did not fail has to say.
pub(crate) enum Outcome {
    /// It held.
    Done,
    /// It could not be judged here, for this reason, and nothing promised that it would be.
    Skipped(&'static str),
}

/// One named part of a task.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Workspace) -> Result<Outcome>,
}

/// What `cargo xtask` can be asked for.
#[derive(Clone, Copy)]
pub(crate) enum Task {
    Ci,
    Test,
    Soak,
    Setup,
}

impl Task {
    pub(crate) fn steps(self) -> Vec<Step> {
        match self {
            Task::Ci => [SETUP, TEST].concat(),
            Task::Test => TEST.to_vec(),
            Task::Soak => SOAK.to_vec(),
            Task::Setup => SETUP.to_vec(),
        }
    }
}

const SETUP: &[Step] = &[
    step("setup-tools", "rustfmt and clippy", setup::tools),
    step("setup-msrv", "a toolchain of the declared rust-version", setup::msrv),
    step("setup-wasm32", "a standard library for wasm32", setup::wasm32),
    step("setup-browser", "a browser to look at the command's report in", browser::setup),
    step("setup-redis", "a Redis, ip and strace, for tests of several processes", real_parts::setup),
];

const TEST: &[Step] = &[
    step("fmt", "formatting", checks::cargo::fmt),
    step("licences", "every dependency's licence is one of deny.toml's", checks::licences::run),
    step("deny", "the rest of deny.toml, where cargo-deny is installed", checks::cargo::deny),
    step("clippy", "lints, warnings as errors", checks::cargo::clippy),
    step("test", "unit and integration tests", |ws| checks::cargo::test(ws, Depth::Usual)),
    step("report", "the command's report, rendered in a browser", browser::report),
    step("doctest", "the code in the documentation", checks::cargo::doctest),
    step("examples", "every example builds, runs and exits with 0", checks::examples::run),
    step("docs", "documentation, warnings as errors", checks::cargo::docs),
    step("wasm32", "paceline-core compiles for wasm32", checks::portable::wasm32),
    step("msrv", "the workspace compiles with the declared rust-version", checks::portable::msrv),
    step("loom", "core's queue under every interleaving within a bound", |ws| checks::cargo::loom(ws, Depth::Usual)),
    step("fuzz", "every parser of outside text under a fuzzer, for seconds", |ws| checks::fuzz::run(ws, Depth::Usual)),
    step("quickstart", "the README's first command, in release", checks::quickstart::run),
];

const SOAK: &[Step] = &[
    step("soak-test", "all tests in release, many more rounds", |ws| checks::cargo::test(ws, Depth::Soak)),
    step("soak-loom", "core's queue with more preemptions", |ws| checks::cargo::loom(ws, Depth::Soak)),
    step("soak-fuzz", "every parser under a fuzzer, ten minutes each", |ws| checks::fuzz::run(ws, Depth::Soak)),
];

const fn step(name: &'static str, about: &'static str, run: fn(&Workspace) -> Result<Outcome>) -> Step {
    Step { name, about, run }
}

/// The steps that `only` names, in the task's order; all of them if it names none.
pub(crate) fn select(steps: Vec<Step>, only: &[String]) -> Result<Vec<Step>> {
    if let Some(unknown) = only.iter().find(|name| steps.iter().all(|step| step.name != name.as_str())) {
        let known: Vec<_> = steps.iter().map(|step| step.name).collect();
        bail!("this task has no step `{unknown}`; its steps are {}", known.join(", "));
    }
    Ok(steps.into_iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.name).collect()
    }

    #[test]
    fn ci_is_setup_then_test() {
        let ci = Task::Ci.steps();
        let parts = [Task::Setup.steps(), Task::Test.steps()].concat();
        assert_eq!(names(&ci), names(&parts));
    }

    #[test]
    fn only_keeps_the_order_of_the_task() {
        let chosen = select(Task::Test.steps(), &["loom".into(), "fmt".into()]).unwrap();
        assert_eq!(names(&chosen), ["fmt", "loom"]);
    }

    #[test]
    fn an_unknown_step_is_an_error_that_lists_the_known() {
        let error = select(Task::Setup.steps(), &["lom".into()]).err().unwrap().to_string();
        assert!(error.contains("`lom`") && error.contains("setup-msrv"), "{error}");
    }
}
