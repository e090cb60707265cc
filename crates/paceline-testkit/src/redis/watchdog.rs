//! Who kills a child when its parent could not: tests are killed too.

use std::io;
use std::process::{Child, Command, Stdio};

/// A shell that reads from this process until that is gone, whichever way, and then kills the child.
#[derive(Debug)]
pub(super) struct Watchdog(Child);

impl Watchdog {
    pub(super) fn of(child: &Child) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"read -r _; kill -KILL "$0""#]).arg(child.id().to_string());
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Self)
    }

    pub(super) fn dismiss(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
