//! Children of a process that has limits open.

use paceline::LimitSet;
use paceline::Quota;

use crate::{Error, Options};

/// Runs `child` in a forked process; what it says of itself as a number.
fn forked(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child only reads memory, allocates (which glibc makes fit for forks) and ends.
    match unsafe { libc::fork() } {
        -1 => panic!("no fork: {}", std::io::Error::last_os_error()),
        // SAFETY: ends the child at once, without what its parent would still do.
        0 => unsafe { libc::_exit(child()) },
        pid => {
            let mut status = 0;
            // SAFETY: `status` is there for as long as the call takes.
            assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status), "it was killed: {status}");
            libc::WEXITSTATUS(status)
        }
    }
}

#[test]
fn a_child_is_told_to_open_again_and_disturbs_nobody() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let open = || Options::new().directory(directory.path()).open("test");
    let shm = open().unwrap();
    let describe = || LimitSet::builder("set").calls(Quota::per_hour(3)).concurrency(1);
    let set = describe().backend(shm.clone()).build().unwrap();
    let held = set.try_acquire(()).unwrap();
    let told = forked(|| {
        let error = set.try_acquire(()).map(drop).unwrap_err();
        let refused = error.to_string().contains("forked") && !error.is_retryable();
        i32::from(refused && matches!(shm.sets(), Ok(sets) if sets.len() == 1))
    });
    assert_eq!(told, 1);
    // A child that opens for itself is another member, and what it does not give back comes back with its end.
    let shared = forked(|| match open().map_err(|error| matches!(error, Error::Forked)) {
        Ok(own) => {
            let set = describe().backend(own).build().unwrap();
            i32::from(set.try_acquire(()).is_err() && set.snapshot().active == 1)
        }
        Err(_) => 2,
    });
    assert_eq!(shared, 1);
    drop(held);
    let again = set.try_acquire(()).unwrap();
    assert_eq!(set.snapshot().limit("calls").unwrap().used, 2);
    drop(again);
    assert_eq!(set.snapshot().active, 0);
}
