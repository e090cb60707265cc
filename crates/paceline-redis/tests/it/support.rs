//! Stores, sets and other processes for tests.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder};
use paceline_redis::{Options, Redis};
use paceline_testkit::redis::Server;

/// The shortest lease there is.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

pub(crate) fn options(server: &Server) -> Options {
    Redis::options(&server.url()).lease(LEASE).response_timeout(Duration::from_millis(300))
}

/// A set of a connection and a membership of its own.
pub(crate) async fn set(server: &Server, describe: impl FnOnce(LimitSetBuilder) -> LimitSetBuilder) -> LimitSet {
    let shared = options(server).connect().await.unwrap();
    describe(LimitSet::builder("set")).backend(shared).build().unwrap()
}

/// Another process: this program again, as the [member](crate::member) that it is told to be.
pub(crate) struct Process {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(url: &str, role: &str, words: &[String]) -> Self {
        Self::start_by(Command::new(std::env::current_exe().unwrap()), url, role, words)
    }

    /// By a command that starts this program, somewhere.
    pub(crate) fn start_by(mut command: Command, url: &str, role: &str, words: &[String]) -> Self {
        let mut child = command
            .args(["--exact", "member::member", "--ignored", "--nocapture", "--quiet", "--test-threads=1"])
            .env("MEMBER_ROLE", role)
            .env("MEMBER_URL", url)
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

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for what others do, for ten seconds at most.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A permit that has to come soon.
pub(crate) async fn soon<T, E: std::fmt::Debug>(wait: impl Future<Output = Result<T, E>>) -> T {
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it comes within 10 s").unwrap()
}
