//! Members that are killed or stopped under load: nothing leaks, nothing is admitted twice, nobody waits for the dead.

use std::collections::HashMap;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use paceline::{Anchor, Clock, LimitSet, LimitSetBuilder, Quota};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{Process, directory, set, soaked, until};

const MEMBERS: usize = 4;
pub(crate) const AT_ONCE: u64 = 3;
pub(crate) const AMOUNT: u64 = 60;
pub(crate) const PERIOD: Duration = Duration::from_millis(500);

/// A charge is held until its permit comes back, so that the instants which the members write down lie between the two,
/// and late writing cannot look like an admission too many.
pub(crate) fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    let quota = Quota::new(AMOUNT, PERIOD).anchor(Anchor::Completion).paced(6);
    set.calls(quota).rate("tokens", Quota::per_second(100_000).burst(1_000)).concurrency(AT_ONCE)
}

fn random() -> SmallRng {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    SmallRng::seed_from_u64(seed)
}

struct Load<'a> {
    directory: &'a Path,
    /// How many of its tasks ask at once, in each.
    tasks: u64,
    members: Vec<(usize, Process)>,
    started: usize,
    /// When those that were killed were last seen alive.
    ended: HashMap<usize, u64>,
}

impl<'a> Load<'a> {
    fn start(directory: &'a Path, members: usize, tasks: u64) -> Self {
        let mut load = Self { directory, tasks, members: Vec::new(), started: 0, ended: HashMap::new() };
        (0..members).for_each(|_| load.add());
        load
    }

    fn add(&mut self) {
        let words = [self.started.to_string(), self.tasks.to_string()];
        self.members.push((self.started, Process::start(self.directory, "work", &words)));
        self.started += 1;
    }

    fn kill(&mut self, at: usize) {
        let (number, mut process) = self.members.swap_remove(at);
        self.ended.insert(number, now());
        process.kill();
    }

    /// Every admission that was written down, from when to when it was held; in order.
    fn admissions(&self) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = (0..self.started).flat_map(|number| self.admissions_of(number)).collect();
        all.sort_unstable();
        all
    }

    fn admissions_of(&self, number: usize) -> Vec<(u64, u64)> {
        let text = std::fs::read_to_string(self.directory.join(format!("log-{number}"))).unwrap_or_default();
        let (mut begun, mut all) = (HashMap::new(), Vec::new());
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            // The last line of one that was killed may be torn.
            let [what, task, at, "."] = words[..] else { continue };
            let at = at.parse::<u64>().unwrap();
            match what {
                "from" => assert!(begun.insert(task, at).is_none()),
                _ => all.push((begun.remove(task).unwrap(), at)),
            }
        }
        let end = self.ended.get(&number).copied().unwrap_or(u64::MAX);
        all.extend(begun.into_values().map(|from| (from, end.max(from))));
        all
    }
}

pub(crate) fn now() -> u64 {
    Clock::boot().now().as_nanos()
}

fn assert_within_limits(admissions: &[(u64, u64)]) {
    let (amount, period) = (AMOUNT as usize, PERIOD.as_nanos() as u64);
    for window in admissions.windows(amount + 1) {
        let held = window[amount].0 - window[0].0;
        assert!(held >= period, "{} admissions within {held} ns", amount + 1);
    }
    for (at, (from, _)) in admissions.iter().enumerate() {
        let out = admissions[..at].iter().filter(|(_, to)| to > from).count();
        assert!(out < AT_ONCE as usize, "{} permits were out at once", out + 1);
    }
}

fn assert_no_gap(admissions: &[(u64, u64)], longest: Duration) {
    let gaps = admissions.windows(2).map(|pair| Duration::from_nanos(pair[1].0 - pair[0].0));
    let gap = gaps.max().unwrap();
    println!("{} admissions, the longest gap {gap:?}", admissions.len());
    assert!(gap < longest, "{gap:?} without a grant");
}

fn assert_nothing_is_out(set: &LimitSet) {
    let snapshot = set.snapshot();
    assert_eq!((snapshot.active, snapshot.waiting), (0, 0), "{snapshot:?}");
    assert_eq!(snapshot.limit("concurrency").unwrap().used, 0);
}

