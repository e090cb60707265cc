//! The limits of several processes as they are shared today without a store: one process has the set, the others ask it over
//! a Unix socket, a line each way to acquire and a line each way to give back.
//!
//! The plainest server that is fast: a thread a connection, nothing parsed that need not be.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use paceline::{Clock, Key, LimitSet};

use crate::ours;

const SOCKET: &str = "socket";

/// Serves until its input ends.
pub(crate) fn serve(directory: &Path) {
    let listener = UnixListener::bind(directory.join(SOCKET)).expect("a socket");
    let (set, amounts) = ours::three_and_one(ours::bucket_quota(), Clock::tokio());
    // Its permits are held across requests, by threads that end with the process.
    let set: &'static LimitSet = Box::leak(Box::new(set));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            thread::spawn(move || answer(set, &amounts, &stream));
        }
    });
    println!("ready");
    std::io::stdin().lines().for_each(drop);
}

fn answer(set: &LimitSet, amounts: &[(Key, u64); 3], mut stream: &UnixStream) {
    let mut held = HashMap::new();
    let (mut next, mut line) = (0_u64, String::new());
    let mut lines = BufReader::new(stream);
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        let answer = match line.trim_end().split_once(' ') {
            Some(("release", id)) => {
                let permit = id.parse().ok().and_then(|id: u64| held.remove(&id));
                if permit.is_some() { "released\n".to_owned() } else { "unknown\n".to_owned() }
            }
            _ => match set.try_acquire(amounts) {
                Ok(permit) => {
                    next += 1;
                    held.insert(next, permit);
                    format!("{next}\n")
                }
                Err(error) => format!("{error}\n"),
            },
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

/// A client of it.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    line: String,
}

impl Client {
    pub(crate) fn connect(directory: &Path) -> Self {
        let stream = UnixStream::connect(directory.join(SOCKET)).expect("the server listens");
        Self { stream: BufReader::new(stream), line: String::new() }
    }

    /// Acquires and gives back: two round trips.
    pub(crate) fn take(&mut self) {
        let id: u64 = self.ask("acquire\n").parse().expect("there is room");
        assert_eq!(self.ask(&format!("release {id}\n")), "released");
    }

    fn ask(&mut self, line: &str) -> &str {
        self.stream.get_mut().write_all(line.as_bytes()).expect("the server reads");
        self.line.clear();
        self.stream.read_line(&mut self.line).expect("the server answers");
        self.line.trim_end()
    }
}
