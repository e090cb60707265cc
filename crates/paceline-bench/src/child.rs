//! Other processes of a bench: this program again, told by its environment what it is there for.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::path::Path;
use std::process::{Child as Process, ChildStdin, ChildStdout, Command, Stdio};

use crate::served;
use crate::worker;

const ROLE: &str = "PACELINE_BENCH_ROLE";
const DIRECTORY: &str = "PACELINE_BENCH_DIRECTORY";

/// What a process is there for.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Has a set and lets others take from it over a socket.
    Server,
    /// Takes permits when told to.
    Worker,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Worker => "worker",
        }
    }
}

/// Does the work of a child, if this process is one, and says whether it was: then there is nothing left to do.
///
/// # Panics
///
/// Where the work cannot be done.
#[must_use]
pub fn child() -> bool {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return false };
    match std::env::var(ROLE).as_deref() {
        Ok("server") => served::serve(Path::new(&directory)),
        Ok("worker") => worker::work(Path::new(&directory)),
        role => panic!("no such role: {role:?}"),
    }
    true
}

/// Another process, which ends with this handle, and with this process.
pub(crate) struct Child {
    process: Process,
    /// Its end is the child's.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    /// One that is ready.
    pub(crate) fn start(role: Role, directory: &Path) -> Self {
        Self::start_by(Command::new(std::env::current_exe().expect("the path of this program")), role, directory)
    }

    /// One started by `command`, which ends in the path of this program.
    pub(crate) fn start_by(mut command: Command, role: Role, directory: &Path) -> Self {
        command.env(ROLE, role.name()).env(DIRECTORY, directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("this program starts again");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        let mut child = Self { process, input, output };
        assert_eq!(child.answer(), "ready");
        child
    }

    /// Tells it a line.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it is there until it is dropped");
        // In one write: whoever traces it sees one.
        input.write_all(format!("{line}\n").as_bytes()).expect("the child reads");
    }

    /// The next line that it says.
    pub(crate) fn answer(&mut self) -> String {
        self.output.next().expect("the child answers").expect("text")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.wait();
    }
}
