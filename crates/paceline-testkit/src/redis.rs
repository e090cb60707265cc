//! A real Redis for a test: a child process that can be killed, stopped, restarted and emptied.
//!
//! The program is `redis-server`, or what `PACELINE_REDIS_SERVER` names (a Valkey, another version). It listens on a port
//! of its own, keeps nothing on disk unless asked to, and dies with its [`Server`] or with the process that started it.

mod cluster;
mod resp;
mod watchdog;

use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::port;
pub use cluster::Cluster;
use watchdog::Watchdog;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    bind: IpAddr,
    persistent: bool,
    password: Option<String>,
    tls: bool,
    args: Vec<String>,
    within: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        let bind = Ipv4Addr::LOCALHOST.into();
        Self { bind, persistent: false, password: None, tls: false, args: Vec::new(), within: Vec::new() }
    }
}

impl Options {
    /// Listens there, and not on 127.0.0.1.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = address;
        self
    }

    /// Keeps what it was told through [`Server::kill`] and [`Server::restart`], in a log of its own (`appendonly`).
    #[must_use]
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// Answers only who has this password, without a space.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// Listens for TLS on another port as well, see [`Server::tls_port`]. The certificate and whom to trust are options of
    /// its own.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// More of its own options, such as `["--maxmemory", "2mb"]`.
    #[must_use]
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args.extend(args.into_iter().map(str::to_owned));
        self
    }

    /// Starts it by another command that becomes it, such as `["ip", "netns", "exec", "NAME"]`.
    #[must_use]
    pub fn within<'a>(mut self, command: impl IntoIterator<Item = &'a str>) -> Self {
        self.within = command.into_iter().map(str::to_owned).collect();
        self
    }

    /// Starts it and waits until it answers: some tens of milliseconds.
    ///
    /// # Panics
    ///
    /// Where it cannot be started, saying why.
    #[must_use]
    pub fn start(self) -> Server {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for _ in 0..20 {
            let ports = Ports { plain: port::pick(), tls: self.tls.then(port::pick) };
            match Process::start(&self, &dir, ports) {
                Ok(process) => return Server { options: self, dir, ports, process: Some(process) },
                // Somebody else's port: there are others.
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("redis-server did not start:\n{log}"),
            }
        }
        panic!("redis-server found no free port in twenty tries");
    }
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
}

/// A running Redis, killed when dropped.
#[derive(Debug)]
pub struct Server {
    options: Options,
    dir: TempDir,
    ports: Ports,
    /// None where it was killed.
    process: Option<Process>,
}

impl Server {
    /// Starts one with the default [`Options`].
    ///
    /// # Panics
    ///
    /// As [`Options::start`].
    #[must_use]
    pub fn start() -> Self {
        Options::default().start()
    }

    /// How one is to be started.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (self.options.bind, self.port()).into()
    }

    /// The port of [`address`](Self::address), the same for all its life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.plain
    }

    /// Where it listens for TLS, the same for all its life.
    ///
    /// # Panics
    ///
    /// Where it was started without [`Options::tls`].
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.ports.tls.expect("it was started with TLS")
    }

    /// Its URL, password included.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// Its URL by way of another address, such as that of a [`proxy`](crate::proxy).
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let password = self.options.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        format!("redis://{password}{address}")
    }

    /// Kills it (SIGKILL), if it lives. Connections break, and its port refuses.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Kills it and starts it again on the same port: empty, unless [persistent](Options::persistent).
    ///
    /// # Panics
    ///
    /// As [`Options::start`].
    pub fn restart(&mut self) {
        self.begin_restart();
        while self.stat("loading") != 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The same, but it may still be loading what it keeps.
    ///
    /// # Panics
    ///
    /// As [`Options::start`].
    pub fn begin_restart(&mut self) {
        self.kill();
        let process = Process::start(&self.options, &self.dir, self.ports);
        self.process = Some(process.unwrap_or_else(|log| panic!("redis-server did not start again:\n{log}")));
    }

    /// Stops it (SIGSTOP): connections stay and nothing answers, until [`resume`](Self::resume).
    ///
    /// # Panics
    ///
    /// Where it was killed.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    ///
    /// Where it was killed.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Makes it forget all that it was told.
    ///
    /// # Panics
    ///
    /// Where it does not answer.
    pub fn flush(&self) {
        self.ask(&["FLUSHALL"]);
    }

    /// What it answers to a command, such as `["CONFIG", "SET", "maxmemory", "2mb"]`: a text, a number, or a list of those by lines.
    ///
    /// # Panics
    ///
    /// Where it does not answer, or with an error.
    pub fn ask(&self, command: &[&str]) -> String {
        let answer = resp::ask(self.address(), self.options.password.as_deref(), command);
        answer.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Gives it a command whose answer nobody waits for, such as a script that takes long.
    ///
    /// # Panics
    ///
    /// Where it takes none.
    pub fn tell(&self, command: &[&str]) {
        let told = resp::tell(self.address(), self.options.password.as_deref(), command);
        told.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    }

    /// The number that `INFO` has under `name`, such as `total_commands_processed`.
    ///
    /// # Panics
    ///
    /// As [`ask`](Self::ask), and where there is none of that name.
    #[must_use]
    pub fn stat(&self, name: &str) -> u64 {
        let info = self.ask(&["INFO", "everything"]);
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("no `{name}` in {info}"));
        value.trim().parse().unwrap_or_else(|_| panic!("{name} is {value}"))
    }

    /// Whether it was not killed.
    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_some()
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it was killed");
        kill_process(Pid::from_child(&process.child), signal).expect("a child can be signalled");
    }
}

/// The child, and who kills it should this process die.
#[derive(Debug)]
struct Process {
    child: Child,
    watchdog: Watchdog,
}

impl Process {
    /// One that answers, even if it is loading, or its log.
    fn start(options: &Options, dir: &TempDir, ports: Ports) -> Result<Self, String> {
        const PATIENCE: Duration = Duration::from_secs(20);
        let log = dir.path().join("log");
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let file = File::create(&log).map_err(|error| error.to_string())?;
        let program = std::env::var_os("PACELINE_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let mut line: Vec<&OsStr> = options.within.iter().map(OsStr::new).collect();
        line.push(&program);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stderr(Stdio::null()).stdout(file);
        command.arg("--port").arg(ports.plain.to_string()).arg("--bind").arg(options.bind.to_string());
        command.args(["--protected-mode", "no", "--save", "", "--dir"]).arg(dir.path());
        command.args(["--appendonly", if options.persistent { "yes" } else { "no" }]);
        if let Some(port) = ports.tls {
            command.arg("--tls-port").arg(port.to_string());
        }
        if let Some(password) = &options.password {
            command.args(["--requirepass", password]);
        }
        let child = command.args(&options.args).spawn().map_err(|error| {
            let program = line[0].to_string_lossy();
            format!("could not start {program}: {error}; run `cargo xtask setup`, which installs it")
        })?;
        let watchdog = Watchdog::of(&child).map_err(|error| format!("no shell to watch it: {error}"))?;
        let mut process = Self { child, watchdog };
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if process.answers((options.bind, ports.plain).into(), options.password.as_deref()) {
                return Ok(process);
            }
            if let Ok(Some(_)) = process.child.try_wait() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Err(said())
    }

    /// Whether who answers there is this child.
    fn answers(&self, address: SocketAddr, password: Option<&str>) -> bool {
        let Ok(info) = resp::ask(address, password, &["INFO"]) else { return false };
        info.lines().any(|line| line == format!("process_id:{}", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // First: once the child is gone, its number may be another's.
        self.watchdog.dismiss();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
