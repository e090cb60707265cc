//! The display on a terminal: what is on its screen, at several sizes.
#![cfg(unix)]

use std::fs::File;
use std::io::Read as _;
use std::process::Child;
use std::time::Duration;

use paceline_mock::{Latency, LimitKey, MockConfig, MockLimit};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Job, Provider};

/// A terminal that a command writes to.
struct Terminal {
    ours: File,
    screen: vt100::Parser,
    /// Everything that was written.
    written: Vec<u8>,
}

const ROWS: u16 = 24;

fn size(columns: u16) -> Winsize {
    Winsize { ws_row: ROWS, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Terminal {
    fn open(columns: u16) -> (Self, File) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        // The command must not hold our side of it: it would never see that nobody reads any more.
        fcntl_setfd(&ours, FdFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&theirs, size(columns)).unwrap();
        (Self { ours: ours.into(), screen: vt100::Parser::new(ROWS, columns, 100), written: Vec::new() }, theirs)
    }

    /// It is the command's stderr.
    fn start(columns: u16, command: &mut std::process::Command) -> (Self, Child) {
        let (terminal, theirs) = Self::open(columns);
        let child = command.env("TERM", "xterm-256color").stderr(theirs).spawn().unwrap();
        // The command still holds a copy of the other side, which must go for the end to be seen.
        command.stderr(std::process::Stdio::null());
        (terminal, child)
    }

    /// Reads on until a screen is as wanted, or to the end. Gives that screen, with which [`Self::check`] was content.
    fn until(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut buffer = [0; 4096];
        loop {
            // The other side is closed: an error on Linux.
            let read = self.ours.read(&mut buffer).unwrap_or(0);
            if read == 0 {
                return None;
            }
            self.written.extend_from_slice(&buffer[..read]);
            self.screen.process(&buffer[..read]);
            let now = self.screen.screen().contents();
            if wanted(&now) {
                return Some(now);
            }
        }
    }

    fn end(mut self, mut child: Child) -> (String, Vec<u8>) {
        self.until(|_| false);
        assert!(child.wait().unwrap().success());
        (self.screen.screen().contents(), self.written)
    }
}

fn provider() -> Provider {
    let limits = vec![MockLimit::new(LimitKey::Requests, 30, Duration::from_secs(1))];
    Provider::start(MockConfig { limits, latency: Latency::Fixed(Duration::from_millis(50)), ..MockConfig::default() })
}

const LIMITS: [&str; 4] = ["--limit", "requests=30/1s", "--concurrency", "4-20"];

/// All parts are there, and whole: the last line of the display is drawn last.
fn whole(screen: &str) -> bool {
    screen.contains("ETA ") && screen.contains("requests binds") && screen.contains("30 per 1s")
}

#[test]
fn the_display_fits_terminals_of_80_and_200_columns_in_real_time() {
    for columns in [80, 200] {
        let provider = provider();
        let job = Job::of(100);
        let (mut terminal, child) = Terminal::start(columns, &mut job.command_at(&provider.url(), &LIMITS));
        let screen = terminal.until(whole).expect("a whole display");
        let lines: Vec<_> = screen.lines().collect();
        assert_eq!(lines.len(), 5, "{screen}");
        assert!(lines[0].starts_with('[') && lines[0].contains("/100 "), "{screen}");
        assert!(lines[1].contains("ok, 0 failed,") && lines[1].contains("on average"), "{screen}");
        assert!(lines[2].starts_with("  requests binds: 30 per 1s | tokens "), "{screen}");
        assert!(lines[3].contains(" (adaptive) | ") && lines[3].ends_with("429s 0 | retries 0"), "{screen}");
        assert!(lines[4].starts_with("  requests [#"), "{screen}");

        let (screen, _) = terminal.end(child);
        assert!(screen.starts_with("100 requests: 100 ok, 0 failed, 0 skipped\n"), "it is gone at the end:\n{screen}");
    }
}

#[test]
fn a_terminal_that_changes_its_size_is_kept_tidy_in_real_time() {
    let provider = provider();
    let job = Job::of(100);
    let (mut terminal, child) = Terminal::start(200, &mut job.command_at(&provider.url(), &LIMITS));
    terminal.until(whole).expect("a whole display");
    tcsetwinsize(&terminal.ours, size(40)).unwrap();
    terminal.screen.screen_mut().set_size(ROWS, 40);
    let narrow = |screen: &str| whole(screen) && screen.lines().any(|line| line.ends_with('…'));
    let screen = terminal.until(narrow).expect("a narrow display");
    assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
    let (screen, _) = terminal.end(child);
    assert!(screen.contains("100 requests: 100 ok"), "{screen}");
    assert!(!screen.contains("ETA") && !screen.contains("[="), "nothing of the display is left:\n{screen}");
}

#[test]
fn notices_and_the_log_go_above_the_display_in_real_time() {
    let provider = provider();
    let job = Job::of(60);
    job.run_at(&provider.url(), &["--limit", "requests=30/1s"]).expect(0);
    let lines: Vec<_> = (0..120).map(|number| crate::support::line(&format!("r{number}"))).collect();
    std::fs::write(job.input(), lines.join("\n") + "\nbad\n").unwrap();
    let args = ["--limit", "requests=30/1s", "-v"];
    let mut command = job.command_at(&provider.url(), &args);
    let (mut terminal, mut child) = Terminal::start(120, &mut command);
    let screen = terminal.until(|screen| screen.contains("resuming") && whole(screen)).expect("both");
    assert!(screen.find("resuming") < screen.find("ETA "), "{screen}");
    terminal.until(|_| false);
    let _ = child.wait();
    let screen = terminal.screen.screen().contents();
    assert!(
        screen.contains("this is not JSON") && screen.contains("121 requests: 60 ok, 1 failed, 60 skipped"),
        "{screen}"
    );
    assert!(!screen.contains("ETA"), "{screen}");
}

#[test]
fn colour_on_a_terminal_is_as_asked_in_real_time() {
    let provider = provider();
    let coloured = |args: &[&str], no_color: bool| {
        let job = Job::of(10);
        let mut command = job.command_at(&provider.url(), args);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let (terminal, child) = Terminal::start(80, &mut command);
        let (_, written) = terminal.end(child);
        // Where a colour or weight is set; moving the cursor and clearing lines are other sequences.
        String::from_utf8_lossy(&written).split("\x1b[").skip(1).any(|rest| {
            let end = rest.find(|c: char| c.is_ascii_alphabetic());
            end.is_some_and(|end| rest[end..].starts_with('m'))
        })
    };
    assert!(coloured(&[], false));
    assert!(!coloured(&[], true));
    assert!(!coloured(&["--color", "never"], false));
    assert!(coloured(&["--color", "always"], true));
}

#[test]
fn quiet_and_none_draw_nothing_in_real_time() {
    let provider = provider();
    let job = Job::of(5);
    let (terminal, child) = Terminal::start(80, &mut job.command_at(&provider.url(), &["-q"]));
    assert_eq!(terminal.end(child).1, b"");
    let job = Job::of(5);
    let (terminal, child) = Terminal::start(80, job.command_at(&provider.url(), &LIMITS).args(["--progress", "none"]));
    assert!(terminal.end(child).0.starts_with("5 requests: 5 ok"));
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_shared_is_redrawn_until_q_in_real_time() {
    use std::io::Write as _;

    use rustix::termios::tcgetattr;

    let provider = provider();
    let job = Job::of(150);
    let args = ["--limit", "requests=30/1s", "--concurrency", "8", "--shared", "one", "--progress", "none"];
    let mut run = job.command_at(&provider.url(), &args);
    let mut run = crate::support::begin(run.env("PACELINE_SHM_DIR", job.path("shared")));
    while !job.output().exists() {
        std::thread::sleep(Duration::from_millis(10));
    }

    let (mut terminal, theirs) = Terminal::open(80);
    let before = tcgetattr(&theirs).unwrap().local_modes;
    let mut top = crate::support::paceline(["top", "--shared", "one"]);
    top.env("PACELINE_SHM_DIR", job.path("shared")).env("TERM", "xterm-256color");
    top.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap());
    let child = top.spawn().unwrap();
    drop(top);
    let wanted =
        |screen: &str| screen.contains("/s granted") && !screen.contains(" 0.0/s") && screen.contains("at once");
    let screen = terminal.until(wanted).expect("a whole display");
    let lines: Vec<_> = screen.lines().collect();
    assert_eq!((lines.len(), lines[0]), (4, "one  1 process"), "{screen}");
    assert!(lines[1].contains(" in use, ") && lines[1].ends_with(" so far"), "{screen}");
    assert!(lines[2].starts_with("  requests    [#") && lines[2].ends_with(" of 30 per 1s"), "{screen}");
    assert!(lines[3].starts_with("  concurrency [") && lines[3].ends_with(" of 8 at once"), "{screen}");

    terminal.ours.write_all(b"q").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(tcgetattr(&theirs).unwrap().local_modes, before, "the terminal is as it was");
    run.kill().unwrap();
    run.wait().unwrap();
}
