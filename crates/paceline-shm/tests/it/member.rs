//! The other process of a test: does as its role says.

use std::path::{Path, PathBuf};

use paceline::Quota;

use crate::support::{say, set};

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
