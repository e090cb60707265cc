//! The other process of a test: does as its role says.

use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use paceline::{Aimd, LimitSet, LimitSetBuilder, ManualClock, Pacing, Permit, Quota, Verdict};
use paceline_shm::Options;
use paceline_testkit::process::{Role, say};
use rustix::thread::{SecureComputingMode, set_secure_computing_mode};

use crate::support::set;

/// Not a test: what the tests start as another process.
#[test]
#[ignore = "started by other tests"]
fn member() {
    let Some(Role { name, place: directory, words }) = Role::mine() else { return };
    let directory = Path::new(&directory);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (name.as_str(), &words[..]) {
        ("hold", [amount, capacity]) => hold(directory, amount.parse().unwrap(), capacity.parse().unwrap()),
        ("alone", []) => alone(directory),
        ("learn", []) => learn(directory),
        (role, words) => panic!("no role {role} {words:?}"),
    }
}

/// Acquires when told to `take`, gives back when told to `give`.
fn hold(directory: &Path, amount: u64, capacity: u64) {
    let set = set(directory, |set| set.calls(Quota::per_hour(amount).burst(amount)).concurrency(capacity));
    say("ready");
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "take" => match set.try_acquire(()) {
                Ok(permit) => {
                    held.push(permit);
                    say("taken");
                }
                Err(error) => say(error),
            },
            "wait" => {
                held.push(set.acquire_blocking(()).unwrap());
                say("taken");
            }
            "give" => {
                held.pop();
                say("given");
            }
            other => panic!("told to {other}"),
        }
    }
}

/// Takes and gives back what is free, on a thread that can ask the system for nothing but to read, to write and to end.
///
/// Such a thread is denied the processor's counter too, by which the system's clock is read without a call, so it goes by
/// another clock.
fn alone(directory: &Path) {
    let clock = ManualClock::default();
    let shm = Options::new().directory(directory).clock(clock.clone()).open("test").unwrap();
    let quota = Quota::per_second(1 << 40);
    let set = LimitSet::builder("set").calls(quota).rate("tokens", quota.burst(1 << 40)).concurrency(10);
    let set = set.clock(clock.clone()).backend(shm).build().unwrap();
    let tokens = set.key("tokens").unwrap();
    let turns = move |count| {
        for _ in 0..count {
            let permit = set.try_acquire([(tokens, 7)]).unwrap();
            permit.settle([(tokens, 5)]).unwrap();
            drop(permit);
            drop(set.acquire(()).now_or_never().expect("it is free").unwrap());
            drop(set.acquire_blocking([(tokens, 1)]).unwrap());
            clock.advance(Duration::from_micros(10));
        }
    };
    let thread = std::thread::spawn(move || {
        // Images have been written, and all memory that this takes was asked for.
        turns(2_000);
        set_secure_computing_mode(SecureComputingMode::Strict).unwrap();
        turns(5_000);
        say("nothing was asked of the system");
        // It could not even end.
        loop {
            std::hint::spin_loop();
        }
    });
    thread.join().unwrap();
}

/// Fills its half of what is allowed when told to; leaves late, and is refused.
fn learn(directory: &Path) {
    let set = set(directory, learning);
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "fill" => held.extend((0..4).map(|_| set.try_acquire(()).unwrap())),
            "lag" => {
                std::thread::sleep(Duration::from_millis(25));
                held.iter().for_each(Permit::sent);
            }
            "refuse" => held.iter().for_each(|permit| permit.report(Verdict::Overloaded)),
            other => panic!("told to {other}"),
        }
        say("done");
    }
}

/// Eight at once at first, and fifty a second that are paced.
pub(crate) fn learning(set: LimitSetBuilder) -> LimitSetBuilder {
    let quota = Quota::per_second(50).burst(50);
    let aimd = Aimd::builder().initial_concurrent(8).build().unwrap();
    set.calls(quota).pacing("calls", Pacing::new(quota).unwrap()).adaptive(aimd)
}
