//! Other processes of a test: the test's own program again, in one of its roles.
//!
//! The program has an ignored test `member::member` that looks which [role](Role::mine) it was started in, and plays it.

use std::ffi::OsStr;
use std::fmt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const ROLE: &str = "MEMBER_ROLE";
const PLACE: &str = "MEMBER_PLACE";
const WORDS: &str = "MEMBER_WORDS";

/// What a process was started as.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Where what is shared lives: a directory, a URL.
    pub place: String,
    /// What else it was told, none of it with a space.
    pub words: Vec<String>,
}

impl Role {
    /// This process's; none where no test has started it.
    ///
    /// # Panics
    ///
    /// Where it was started half.
    #[must_use]
    pub fn mine() -> Option<Self> {
        let name = std::env::var(ROLE).ok()?;
        let [place, words] = [PLACE, WORDS].map(|name| std::env::var(name).expect("set together"));
        Some(Self { name, place, words: words.split_whitespace().map(str::to_owned).collect() })
    }
}

/// What a started process tells the test that has started it.
pub fn say(what: impl fmt::Display) {
    println!("\nmember: {what}");
}

/// A started process; it ends with this.
#[derive(Debug)]
pub struct Process {
    /// The process itself.
    pub child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// This program in that role.
    ///
    /// # Panics
    ///
    /// Where it cannot be started, as all that follows where the process does otherwise than it should.
    #[must_use]
    pub fn start(place: impl AsRef<OsStr>, role: &str, words: &[String]) -> Self {
        Self::start_by(Command::new(std::env::current_exe().expect("this program")), place, role, words)
    }

    /// By a command that starts this program, somewhere.
    #[must_use]
    pub fn start_by(mut command: Command, place: impl AsRef<OsStr>, role: &str, words: &[String]) -> Self {
        let mut child = command
            .args(["--exact", "member::member", "--ignored", "--nocapture", "--quiet", "--test-threads=1"])
            .env(ROLE, role)
            .env(PLACE, place)
            .env(WORDS, words.join(" "))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process can be started");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, stdin, stdout }
    }

    /// The next line it [says](say).
    pub fn says(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).expect("a pipe can be read");
            assert!(read > 0, "it ended without a word");
            // What the test harness says itself is not for us.
            if let Some(said) = line.trim().strip_prefix("member: ") {
                return said.to_owned();
            }
        }
    }

    /// Gives it a line to read.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("it has not finished");
        writeln!(stdin, "{line}").expect("it reads");
        stdin.flush().expect("it reads");
    }

    /// Lets it come to its end by itself.
    pub fn finish(mut self) {
        self.stdin = None;
        assert!(self.child.wait().expect("a child").success());
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }

    /// Sends it a signal, such as `-STOP`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.expect("`kill` is everywhere").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
