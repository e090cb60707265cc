//! Children of a process that is connected.

use fork::Fork;
use paceline::{LimitSet, Permit};
use paceline_redis::Redis;
use paceline_testkit::process::{Process, say};
use paceline_testkit::redis::Server;

use crate::support::LEASE;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn connected(url: &str) -> Redis {
    runtime().block_on(Redis::options(url).lease(LEASE).connect()).unwrap()
}

fn set(shared: &Redis) -> LimitSet {
    LimitSet::builder("set").concurrency(2).backend(shared.clone()).build().unwrap()
}

/// The role of a process that forks.
pub(crate) fn fork_one(url: &str) {
    let shared = connected(url);
    let set_here = set(&shared);
    let held = set_here.acquire_blocking(()).unwrap();
    match fork::fork().unwrap() {
        Fork::Child => {
            child(&shared, &set_here, held);
            // It is the child of one that may open again.
            let shared = connected(url);
            let own = set(&shared);
            let active = own.acquire_blocking(()).map(|_permit| own.snapshot().active);
            say(format!("of its own {active:?}"));
            runtime().block_on(shared.flush()).unwrap();
            std::process::exit(0);
        }
        Fork::Parent(child) => {
            fork::waitpid(child).unwrap();
            say(held.is_lost());
            runtime().block_on(held.release()).unwrap();
            say(set_here.snapshot().active);
        }
    }
}

fn child(shared: &Redis, set: &LimitSet, held: Permit<'_>) {
    let runtime = runtime();
    let mut errors = vec![
        set.acquire_blocking(()).map(drop).unwrap_err().to_string(),
        set.try_acquire(()).map(drop).unwrap_err().to_string(),
        set.try_snapshot().map(drop).unwrap_err().to_string(),
        set.resume().unwrap_err().to_string(),
        runtime.block_on(shared.sets()).unwrap_err().to_string(),
        runtime.block_on(shared.remove("set")).unwrap_err().to_string(),
        runtime.block_on(shared.flush()).unwrap_err().to_string(),
        LimitSet::builder("other").concurrency(2).backend(shared.clone()).build().map(drop).unwrap_err().to_string(),
    ];
    assert!(held.is_lost());
    errors.push(runtime.block_on(held.release()).unwrap_err().to_string());
    errors.retain(|error| !error.contains("forked from the one that connected"));
    say(format!("otherwise {errors:?}"));
}

#[test]
fn a_child_is_told_to_connect_again_and_disturbs_nobody_in_real_time() {
    let server = Server::start();
    let mut process = Process::start(server.url(), "fork", &[]);
    assert_eq!(process.says(), "otherwise []");
    assert_eq!(process.says(), "of its own Ok(2)");
    assert_eq!(process.says(), "false");
    assert_eq!(process.says(), "0");
}
