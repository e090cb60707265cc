//! Conservation: whatever is done to sets by many threads, what went in came out.
//!
//! A few seconds by default; `PACELINE_SOAK=1` takes twenty times as long. What fails names its seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use paceline::{Algorithm, Anchor, Error, LimitPool, LimitSet, Permit, Priority, Quota, Request};
use tokio::runtime::Builder;

use crate::support::{Dice, Watchdog, assert_all_came_back, millis, quiet_panics, secs, soaks};

#[derive(Clone)]
struct World {
    sets: [LimitSet; 3],
    pool: LimitPool,
    done: Arc<AtomicU64>,
    end: Instant,
}

const PERIOD: Duration = millis(10);

impl World {
    fn new(end: Instant) -> Self {
        let set = |name: &str, capacity| {
            LimitSet::builder(name.to_owned())
                .calls(Quota::new(60, PERIOD))
                .rate("tokens", Quota::new(5_000, PERIOD).burst(2_000))
                .concurrency(capacity)
                .on_wait(|waiting| assert!(waiting.ahead % 7 != 3, "hooks may panic"))
                .build()
                .unwrap()
        };
        let sets = [set("a", 4), set("b", 2), set("c", 6)];
        let pool = LimitPool::builder("pool").member(sets[1].clone()).member(sets[2].clone()).build().unwrap();
        Self { sets, pool, done: Arc::default(), end }
    }

    fn runs(&self) -> bool {
        Instant::now() < self.end
    }

    fn set(&self, dice: &mut Dice) -> &LimitSet {
        &self.sets[usize::try_from(dice.below(3)).unwrap()]
    }

