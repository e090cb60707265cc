//! Directories, sets and other processes for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder};
use paceline_shm::{Options, Shm};
use tempfile::TempDir;

/// A directory of a test's own, in memory.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("paceline-test-").tempdir_in("/dev/shm").unwrap()
}

pub(crate) fn open(directory: &Path) -> Shm {
    Options::new().directory(directory).open("test").unwrap()
}

/// A set that a member of its own has opened.
pub(crate) fn set(directory: &Path, describe: impl FnOnce(LimitSetBuilder) -> LimitSetBuilder) -> LimitSet {
    describe(LimitSet::builder("set")).backend(open(directory)).build().unwrap()
}

/// Another process: this program again, as the [member](crate::member) that it is told to be.
pub(crate) struct Process {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(directory: &Path, role: &str, words: &[String]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "member::member", "--ignored", "--nocapture", "--quiet", "--test-threads=1"])
            .env("MEMBER_ROLE", role)
            .env("MEMBER_DIRECTORY", directory)
            .env("MEMBER_WORDS", words.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// The next line it says.
    pub(crate) fn says(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended without a word");
            // What the test harness says itself is not for us.
            if let Some(said) = line.trim().strip_prefix("member: ") {
                return said.to_owned();
            }
        }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Lets it come to its end by itself.
    pub(crate) fn finish(mut self) {
        self.stdin = None;
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for what other processes do, for ten seconds at most.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How often: few in a test run, many in a soak.
pub(crate) fn soaked(few: u64, many: u64) -> u64 {
    if std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0") { many } else { few }
}

/// What a started process tells the test that has started it.
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("\nmember: {what}");
}
