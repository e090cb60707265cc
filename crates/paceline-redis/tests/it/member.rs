//! The other process of a test: does as its role says.

use paceline::{LimitSet, Quota};
use paceline_redis::Redis;
use paceline_testkit::process::{Role, say};

use crate::support::LEASE;

/// Not a test: what the tests start as another process.
#[test]
#[ignore = "started by other tests"]
fn member() {
    let Some(Role { name, place: url, words }) = Role::mine() else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (name.as_str(), &words[..]) {
        ("hold", [amount, capacity]) => hold(&url, amount.parse().unwrap(), capacity.parse().unwrap()),
        ("fork", []) => crate::forks::fork_one(&url),
        (role, words) => panic!("no role {role} {words:?}"),
    }
}

/// Acquires when told to `take`, gives back when told to `give`, says how many it has lost when `asked`.
fn hold(url: &str, amount: u64, capacity: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let shared = runtime.block_on(Redis::options(url).lease(LEASE).response_timeout(LEASE / 3).connect()).unwrap();
    let described = LimitSet::builder("set").calls(Quota::per_hour(amount).burst(amount)).concurrency(capacity);
    let set = described.backend(shared).build().unwrap();
    say("ready");
    let mut held = Vec::new();
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "take" => match set.acquire_blocking(()) {
                Ok(permit) => {
                    held.push(permit);
                    say("taken");
                }
                Err(error) => say(error),
            },
            "give" => {
                let permit = held.pop().unwrap();
                let released = runtime.block_on(permit.release());
                say(released.map_or_else(|error| error.to_string(), |()| "given".to_owned()));
            }
            "asked" => say(held.iter().filter(|permit| permit.is_lost()).count()),
            other => panic!("told to {other}"),
        }
    }
}
