//! The other process of a test: does as its role says.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline::Quota;

use crate::kills;
use crate::support::set;

/// Not a test: what the tests start as another process.
#[test]
#[ignore = "started by other tests"]
fn member() {
    let Ok(role) = std::env::var("MEMBER_ROLE") else { return };
    let directory = PathBuf::from(std::env::var_os("MEMBER_DIRECTORY").unwrap());
    let words = std::env::var("MEMBER_WORDS").unwrap();
    let words: Vec<&str> = words.split_whitespace().collect();
    match (role.as_str(), &words[..]) {
        ("hold", [amount, capacity]) => hold(&directory, amount.parse().unwrap(), capacity.parse().unwrap()),
        ("work", [number, tasks]) => work(&directory, number, tasks.parse().unwrap()),
        ("hammer", []) => hammer(&directory),
        (role, words) => panic!("no role {role} {words:?}"),
    }
}

fn say(what: impl std::fmt::Display) {
    println!("\nmember: {what}");
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

/// Acquires and gives back as fast as it may, in some tasks, until its input ends or it is killed. Writes down from when to
/// when it held what.
fn work(directory: &Path, number: &str, tasks: u64) {
    let set = set(directory, kills::described);
    std::thread::spawn(|| {
        std::io::stdin().lines().for_each(drop);
        std::process::exit(0);
    });
    let log = directory.join(format!("log-{number}"));
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let work = async |task: u64| {
        for round in 0_u64.. {
            let permit = set.acquire([("tokens", 10 + task)]).await.unwrap();
            writeln!(&log, "from {task} {} .", kills::now()).unwrap();
            tokio::time::sleep(Duration::from_millis(1 + (round + task) % 4)).await;
            permit.settle([("tokens", 5)]).unwrap();
            writeln!(&log, "to {task} {} .", kills::now()).unwrap();
            drop(permit);
        }
    };
    let all = (0..tasks).map(work);
    runtime.block_on(futures_util::future::join_all(all));
}

/// Takes and gives back without a pause.
fn hammer(directory: &Path) {
    let set = set(directory, kills::described_freely);
    std::thread::spawn(|| {
        std::io::stdin().lines().for_each(drop);
        std::process::exit(0);
    });
    say("ready");
    loop {
        drop(set.try_acquire(()).unwrap());
    }
}
