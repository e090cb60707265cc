//! Another network on this machine: a namespace with a link to here, for processes of a test that are to be as far apart as
//! two machines are.
//!
//! Making one takes root's rights, which not every machine gives: a test that is refused says so and goes on without.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rand::Rng as _;

const PREFIX: &str = "paceline-";

/// A network namespace joined to this one by a pair of interfaces; gone with this handle.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    host: Ipv4Addr,
    address: Ipv4Addr,
}

impl Namespace {
    /// A new one, in some tens of milliseconds. All addresses of this machine are reached from there, 127.0.0.1 aside.
    ///
    /// # Errors
    ///
    /// Where this machine does not allow it or has no `ip`.
    pub fn new() -> io::Result<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        clear_up_after_the_dead();
        let mut random = rand::rng();
        // Addresses for tests between networks (RFC 2544), four to each: networks of machines are elsewhere.
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + 4 * random.random_range(0..1 << 15);
        let (host, address) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        let name = format!("{PREFIX}{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name])?;
        // From here on, dropping it takes back what is there.
        let namespace = Self { name, host, address };
        let name = namespace.name.as_str();
        // At most 15 characters.
        let link = format!("pl{:08x}", random.random::<u32>());
        ip(&["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["address", "add", &format!("{host}/30"), "dev", &link])?;
        ip(&["link", "set", &link, "up"])?;
        ip(&["-netns", name, "address", "add", &format!("{address}/30"), "dev", "eth0"])?;
        ip(&["-netns", name, "link", "set", "lo", "up"])?;
        ip(&["-netns", name, "link", "set", "eth0", "up"])?;
        ip(&["-netns", name, "route", "add", "default", "via", &host.to_string()])?;
        Ok(namespace)
    }

    /// The address that this machine has on the link: where a server that both sides are to reach listens.
    #[must_use]
    pub fn host(&self) -> IpAddr {
        self.host.into()
    }

    /// The namespace's own address on the link.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address.into()
    }

    /// A command that runs in the namespace. The process is `program` itself, so that its id can be signalled.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The interfaces go with it.
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// Takes away what processes that were killed have left.
fn clear_up_after_the_dead() {
    let Ok(listed) = ip(&["netns", "list"]) else { return };
    for name in listed.lines().filter_map(|line| line.split_whitespace().next()) {
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if maker.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            let _ = ip(&["netns", "delete", name]);
        }
    }
}

fn ip(args: &[&str]) -> io::Result<String> {
    let output = Command::new("ip").args(args).output().map_err(|error| {
        io::Error::new(error.kind(), format!("could not start ip: {error}; run `cargo xtask setup`, which installs it"))
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("no network namespace here: `ip {}`: {}", args.join(" "), said.trim())))
}
