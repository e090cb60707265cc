//! What cannot be shared is an error that says what to do, and never a set without limits.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::task::{Context, Waker};
use std::time::Duration;

use paceline::{LimitSet, Quota};
use paceline_shm::{Error, Options};
use paceline_testkit::process::Process;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{directory, open, soaked, until};

fn described(directory: &Path) -> Result<LimitSet, paceline::Error> {
    LimitSet::builder("set").calls(Quota::per_minute(5)).concurrency(2).backend(open(directory)).build()
}

fn refusal(directory: &Path) -> String {
    described(directory).expect_err("it is not to be used").to_string()
}

fn file(directory: &Path) -> PathBuf {
    directory.join("test/sets/set-set")
}

/// A directory with a set in it that nobody has open.
fn left_behind() -> tempfile::TempDir {
    let directory = directory();
    let set = described(directory.path()).unwrap();
    drop(set.try_acquire(()).unwrap());
    directory
}

fn patch(path: &Path, word: usize, value: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[word * 8..word * 8 + 8].copy_from_slice(&value.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[track_caller]
pub(crate) fn says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// Overwrites a word of a file that others may have mapped.
pub(crate) fn patch_in_place(path: &Path, word: u64, value: u64) {
    use std::os::unix::fs::FileExt as _;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&value.to_le_bytes(), word * 8).unwrap();
}

#[test]
fn what_was_left_behind_goes_on() {
    let directory = left_behind();
    let set = described(directory.path()).unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().used, 1);
}

#[test]
fn another_version_is_named() {
    let directory = left_behind();
    patch(&file(directory.path()), 1, 7);
    says(&refusal(directory.path()), &["layout 7", "knows 4", "different versions", "remove"]);
}

#[test]
fn another_boot_is_named() {
    let directory = left_behind();
    patch(&file(directory.path()), 2, 7);
    says(&refusal(directory.path()), &["before this machine was started anew", "remove"]);
    let members = directory.path().join("test/members");
    patch(&members, 4, 7);
    let error = Options::new().directory(directory.path()).open("test").unwrap_err();
    says(&error.to_string(), &["another time namespace", "remove"]);
}

#[test]
fn other_limits_are_named() {
    let directory = directory();
    let _set = described(directory.path()).unwrap();
    let build = |set: paceline::LimitSetBuilder| {
        set.backend(open(directory.path())).build().expect_err("they differ").to_string()
    };
    let set = || LimitSet::builder("set");
    says(&build(set().calls(Quota::per_minute(6)).concurrency(2)), &["`calls`", "5 per 60s", "6 per 60s", "same"]);
    says(&build(set().calls(Quota::per_minute(5)).concurrency(3)), &["`concurrency`", "2 at once", "3 at once"]);
    says(&build(set().calls(Quota::per_minute(5))), &["`calls`, `concurrency`"]);
    let guarded = Quota::per_minute(5).guard(Duration::from_secs(1));
    says(&build(set().calls(guarded).concurrency(2)), &["the guard of `calls` is none there, 1s here"]);
}

/// What a file says is shown on terminals, and may be anything.
#[test]
fn control_characters_of_a_file_are_shown_as_such() {
    let directory = directory();
    let of = |key: &str| LimitSet::builder("set").resource(key, 1).backend(open(directory.path())).build();
    drop(of("a\u{1b}[31mred\0").unwrap());
    let message = of("b").expect_err("other limits").to_string();
    says(&message, &["a\\u{1b}[31mred\\0"]);
    assert!(!message.contains(char::is_control), "{message:?}");
}

#[test]
fn a_file_that_is_cut_short_is_told() {
    for (length, why) in [(0, "too short"), (7, "too short"), (64, "not as long"), (4_096, "not as long")] {
        let directory = left_behind();
        fs::OpenOptions::new().write(true).open(file(directory.path())).unwrap().set_len(length).unwrap();
        says(&refusal(directory.path()), &["damaged", why, "remove"]);
    }
}

#[test]
fn what_is_no_state_file_is_told() {
    let directory = left_behind();
    fs::write(file(directory.path()), vec![b'x'; 8_192]).unwrap();
    says(&refusal(directory.path()), &["damaged", "does not begin as a state file"]);
    fs::copy(directory.path().join("test/members"), file(directory.path())).unwrap();
    says(&refusal(directory.path()), &["another kind"]);
}

