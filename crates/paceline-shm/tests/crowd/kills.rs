//! Members that are killed or stopped under load: nothing leaks, nothing is admitted twice, nobody waits for the dead.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder, Quota};
use paceline_testkit::process::Process;
use paceline_testkit::service::now;
use rand::rngs::SmallRng;
use rand::seq::index::sample;
use rand::{Rng as _, SeedableRng as _};

use crate::alone;
use crate::load::{Crowd, SMALL, longest_gap};
use crate::support::{directory, set, soaked};

fn random() -> SmallRng {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

fn assert_nothing_is_out(set: &LimitSet) {
    let snapshot = set.snapshot();
    assert_eq!((snapshot.active, snapshot.waiting), (0, 0), "{snapshot:?}");
    assert_eq!(snapshot.limit("concurrency").unwrap().used, 0);
}

#[test]
fn members_killed_under_load_leak_nothing_in_real_time() {
    let _alone = alone();
    const MEMBERS: usize = 6;
    let (directory, random) = (directory(), &mut random());
    let set = set(directory.path(), SMALL.describe);
    let mut crowd = Crowd::start(directory.path(), SMALL, MEMBERS as u64, 2);
    let (mut killed, kills) = (0, soaked(500, 10_000) as usize);
    let mut longest = Duration::ZERO;
    while killed < kills {
        sleep(Duration::from_millis(random.random_range(5..45)));
        let count = random.random_range(1..=4);
        crowd.kill(sample(random, MEMBERS, count).into_vec());
        crowd.add(count as u64);
        killed += count;
        let began = Instant::now();
        let snapshot = set.snapshot();
        longest = longest.max(began.elapsed());
        assert!(snapshot.active <= SMALL.at_once as u64, "{snapshot:?}");
    }
    sleep(Duration::from_millis(300));
    crowd.kill_all();
    let calls = crowd.calls();
    SMALL.assert_within(&calls);
    let gap = longest_gap(&calls);
    println!("{killed} killed, {} calls, none for {gap:?}, the lock not to be had for {longest:?}", calls.len());
    assert!(gap < Duration::from_secs(1), "{gap:?} without a call");
    assert!(longest < Duration::from_secs(1), "{longest:?} for a look");

    assert_nothing_is_out(&set);
    sleep(2 * SMALL.period);
    let all: Vec<_> = (0..SMALL.at_once).map(|_| set.try_acquire(()).unwrap()).collect();
    drop(all);
    assert_nothing_is_out(&set);
}

fn signal(process: &Process, signal: &str) {
    let sent = Command::new("kill").args([signal, &process.child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_stopped_member_keeps_only_what_it_held_in_real_time() {
    let _alone = alone();
    let directory = directory();
    // At most two of the three permits are a member's own.
    let mut crowd = Crowd::start(directory.path(), SMALL, 3, 2);
    sleep(Duration::from_millis(700));
    // Stopped outside of the set's lock, as a process nearly always is.
    let number = crowd.members[0].0;
    signal(&crowd.members[0].1, "-STOP");
    sleep(Duration::from_secs(2));
    let continued = now();
    signal(&crowd.members[0].1, "-CONT");
    sleep(Duration::from_millis(700));
    crowd.kill_all();
    let calls = crowd.calls();
    SMALL.assert_within(&calls);
    let gap = longest_gap(&calls);
    assert!(gap < Duration::from_secs(1), "{gap:?} without a call");
    let last = calls.iter().rfind(|call| call.caller == number).unwrap().from;
    assert!(last > continued + 300_000_000, "it went on after it was continued");
    assert_nothing_is_out(&set(directory.path(), SMALL.describe));
}

/// Killed while they do nothing but take and give back, many die with the lock in their hands.
#[test]
fn a_lock_is_never_stuck_in_real_time() {
    let _alone = alone();
    let directory = directory();
    let random = &mut random();
    let set = set(directory.path(), described_freely);
    let mut members: Vec<_> = (0..2).map(|_| Process::start(directory.path(), "hammer", &[])).collect();
    members.iter_mut().for_each(|member| assert_eq!(member.says(), "ready"));
    let mut longest = Duration::ZERO;
    for _ in 0..soaked(40, 2_000) {
        sleep(Duration::from_millis(random.random_range(1..10)));
        let at = random.random_range(0..members.len());
        members[at].kill();
        let began = Instant::now();
        let snapshot = set.snapshot();
        longest = longest.max(began.elapsed());
        // Each has one at most, and so has whoever is dead and not yet looked after.
        assert!(snapshot.active <= 2, "{snapshot:?}");
        members[at] = Process::start(directory.path(), "hammer", &[]);
        assert_eq!(members[at].says(), "ready");
    }
    println!("the longest wait for the lock: {longest:?}");
    assert!(longest < Duration::from_secs(1));
    members.iter_mut().for_each(Process::kill);
    assert_nothing_is_out(&set);
    assert!(set.snapshot().granted > 1_000, "they did something");
}

/// Limits that nobody reaches.
pub(crate) fn described_freely(set: LimitSetBuilder) -> LimitSetBuilder {
    set.calls(Quota::per_second(1 << 40).burst(1 << 40)).concurrency(1_000)
}
