//! Processes that share a set.

use std::time::{Duration, Instant};

use paceline::{Error, LimitKind, LimitSet, Quota, Verdict};
use paceline_testkit::process::Process;

use crate::member::learning;
use crate::support::{directory, set, until};

fn holder(directory: &std::path::Path, amount: u64, capacity: u64) -> Process {
    let mut process = Process::start(directory, "hold", &[amount.to_string(), capacity.to_string()]);
    assert_eq!(process.says(), "ready");
    process
}

#[test]
fn two_processes_share_a_bucket_and_a_resource() {
    let directory = directory();
    let set = set(directory.path(), |set| set.calls(Quota::per_hour(3).burst(3)).concurrency(2));
    let mut other = holder(directory.path(), 3, 2);
    let first = set.try_acquire(()).unwrap();
    other.tell("take");
    assert_eq!(other.says(), "taken");
    assert!(matches!(set.try_acquire(()), Err(Error::NotNow { .. })), "two are out");
    drop(first);
    let third = set.try_acquire(()).unwrap();
    other.tell("give");
    assert_eq!(other.says(), "given");
    other.tell("take");
    assert!(other.says().contains("no room"), "three calls were made this hour");
    let snapshot = set.snapshot();
    assert_eq!((snapshot.granted, snapshot.active), (3, 1));
    assert_eq!(snapshot.limit("calls").unwrap().used, 3);
    assert_eq!(snapshot.limit("concurrency").unwrap().used, 1);
    drop(third);
    other.finish();
}

#[test]
fn what_a_killed_process_held_comes_back() {
    let directory = directory();
    let set = set(directory.path(), |set| set.calls(Quota::per_hour(10).burst(10)).concurrency(2));
    let mut other = holder(directory.path(), 10, 2);
    for _ in 0..2 {
        other.tell("take");
        assert_eq!(other.says(), "taken");
    }
    assert!(set.try_acquire(()).is_err());
    other.kill();
    until("its permits", || set.try_acquire(()).is_ok());
    assert_eq!(set.snapshot().active, 0);
    assert_eq!(set.snapshot().limit("calls").unwrap().used, 3, "what was charged stays charged");
}

/// Half of all who hold something are gone at one instant: what they held is there for the others at once.
#[test]
fn half_of_the_holders_killed_leave_the_full_capacity_in_real_time() {
    const HOLDERS: usize = 8;
    const EACH: u64 = 2;
    let directory = directory();
    let capacity = HOLDERS as u64 * EACH;
    let amount = 1 << 20;
    let set = set(directory.path(), |set| set.calls(Quota::per_hour(amount).burst(amount)).concurrency(capacity));
    let mut holders: Vec<_> = (0..HOLDERS).map(|_| holder(directory.path(), amount, capacity)).collect();
    for holder in &mut holders {
        for _ in 0..EACH {
            holder.tell("take");
            assert_eq!(holder.says(), "taken");
        }
    }
    assert!(set.try_acquire(()).is_err());
    let killed = Instant::now();
    holders[..HOLDERS / 2].iter_mut().for_each(|holder| holder.child.kill().unwrap());
    let mut held = Vec::new();
    until("what the dead held", || {
        held.extend(set.try_acquire(()));
        held.len() as u64 == capacity / 2
    });
    let took = killed.elapsed();
    println!("all that the dead held after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(set.try_acquire(()).is_err(), "the others still hold theirs");
    drop(held);
    holders.iter_mut().for_each(Process::kill);
    until("the rest", || set.snapshot().active == 0);
    let all: Vec<_> = (0..capacity).map(|_| set.try_acquire(()).unwrap()).collect();
    drop(all);
}

#[test]
fn a_wait_is_ended_by_another_process() {
    let directory = directory();
    let set = set(directory.path(), |set| set.calls(Quota::per_hour(10).burst(10)).concurrency(1));
    let mut other = holder(directory.path(), 10, 1);
    other.tell("take");
    assert_eq!(other.says(), "taken");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| set.acquire_blocking(()).unwrap());
        until("the wait", || set.snapshot().waiting == 1);
        other.tell("give");
        assert_eq!(other.says(), "given");
        waiting.join().unwrap()
    });
    other.tell("take");
    assert!(other.says().contains("no room"));
    drop(waiting);
    other.tell("wait");
    assert_eq!(other.says(), "taken");
}

/// The kernel sees to it: it ends a thread that has given up all system calls and makes one.
#[test]
fn what_is_free_takes_no_system_call() {
    let directory = directory();
    let mut process = Process::start(directory.path(), "alone", &[]);
    assert_eq!(process.says(), "nothing was asked of the system");
}

fn guard(set: &LimitSet) -> Duration {
    match set.snapshot().limit("calls").unwrap().kind {
        LimitKind::Rate(quota) => quota.guard_pad(),
        LimitKind::Resource => panic!("a rate"),
    }
}

#[test]
fn a_burst_of_two_processes_cuts_once_and_a_guard_goes_with_who_needs_it() {
    let directory = directory();
    let set = set(directory.path(), learning);
    let mut other = Process::start(directory.path(), "learn", &[]);
    let mut told = |what: &str| {
        other.tell(what);
        assert_eq!(other.says(), "done");
    };
    let held: Vec<_> = (0..4).map(|_| set.try_acquire(()).unwrap()).collect();
    told("fill");
    assert!(matches!(set.try_acquire(()), Err(Error::NotNow { .. })), "eight are out");
    told("refuse");
    held.iter().for_each(|permit| permit.report(Verdict::Overloaded));
    let snapshot = set.snapshot();
    assert_eq!((snapshot.feedback.cuts, snapshot.feedback.verdicts.overloaded), (1, 8));
    assert_eq!(snapshot.limit("concurrency").unwrap().capacity, 4);
    told("lag");
    let least = Duration::from_millis(10);
    assert!(guard(&set) >= least + Duration::from_millis(25), "{:?}", guard(&set));
    other.kill();
    until("its end", || guard(&set) == least);
    assert_eq!(set.snapshot().feedback.level, Some(4), "what all have learnt stays");
}