/// Any bytes at all: an error or a set that limits, never a panic, never a hang.
#[test]
fn random_bytes_are_refused_or_harmless() {
    let mut refused = 0;
    let rounds = soaked(150, 5_000);
    for seed in 0..rounds {
        let mut random = SmallRng::seed_from_u64(seed);
        let directory = left_behind();
        let path = file(directory.path());
        let mut bytes = fs::read(&path).unwrap();
        // The header is another matter; in what follows, mostly where something is.
        let words = bytes.len() / 8;
        for _ in 0..random.random_range(1..20) {
            let at = match random.random_range(0..3) {
                0 => random.random_range(8..32),
                1 => random.random_range(8..200),
                _ => random.random_range(words - (1 << 15)..words - (1 << 15) + 64),
            };
            let word = [random.random(), random.random_range(0..100), u64::MAX][random.random_range(0..3)];
            // The lock as it would be is found below; here nobody is there to hold it.
            if at != 16 {
                bytes[at * 8..at * 8 + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        fs::write(&path, bytes).unwrap();
        match described(directory.path()) {
            Err(error) => {
                refused += 1;
                says(&error.to_string(), &["remove"]);
            }
            Ok(set) => {
                let granted = (0..20).map(|_| set.try_acquire(())).filter(Result::is_ok).count();
                assert!(granted <= 5, "seed {seed}: {granted} were granted");
            }
        }
    }
    assert!(refused > rounds / 2, "{refused} of {rounds} were refused");
}

#[test]
fn a_lock_that_nobody_can_hold_is_told() {
    let directory = left_behind();
    patch(&file(directory.path()), 16, 0x7fff_ffff);
    says(&refusal(directory.path()), &["lock is held by nobody", "remove"]);
}

#[test]
fn a_lock_whose_owner_is_gone_is_taken() {
    let directory = left_behind();
    // The seat after the only one that ever was taken.
    patch(&file(directory.path()), 16, 1 << 16 | 2);
    drop(described(directory.path()).unwrap().try_acquire(()).unwrap());
}

#[test]
fn a_lock_whose_owner_stands_still_is_a_retryable_error() {
    let directory = directory();
    let words = ["5".to_owned(), "2".to_owned()];
    let mut other = Process::start(directory.path(), "hold", &words);
    assert_eq!(other.says(), "ready");
    // As if it had been stopped in the middle of a step.
    patch_in_place(&file(directory.path()), 16, 1 << 16 | 1);
    let shm = Options::new().directory(directory.path()).patience(Duration::from_millis(50)).open("test").unwrap();
    let hour = Quota::per_hour(5).burst(5);
    let set = LimitSet::builder("set").calls(hour).concurrency(2).backend(shm);
    let error = set.clone().build().expect_err("it is locked");
    assert!(error.is_retryable());
    says(&error.to_string(), &[&other.child.id().to_string(), "for 50ms", "stopped"]);
    other.kill();
    drop(set.build().unwrap().try_acquire(()).unwrap());
}

#[test]
fn what_could_not_be_given_back_is_given_back_later_though_nobody_has_the_set_any_more() {
    let directory = directory();
    let mut other = Process::start(directory.path(), "hold", &["5".to_owned(), "2".to_owned()]);
    assert_eq!(other.says(), "ready");
    let shm = Options::new().directory(directory.path()).patience(Duration::from_millis(10)).open("test").unwrap();
    let described = || LimitSet::builder("set").calls(Quota::per_hour(5).burst(5)).concurrency(2);
    let set = described().backend(shm.clone()).build().unwrap();
    let held = set.try_acquire(()).unwrap();
    // As if it had been stopped in the middle of a step, and went on.
    patch_in_place(&file(directory.path()), 16, 1 << 16 | 1);
    drop(held);
    drop(set);
    patch_in_place(&file(directory.path()), 16, 0);
    let third = described().backend(open(directory.path())).build().unwrap();
    until("what was held", || third.snapshot().active == 0);
    drop(shm);
    other.finish();
}

#[test]
fn what_could_not_be_settled_is_settled_before_it_is_given_back() {
    let directory = directory();
    let mut other = Process::start(directory.path(), "hold", &["5".to_owned(), "2".to_owned()]);
    assert_eq!(other.says(), "ready");
    // Nobody keeps the time, so nothing is done in between.
    let options = Options::new().directory(directory.path()).clock(paceline::ManualClock::default());
    let shm = options.patience(Duration::from_millis(10)).open("test").unwrap();
    let set = LimitSet::builder("tokens").rate("tokens", Quota::per_hour(100)).backend(shm).build().unwrap();
    let held = set.try_acquire([("tokens", 10)]).unwrap();
    let tokens = directory.path().join("test/sets/set-tokens");
    patch_in_place(&tokens, 16, 1 << 16 | 1);
    held.settle([("tokens", 40)]).unwrap();
    patch_in_place(&tokens, 16, 0);
    drop(held);
    assert_eq!(set.snapshot().limit("tokens").unwrap().used, 40);
    other.finish();
}

#[test]
fn names_are_checked() {
    let directory = directory();
    for name in ["", "../up", "a/b", ".hidden", "ü", &"x".repeat(101)] {
        let error = Options::new().directory(directory.path()).open(name).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{name}: {error}");
    }
}

#[test]
fn room_for_waiters_out_of_range_names_the_range() {
    let directory = directory();
    for demands in [0, 65_537] {
        let error = Options::new().directory(directory.path()).waiting(demands).open("test").unwrap_err();
        says(&error.to_string(), &[&demands.to_string(), "1 to 65536"]);
    }
}

#[test]
fn a_directory_that_others_can_enter_is_refused() {
    let directory = left_behind();
    fs::set_permissions(directory.path().join("test"), fs::Permissions::from_mode(0o755)).unwrap();
    let error = Options::new().directory(directory.path()).open("test").unwrap_err();
    says(&error.to_string(), &["mode 755", "PACELINE_SHM_DIR"]);
}

#[test]
fn a_link_in_place_of_the_directory_is_refused() {
    let (directory, elsewhere) = (directory(), left_behind());
    std::os::unix::fs::symlink(elsewhere.path().join("test"), directory.path().join("test")).unwrap();
    let error = Options::new().directory(directory.path()).open("test").unwrap_err();
    says(&error.to_string(), &["is no directory"]);
}

#[test]
fn a_directory_that_cannot_be_made_is_told() {
    let error = Options::new().directory("/nowhere/to/be").open("test").unwrap_err();
    says(&error.to_string(), &["making", "/nowhere/to/be", "PACELINE_SHM_DIR"]);
    let error = Options::new().directory("/proc").open("test").unwrap_err();
    says(&error.to_string(), &["/proc/test"]);
}

#[test]
fn more_limits_than_there_is_room_for_are_refused() {
    let directory = directory();
    let set = (0..65).fold(LimitSet::builder("set"), |set, at| set.resource(format!("{at}"), 1));
    let error = set.backend(open(directory.path())).build().expect_err("65 limits");
    says(&error.to_string(), &["65 limits", "64"]);
}

#[test]
fn what_nobody_uses_can_be_removed() {
    let directory = left_behind();
    let options = || Options::new().directory(directory.path());
    let set = described(directory.path()).unwrap();
    let error = options().remove("test").unwrap_err();
    assert!(matches!(error, Error::InUse { count: 1, .. }), "{error}");
    drop(set);
    options().remove("test").unwrap();
    options().remove("test").unwrap();
    assert_eq!(described(directory.path()).unwrap().snapshot().limit("calls").unwrap().used, 0);
}

#[tokio::test]
async fn more_waiters_than_there_is_room_for_are_a_retryable_error() {
    let directory = directory();
    let shm = Options::new().directory(directory.path()).waiting(2).open("test").unwrap();
    let set = LimitSet::builder("set").concurrency(1).backend(shm).build().unwrap();
    let held = set.try_acquire(()).unwrap();
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(set.acquire(()))).collect();
    for wait in &mut waiting {
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let error = set.acquire(()).await.unwrap_err();
    assert!(error.is_retryable());
    says(&error.to_string(), &["2 demands wait", "Options::waiting"]);
    drop(held);
    for wait in waiting {
        drop(wait.await.unwrap());
    }
    drop(set.acquire(()).await.unwrap());
}

#[tokio::test]
async fn whoever_waits_is_told_of_damage_in_real_time() {
    let directory = directory();
    let set = described(directory.path()).unwrap();
    let held = (set.try_acquire(()).unwrap(), set.try_acquire(()).unwrap());
    let waiting = tokio::spawn({
        let set = set.clone();
        async move { set.acquire(()).await.map(drop) }
    });
    while set.snapshot().waiting == 0 {
        tokio::task::yield_now().await;
    }
    // A tail that no journal can have.
    patch_in_place(&file(directory.path()), 24, 1 << 40);
    let told = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it does not hang").unwrap();
    says(&told.unwrap_err().to_string(), &["damaged", "remove"]);
    drop(held);
    says(&set.try_acquire(()).unwrap_err().to_string(), &["damaged"]);
}

#[test]
fn the_default_place_is_ones_own_alone() {
    let user = fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own)).unwrap();
    let name = format!("test-{}", std::process::id());
    drop(paceline_shm::open(&name).unwrap());
    let base = PathBuf::from(format!("/dev/shm/paceline-{user}"));
    for made in [base.clone(), base.join(&name)] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
    }
    paceline_shm::remove(&name).unwrap();
}
