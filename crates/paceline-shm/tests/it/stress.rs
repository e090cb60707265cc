//! Many threads, several members, everything at once: what came in goes out.

use std::time::Duration;

use paceline::{LimitSet, Quota};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{directory, open, set, soaked};

const AT_ONCE: u64 = 6;

async fn churn(set: LimitSet, seed: u64, rounds: u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    for _ in 0..rounds {
        let units = random.random_range(1..20);
        let patience = Duration::from_micros(random.random_range(0..3_000));
        match random.random_range(0..4) {
            0 => drop(set.try_acquire([("tokens", units)])),
            // Given up at any time, granted or not.
            1 => drop(tokio::time::timeout(patience, set.acquire([("tokens", units)])).await),
            2 => drop(set.request([("tokens", units)]).within(patience).acquire().await),
            _ => {
                let permit = set.acquire([("tokens", units)]).await.unwrap();
                permit.settle([("tokens", random.random_range(0..30))]).unwrap();
                tokio::task::yield_now().await;
            }
        }
        if random.random_range(0..50) == 0 {
            set.set_capacity("concurrency", random.random_range(1..=AT_ONCE)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_under_contention_in_real_time() {
    let directory = directory();
    let make = || {
        set(directory.path(), |set| set.rate("tokens", Quota::per_second(200_000).burst(5_000)).concurrency(AT_ONCE))
    };
    let members = [make(), make(), make()];
    let rounds = soaked(200, 5_000);
    let tasks: Vec<_> =
        (0..12).map(|seed| tokio::spawn(churn(members[seed as usize % 3].clone(), seed, rounds))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    for set in &members {
        let snapshot = set.snapshot();
        assert_eq!((snapshot.active, snapshot.waiting), (0, 0), "{snapshot:?}");
        assert_eq!(snapshot.limit("concurrency").unwrap().used, 0);
    }
    members[0].set_capacity("concurrency", AT_ONCE).unwrap();
    drop(members[1].try_acquire([("concurrency", AT_ONCE)]).unwrap());
}

/// Whoever knows only the name can see what is shared there.
#[test]
fn a_stranger_can_look() {
    let directory = directory();
    let set = set(directory.path(), |set| set.calls(Quota::per_hour(5)).concurrency(2));
    let held = set.try_acquire(()).unwrap();
    let stranger = open(directory.path());
    assert_eq!(stranger.sets().unwrap(), ["set".into()]);
    let limits = stranger.limits("set").unwrap();
    let mut described = LimitSet::builder("set");
    for (key, limit) in limits {
        described = match limit {
            paceline::backend::LimitSpec::Rate(quota) => described.rate(key, quota),
            paceline::backend::LimitSpec::Resource(capacity) => described.resource(key, capacity),
            other @ paceline::backend::LimitSpec::Adaptive(_) => panic!("{other:?}"),
        };
    }
    let seen = described.backend(stranger).build().unwrap().snapshot();
    assert_eq!((seen.active, seen.granted, seen.members), (1, 1, 2));
    assert_eq!(seen.limit("calls").unwrap().used, 1);
    drop(held);
}

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[tokio::test]
async fn a_thousand_waits_take_one_thread() {
    let directory = directory();
    let set = set(directory.path(), |set| set.concurrency(1));
    let held = set.try_acquire(()).unwrap();
    let waits: Vec<_> = (0..1_000)
        .map(|_| {
            let set = set.clone();
            tokio::spawn(async move { drop(set.acquire(()).await.unwrap()) })
        })
        .collect();
    while set.snapshot().waiting < 1_000 {
        tokio::task::yield_now().await;
    }
    // Other tests of this program have threads too, but not a thousand.
    assert!(threads() < 200, "{} threads", threads());
    drop(held);
    for wait in waits {
        wait.await.unwrap();
    }
    assert_eq!(set.snapshot().granted, 1_001);
}

/// Each handle of a process asks after all others.
#[test]
fn many_handles_take_one_file_each() {
    const HANDLES: u64 = 20;
    let directory = directory();
    let sets: Vec<_> = (0..HANDLES).map(|_| set(directory.path(), |set| set.concurrency(HANDLES))).collect();
    let held: Vec<_> = sets.iter().map(|set| set.try_acquire(()).unwrap()).collect();
    for set in &sets {
        assert_eq!(set.snapshot().members, HANDLES as usize);
        assert!(set.try_acquire(()).is_err());
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|file| file.unwrap().path().read_link().ok());
    let open = open.filter(|path| path.starts_with(directory.path())).count();
    assert!(open <= HANDLES as usize, "{open} files are open for {HANDLES} handles");
    drop(held);
}

/// The last handle to a set and the next first one may be two threads'.
#[test]
fn a_set_that_is_opened_as_it_is_left_keeps_what_is_out() {
    let directory = directory();
    let shm = open(directory.path());
    let make = || LimitSet::builder("set").concurrency(2).backend(shm.clone()).build().unwrap();
    let rounds = soaked(300, 30_000);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let set = make();
                    let held = set.try_acquire(()).unwrap();
                    assert!((1..=2).contains(&set.snapshot().active));
                    drop(held);
                }
            });
        }
    });
    assert_eq!(make().snapshot().active, 0);
}