    fn request<'a>(&self, set: &'a LimitSet, dice: &mut Dice) -> Request<'a> {
        let request = match dice.below(5) {
            0 => set.request(()),
            1 => set.request([("tokens", 1 + dice.below(800))]),
            2 => set.request([("concurrency", 1 + dice.below(3))]),
            3 => set.request([("concurrency", 0), ("tokens", dice.below(300))]),
            _ => set.request([("calls", dice.below(4)), ("tokens", 10), ("concurrency", 2)]),
        };
        let request = match dice.below(6) {
            0 => request.priority(Priority::High),
            1 => request.priority(Priority::Low),
            _ => request,
        };
        match dice.below(4) {
            0 => request.within(Duration::from_micros(dice.below(4_000))),
            _ => request,
        }
    }

    /// Something that changes a set under everybody's feet.
    fn disturb(&self, dice: &mut Dice) {
        let set = self.set(dice);
        let changed = match dice.below(9) {
            0 | 1 => set.set_capacity("concurrency", 1 + dice.below(6)),
            2 => set.set_quota("calls", Quota::new(20 + dice.below(80), PERIOD)),
            3 => set.set_quota("calls", Quota::new(50, PERIOD).anchor(Anchor::Completion)),
            4 => set.set_quota("calls", Quota::new(50, PERIOD).algorithm(Algorithm::SlidingCounter)),
            5 => set.set_quota("tokens", Quota::new(5_000, PERIOD).burst(500 + dice.below(2_000))),
            6 => set.pause_for(Duration::from_micros(dice.below(2_000))),
            7 => set.resume(),
            _ => set.reset(),
        };
        changed.unwrap();
    }

    fn end_of(&self, answer: Result<Permit<'_>, Error>, dice: &mut Dice) {
        match answer {
            Ok(permit) => {
                self.done.fetch_add(1, Ordering::Relaxed);
                Self::use_up(permit, dice);
            }
            Err(Error::NotNow { .. } | Error::DeadlineExceeded { .. } | Error::TooLarge { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Settles up or down, or not, and gives back in one of the ways there are.
    fn use_up(permit: Permit<'_>, dice: &mut Dice) {
        match dice.below(5) {
            0 => permit.settle([("tokens", dice.below(1_500))]).unwrap(),
            1 => permit.settle([("tokens", 0), ("calls", 0)]).unwrap(),
            2 => permit.settle([("concurrency", dice.below(3))]).unwrap(),
            _ => {}
        }
        match dice.below(8) {
            0 => {
                let permit = permit.into_owned();
                drop(thread::Builder::new().spawn(move || drop(permit)).unwrap().join());
            }
            1 => {
                let dropped_by_unwinding = AssertUnwindSafe(|| {
                    let _permit = permit;
                    panic!("on purpose");
                });
                assert!(catch_unwind(dropped_by_unwinding).is_err());
            }
            2 => thread::yield_now(),
            _ => drop(permit),
        }
    }

    async fn act(&self, dice: &mut Dice) {
        let patience = Duration::from_micros(dice.below(3_000));
        match dice.below(12) {
            0 => self.disturb(dice),
            1 => {
                let set = self.set(dice);
                let answer = self.request(set, dice).try_acquire();
                self.end_of(answer, dice);
            }
            2 | 3 => {
                let wait = self.pool.acquire([("tokens", dice.below(400))]);
                if let Ok(answer) = tokio::time::timeout(patience, wait).await {
                    self.end_of(answer, dice);
                }
            }
            4 | 5 => {
                let first = usize::try_from(dice.below(3)).unwrap();
                let joint = LimitSet::all([&self.sets[first], &self.sets[(first + 1) % 3]]).unwrap();
                let wait = joint.acquire([("tokens", dice.below(400))]);
                match tokio::time::timeout(patience, wait).await {
                    Ok(Ok(permit)) => {
                        if dice.below(2) == 0 {
                            permit.settle([("tokens", dice.below(600))]).unwrap();
                        }
                        self.done.fetch_add(2, Ordering::Relaxed);
                        tokio::task::yield_now().await;
                        drop(permit);
                    }
                    Ok(Err(Error::TooLarge { .. })) | Err(_) => {}
                    Ok(Err(error)) => panic!("{error}"),
                }
            }
            6 | 7 => {
                let set = self.set(dice);
                let wait = self.request(set, dice).acquire();
                if let Ok(answer) = tokio::time::timeout(patience, wait).await {
                    if dice.below(3) == 0 {
                        tokio::time::sleep(patience).await;
                    }
                    self.end_of(answer, dice);
                }
            }
            8 => {
                // Polled once, left alone, dropped.
                let set = self.set(dice);
                let mut wait = Box::pin(self.request(set, dice).acquire());
                if let std::task::Poll::Ready(answer) = futures::poll!(&mut wait) {
                    self.end_of(answer, dice);
                }
                tokio::task::yield_now().await;
            }
            _ => {
                let set = self.set(dice);
                let answer = self.request(set, dice).acquire().await;
                self.end_of(answer, dice);
            }
        }
    }

    fn act_blocking(&self, dice: &mut Dice) {
        match dice.below(10) {
            0 => self.disturb(dice),
            1 => {
                let answer = self.pool.acquire_blocking([("tokens", dice.below(400))]);
                self.end_of(answer, dice);
            }
            2 => {
                let joint = LimitSet::all([&self.sets[2], &self.sets[0]]).unwrap();
                match joint.acquire_blocking([("tokens", dice.below(400))]) {
                    Ok(permit) => {
                        self.done.fetch_add(2, Ordering::Relaxed);
                        drop(permit);
                    }
                    Err(Error::TooLarge { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            _ => {
                let set = self.set(dice);
                let answer = self.request(set, dice).acquire_blocking();
                self.end_of(answer, dice);
            }
        }
    }

    fn assert_nothing_lost(&self) {
        for set in &self.sets {
            set.resume().unwrap();
            set.set_capacity("concurrency", 4).unwrap();
            assert_all_came_back(set);
        }
        let granted: u64 = self.sets.iter().map(|set| set.snapshot().granted).sum();
        let done = self.done.load(Ordering::Relaxed);
        assert_eq!(granted, done, "what was granted and not taken back was had");
        assert!(done > 100, "only {done} permits were had");
        for set in &self.sets {
            drop(set.request(()).within(secs(5)).acquire_blocking().expect("it works as before"));
        }
    }
}

fn lasts(default: Duration) -> Duration {
    if soaks() { default * 20 } else { default }
}

fn storm(seed: u64, lasting: Duration) {
    quiet_panics();
    let _watchdog = Watchdog::new(format!("the storm of seed {seed}"), lasting + secs(40));
    let world = World::new(Instant::now() + lasting);
    let runtime = Builder::new_multi_thread().worker_threads(3).enable_time().build().unwrap();
    let second = Builder::new_current_thread().enable_time().build().unwrap();
    let stormed = catch_unwind(AssertUnwindSafe(|| {
        thread::scope(|scope| {
            for n in 0..3 {
                let world = &world;
                scope.spawn(move || {
                    let mut dice = Dice(seed * 1_000 + n);
                    while world.runs() {
                        world.act_blocking(&mut dice);
                    }
                });
            }
            let spawn = |n: u64| {
                let world = world.clone();
                async move {
                    let mut dice = Dice(seed * 1_000 + 100 + n);
                    while world.runs() {
                        world.act(&mut dice).await;
                    }
                }
            };
            let (here, there) = (spawn(98), spawn(99));
            scope.spawn(move || second.block_on(async { futures::future::join(here, there).await }));
            runtime.block_on(async {
                let tasks = (0..16).map(|n| tokio::spawn(spawn(n)));
                for task in futures::future::join_all(tasks).await {
                    task.unwrap();
                }
            });
        });
        world.assert_nothing_lost();
    }));
    if let Err(panic) = stormed {
        eprintln!("the storm of seed {seed} failed");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn real_time_a_storm_of_everything_loses_nothing() {
    for seed in [1, 2, 3] {
        storm(seed, lasts(millis(1_500)));
    }
}

/// The same on one thread under the paused clock, where a run can be repeated exactly.
#[test]
fn a_storm_in_virtual_time_loses_nothing() {
    for seed in 0..lasts(secs(4)).as_secs() {
        let _watchdog = Watchdog::new(format!("the quiet storm of seed {seed}"), secs(60));
        quiet_panics();
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let world = World::new(Instant::now() + secs(3_600));
        let ran = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async {
                let tasks = (0..12).map(|n| {
                    let world = world.clone();
                    tokio::spawn(async move {
                        let mut dice = Dice(seed * 1_000 + n);
                        for _ in 0..250 {
                            world.act(&mut dice).await;
                        }
                    })
                });
                for task in futures::future::join_all(tasks).await {
                    task.unwrap();
                }
            });
            world.sets.iter().for_each(assert_all_came_back);
            let granted: u64 = world.sets.iter().map(|set| set.snapshot().granted).sum();
            assert_eq!(granted, world.done.load(Ordering::Relaxed));
        }));
        if let Err(panic) = ran {
            eprintln!("the quiet storm of seed {seed} failed");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Under a storm of permits, no more are ever out than the capacity, and no window holds more than the quota.
#[test]
fn real_time_never_over_from_many_threads() {
    let _watchdog = Watchdog::new("never over", lasts(secs(2)) + secs(40));
    let set = LimitSet::builder("strict").calls(Quota::new(50, millis(20))).concurrency(3).build().unwrap();
    let end = Instant::now() + lasts(millis(1_500));
    let inside = AtomicU64::new(0);
    let admissions = std::sync::Mutex::new(Vec::new());
    thread::scope(|scope| {
        for n in 0..4 {
            let (set, inside, admissions) = (&set, &inside, &admissions);
            scope.spawn(move || {
                let mut dice = Dice(n);
                let mut seen = Vec::new();
                while Instant::now() < end {
                    let permit = match dice.below(3) {
                        0 => set.try_acquire(()),
                        _ => set.request(()).within(millis(dice.below(30))).acquire_blocking(),
                    };
                    let Ok(permit) = permit else { continue };
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3);
                    seen.push((permit.admitted_at().as_nanos(), 1));
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
                admissions.lock().unwrap().extend(seen);
            });
        }
    });
    let mut admissions = admissions.into_inner().unwrap();
    admissions.sort_unstable();
    assert!(crate::support::worst_window(&admissions, millis(20)) <= 50);
    assert_all_came_back(&set);
}