#[test]
fn members_killed_under_load_leak_nothing_in_real_time() {
    let directory = directory();
    let mut random = random();
    let mut load = Load::start(directory.path(), MEMBERS, 4);
    for _ in 0..soaked(50, 2_000) {
        sleep(Duration::from_millis(random.random_range(5..80)));
        load.kill(random.random_range(0..load.members.len()));
        load.add();
    }
    sleep(Duration::from_millis(300));
    (0..MEMBERS).for_each(|_| load.kill(0));
    let admissions = load.admissions();
    assert_within_limits(&admissions);
    assert_no_gap(&admissions, Duration::from_secs(1));

    let set = set(directory.path(), described);
    assert_nothing_is_out(&set);
    std::thread::sleep(PERIOD);
    let all: Vec<_> = (0..AT_ONCE).map(|_| set.try_acquire(()).unwrap()).collect();
    drop(all);
    assert_nothing_is_out(&set);
}

#[test]
fn a_stopped_member_keeps_only_what_it_held_in_real_time() {
    let directory = directory();
    // At most two of the three permits are a member's own.
    let mut load = Load::start(directory.path(), 3, 2);
    sleep(Duration::from_millis(700));
    // Stopped outside of the set's lock, as a process nearly always is.
    load.members[0].1.signal("-STOP");
    sleep(Duration::from_secs(2));
    let stopped = now();
    load.members[0].1.signal("-CONT");
    sleep(Duration::from_millis(700));
    let number = load.members[0].0;
    (0..3).for_each(|_| load.kill(0));
    let admissions = load.admissions();
    assert_within_limits(&admissions);
    assert_no_gap(&admissions, Duration::from_secs(1));
    let text = std::fs::read_to_string(directory.path().join(format!("log-{number}"))).unwrap();
    let last = text.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()).max().unwrap();
    assert!(last > stopped + 300_000_000, "it went on after it was continued");
    assert_nothing_is_out(&set(directory.path(), described));
}

/// Killed while they do nothing but take and give back, many die with the lock in their hands.
#[test]
fn a_lock_is_never_stuck_in_real_time() {
    let directory = directory();
    let mut random = random();
    let set = set(directory.path(), described_freely);
    let mut members: Vec<_> = (0..2).map(|_| Process::start(directory.path(), "hammer", &[])).collect();
    members.iter_mut().for_each(|member| assert_eq!(member.says(), "ready"));
    let mut longest = Duration::ZERO;
    for _ in 0..soaked(40, 2_000) {
        sleep(Duration::from_millis(random.random_range(1..10)));
        let at = random.random_range(0..members.len());
        members[at].kill();
        let began = std::time::Instant::now();
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

#[test]
fn several_processes_are_served_alike_in_real_time() {
    const PROCESSES: usize = 6;
    const FOR: Duration = Duration::from_secs(3);
    let directory = directory();
    let mut load = Load::start(directory.path(), PROCESSES, 3);
    // Until each has begun, the others have more.
    until("all", || {
        let begun =
            |number: &usize| directory.path().join(format!("log-{number}")).metadata().is_ok_and(|log| log.len() > 0);
        (0..PROCESSES).filter(begun).count() == PROCESSES
    });
    let began = now();
    sleep(FOR);
    let ended = now();
    (0..PROCESSES).for_each(|_| load.kill(0));
    let admissions = load.admissions();
    assert_within_limits(&admissions);
    let counts: Vec<usize> = (0..PROCESSES)
        .map(|number| load.admissions_of(number).iter().filter(|(at, _)| (began..ended).contains(at)).count())
        .collect();
    let all: usize = counts.iter().sum();
    let quota = AMOUNT as f64 * FOR.as_secs_f64() / PERIOD.as_secs_f64();
    println!("{counts:?}: {all} of {quota}");
    assert!(all as f64 >= 0.85 * quota, "{all} of {quota}");
    assert!(counts.iter().all(|count| count * 2 * PROCESSES >= all), "{counts:?}");
}
