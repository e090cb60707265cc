//! A process that takes and gives back permits, from shared memory or from a server, as often as it is told to.

use std::io::Write as _;
use std::path::Path;

use paceline::{Key, LimitSet};

use crate::harness::granted;
use crate::ours;
use crate::served::Client;

/// Where it takes them from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Shared,
    Served,
}

impl From {
    /// What a worker is told: to take and give back so many.
    pub(crate) fn order(self, permits: u32) -> String {
        match self {
            Self::Shared => format!("shared {permits}"),
            Self::Served => format!("served {permits}"),
        }
    }
}

/// What a worker says when it has done so.
pub(crate) const DONE: &str = "done";

/// The set in shared memory that all processes with this directory share.
pub(crate) fn shared(directory: &Path) -> (LimitSet, [(Key, u64); 3]) {
    let shm = paceline_shm::Options::new().directory(directory.join("shm")).open("bench").expect("shared memory");
    ours::three_and_one_in(ours::bucket_quota(), shm)
}

/// Works until its input ends.
pub(crate) fn work(directory: &Path) {
    let (set, amounts) = shared(directory);
    let mut client = Client::connect(directory);
    say("ready");
    for line in std::io::stdin().lines() {
        let line = line.expect("text");
        let (from, permits) = line.split_once(' ').expect("two words");
        let permits = 0..permits.parse::<u32>().expect("a number");
        match from {
            "shared" => permits.for_each(|_| granted(&set.try_acquire(amounts))),
            "served" => permits.for_each(|_| client.take()),
            other => panic!("told to take from {other}"),
        }
        say(DONE);
    }
}

/// In one write: whoever traces it sees one.
fn say(what: &str) {
    std::io::stdout().write_all(format!("{what}\n").as_bytes()).expect("somebody listens");
}
