//! What is shared is removed, replaced or changed by hand while it is used: whoever uses it is told, and nobody hangs.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use paceline::{Error, LimitSet, LimitSetBuilder, Quota};
use paceline_shm::Options;
use paceline_testkit::process::Process;

use crate::bad_input::{patch_in_place, says};
use crate::support::{directory, open, set, until};

fn limits(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_hour(9).burst(9)).concurrency(2)
}

fn holder(directory: &Path) -> Process {
    let mut process = Process::start(directory, "hold", &["9".to_owned(), "2".to_owned()]);
    assert_eq!(process.says(), "ready");
    process.tell("take");
    assert_eq!(process.says(), "taken");
    process
}

/// A thread that waits.
fn waiter(set: &LimitSet) -> JoinHandle<Result<(), Error>> {
    let waits = set.clone();
    let waiting = thread::spawn(move || waits.acquire_blocking(()).map(drop));
    until("the wait", || set.snapshot().waiting == 1);
    waiting
}

/// All that lies in a directory, and itself.
fn all_in(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(all_in(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// What is there of a set that nobody uses.
fn entries() -> Vec<PathBuf> {
    let directory = directory();
    drop(set(directory.path(), limits).try_acquire(()).unwrap());
    let found = all_in(&directory.path().join("test"));
    found.into_iter().map(|path| path.strip_prefix(directory.path()).unwrap().to_owned()).collect()
}

fn remove(path: &Path) {
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

fn rename(path: &Path) {
    fs::rename(path, path.with_extension("elsewhere")).unwrap();
}

/// One process holds, this one holds and waits, `away` is taken from them, and somebody joins.
fn taken_from_under_them(away: &Path, take: fn(&Path)) {
    let directory = directory();
    let set = set(directory.path(), limits);
    let mut other = holder(directory.path());
    let held = set.try_acquire(()).unwrap();
    let waiting = waiter(&set);
    take(&directory.path().join(away));
    // Refused, or of a set of its own.
    let joined = Options::new().directory(directory.path()).open("test");
    drop(joined.map(|shm| limits(LimitSet::builder("set")).backend(shm).build().map(|set| drop(set.try_acquire(())))));
    until(&format!("an answer where {away:?} is gone"), || waiting.is_finished());
    let told = waiting.join().unwrap();
    let error = told.expect_err("others may have other limits");
    assert!(!error.is_retryable());
    says(&error.to_string(), &["was removed or replaced", "end all processes", "RemoveIPC", "PACELINE_SHM_DIR"]);
    assert!(held.is_lost());
    until("word to the other", || {
        other.tell("take");
        other.says().contains("was removed or replaced")
    });
    drop(held);
    other.finish();
}

#[test]
fn whatever_is_removed_under_use_is_told_in_real_time() {
    let cases = entries();
    thread::scope(|scope| {
        for away in &cases {
            scope.spawn(move || taken_from_under_them(away, remove));
        }
    });
}

#[test]
fn whatever_is_renamed_under_use_is_told_in_real_time() {
    let cases = entries();
    thread::scope(|scope| {
        for away in &cases {
            scope.spawn(move || taken_from_under_them(away, rename));
        }
    });
}

/// Nobody waits, nobody comes: no demand may be granted by what others cannot see any more.
#[test]
fn whoever_never_waits_is_told_too_in_real_time() {
    let directory = directory();
    let set = set(directory.path(), limits);
    fs::remove_dir_all(directory.path().join("test")).unwrap();
    until("an error", || match set.try_acquire(()) {
        Ok(_) | Err(Error::NotNow { .. }) => false,
        Err(error) => error.to_string().contains("was removed or replaced"),
    });
}

/// A state file names members by seat and term, which other members have too.
#[test]
fn whoever_comes_to_other_members_takes_nothing_from_those_who_are_there() {
    let directory = directory();
    let set = set(directory.path(), limits);
    let held = [set.try_acquire(()).unwrap(), set.try_acquire(()).unwrap()];
    fs::remove_file(directory.path().join("test/members")).unwrap();
    let error = limits(LimitSet::builder("set")).backend(open(directory.path())).build().expect_err("other members");
    says(&error.to_string(), &["damaged", "members", "replaced", "remove that directory"]);
    assert!(!error.is_retryable());
    drop(held);
}

#[test]
fn whoever_has_lost_its_seat_is_told_at_its_next_step() {
    // The first seat's term.
    const TERM: u64 = 8 + 2;
    let directory = directory();
    let set = set(directory.path(), limits);
    let mut other = holder(directory.path());
    let held = set.try_acquire(()).unwrap();
    let waiting = waiter(&set);
    patch_in_place(&directory.path().join("test/members"), TERM, 9);
    until("an answer", || waiting.is_finished());
    let error = waiting.join().unwrap().expect_err("others take it for gone");
    assert!(!error.is_retryable());
    says(&error.to_string(), &["does not know this process any more", "end all processes", "remove"]);
    says(&set.try_acquire(()).unwrap_err().to_string(), &["does not know this process any more"]);
    assert!(held.is_lost());
    until("what it held", || {
        other.tell("take");
        other.says() == "taken"
    });
    drop(held);
    other.finish();
}

/// Links, directories and pipes in place of what should be there: nothing is made where a link leads, nothing hangs, and
/// all of it can be removed.
#[test]
fn what_lies_in_the_way_is_not_followed_and_can_be_cleared() {
    let (ways, entries) = (["link", "directory", "pipe"], entries());
    for (way, entry) in ways.iter().flat_map(|way| entries.iter().map(move |entry| (*way, entry))) {
        let directory = directory();
        drop(set(directory.path(), limits).try_acquire(()).unwrap());
        let (path, elsewhere) = (directory.path().join(entry), directory.path().join("elsewhere"));
        remove(&path);
        match way {
            "link" => symlink(&elsewhere, &path).unwrap(),
            "directory" => fs::create_dir(&path).unwrap(),
            _ => {
                let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success() && fs::metadata(&path).unwrap().file_type().is_fifo());
            }
        }
        let options = || Options::new().directory(directory.path());
        let built = options().open("test").map(|shm| limits(LimitSet::builder("set")).backend(shm).build().is_ok());
        assert!(!elsewhere.exists(), "{way} at {entry:?} was followed");
        let itself = entry == Path::new("test");
        assert!(itself || way == "directory" || !matches!(built, Ok(true)), "{way} at {entry:?} was used");
        // The place of all of it may be somebody's choice: he is told.
        let removed = options().remove("test");
        assert_eq!(removed.is_ok(), !itself || way == "directory", "{way} at {entry:?}: {removed:?}");
        assert!(itself || !directory.path().join("test").exists());
    }
}
