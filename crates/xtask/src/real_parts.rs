//! The programs that tests of several processes run for real, from Debian's packages.

use anyhow::{Context as _, Result, bail};

use crate::command::{Cmd, apt_get};
use crate::tasks::Outcome;
use crate::workspace::Workspace;

/// A program, what it tells its version to, and the package that has it.
struct Part {
    program: &'static str,
    version: &'static str,
    package: &'static str,
}

const REDIS: Part = Part { program: "redis-server", version: "--version", package: "redis-server" };
/// Makes networks of one machine.
const IP: Part = Part { program: "ip", version: "-Version", package: "iproute2" };
/// Counts system calls.
const STRACE: Part = Part { program: "strace", version: "--version", package: "strace" };

impl Part {
    fn find(&self) -> Option<String> {
        let said = Cmd::new(self.program).args([self.version]).probe()?;
        Some(said.lines().next().unwrap_or_default().to_owned())
    }
}

pub(crate) fn setup(_: &Workspace) -> Result<Outcome> {
    let parts = [REDIS, IP, STRACE];
    let missing: Vec<_> = parts.iter().filter(|part| part.find().is_none()).map(|part| part.package).collect();
    if !missing.is_empty() {
        println!("installing {} from Debian's packages", missing.join(", "));
        apt_get(["update"])?;
        apt_get(["install", "-q", "-y", "--no-install-recommends"].into_iter().chain(missing))?;
    }
    for part in parts {
        let version = part.find().with_context(|| {
            format!("{} was installed and `{}` does not run; install it by hand", part.package, part.program)
        })?;
        println!("{} is there: {version}", part.program);
    }
    Ok(Outcome::Done)
}

/// Tests that have no Redis fail one by one; this says why, before them.
pub(crate) fn needed() -> Result<()> {
    // What the tests take instead.
    if std::env::var_os("PACELINE_REDIS_SERVER").is_none() && REDIS.find().is_none() {
        bail!("no redis-server was found: run `cargo xtask setup`, which installs it");
    }
    Ok(())
}
