//! Running the command, and what it runs against.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use paceline_mock::{Mock, MockConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The command, with no key and no colour from the environment that the test runs in.
pub(crate) fn paceline<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(args).stdin(Stdio::null());
    for name in [
        "OPENAI_API_KEY",
        "ANTHROPIC_API_KEY",
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "RUST_BACKTRACE",
        "COLUMNS",
        "PACELINE_REDIS_URL",
    ] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code, or a panic that shows what was said.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the command writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

pub(crate) fn end(command: &mut Command) -> Ended {
    command.output().expect("the command starts").into()
}

/// Starts the command, to be waited for later.
pub(crate) fn begin(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
}

pub(crate) fn wait(child: Child) -> Ended {
    child.wait_with_output().expect("the command ends").into()
}

/// A simulated provider of this process.
pub(crate) struct Provider {
    pub(crate) mock: Mock,
    runtime: Runtime,
}

impl Provider {
    pub(crate) fn start(config: MockConfig) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), config)
    }

    /// One in the place of another that is gone.
    pub(crate) fn start_at(address: SocketAddr, config: MockConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mock = runtime.block_on(Mock::start(config, address)).expect("a free port");
        Self { mock, runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.mock.url()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // The connections are tasks of the runtime; entering it lets the mock end them.
        let _entered = self.runtime.enter();
    }
}

/// A directory with a file of requests in it.
pub(crate) struct Job {
    pub(crate) dir: TempDir,
}

pub(crate) fn line(id: &str) -> String {
    let body = r#"{"model":"m","max_tokens":8,"messages":[{"role":"user","content":"hello"}]}"#;
    format!(r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{body}}}"#)
}

impl Job {
    /// `count` good requests, `r0` and on.
    pub(crate) fn of(count: usize) -> Self {
        let lines: Vec<_> = (0..count).map(|number| line(&format!("r{number}"))).collect();
        Self::with(lines.join("\n") + "\n")
    }

    pub(crate) fn with(text: impl AsRef<[u8]>) -> Self {
        let job = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(job.input(), text).unwrap();
        job
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.path("in.jsonl")
    }

    pub(crate) fn output(&self) -> PathBuf {
        self.path("out.jsonl")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `paceline run in.jsonl -o out.jsonl …`
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let (input, output) = (self.input(), self.output());
        let mut all = vec![OsStr::new("run"), input.as_os_str(), OsStr::new("-o"), output.as_os_str()];
        all.extend(args.iter().map(OsStr::new));
        paceline(all)
    }

    /// The same with that configuration.
    pub(crate) fn command_with(&self, config: &str, args: &[&str]) -> Command {
        let file = self.path("paceline.toml");
        fs::write(&file, config).unwrap();
        let mut command = self.command(args);
        command.arg("-c").arg(file);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        end(&mut self.command(args))
    }

    /// The same against that provider, ids sent along.
    pub(crate) fn run_at(&self, url: &str, args: &[&str]) -> Ended {
        end(&mut self.command_at(url, args))
    }

    pub(crate) fn command_at(&self, url: &str, args: &[&str]) -> Command {
        let mut all = vec!["--base-url", url, "--send-custom-id"];
        all.extend(args);
        self.command(&all)
    }

    pub(crate) fn results(&self) -> Vec<Value> {
        results(&self.output())
    }

    /// How many there are, whole or not.
    pub(crate) fn results_so_far(&self) -> usize {
        fs::read_to_string(self.output()).expect("results").lines().count()
    }

    /// What was said, without the names of directories.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "DIR")
    }
}

pub(crate) fn results(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("results");
    text.lines().map(|line| serde_json::from_str(line).expect("a result is JSON")).collect()
}

/// How often each custom_id has a result.
pub(crate) fn ids(results: &[Value]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for result in results {
        *ids.entry(result["custom_id"].as_str().unwrap_or("null").to_owned()).or_default() += 1;
    }
    ids
}

/// Every one of `r0`, `r1`, … has a result, and only one.
#[track_caller]
pub(crate) fn assert_each_once(results: &[Value], count: usize) {
    let expected: BTreeMap<_, _> = (0..count).map(|number| (format!("r{number}"), 1)).collect();
    assert_eq!(ids(results), expected);
}

pub(crate) fn succeeded(result: &Value) -> bool {
    result["error"].is_null() && result["response"]["status_code"] == 200
}
