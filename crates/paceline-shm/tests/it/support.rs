//! Directories and sets for tests.

use std::path::Path;
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder};
use paceline_shm::{Options, Shm};
use tempfile::TempDir;

/// A directory of a test's own, in memory.
pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("paceline-test-").tempdir_in("/dev/shm").unwrap()
}

pub(crate) fn open(directory: &Path) -> Shm {
    Options::new().directory(directory).open("test").unwrap()
}

/// A set that a member of its own has opened.
pub(crate) fn set(directory: &Path, describe: impl FnOnce(LimitSetBuilder) -> LimitSetBuilder) -> LimitSet {
    describe(LimitSet::builder("set")).backend(open(directory)).build().unwrap()
}

/// Waits for what other processes do, for ten seconds at most.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How often: few in a test run, many in a soak.
pub(crate) fn soaked(few: u64, many: u64) -> u64 {
    if std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0") { many } else { few }
}
