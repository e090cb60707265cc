//! The other processes of a test: each does as its role says.

use std::path::Path;

use paceline_testkit::process::{Role, say};
use paceline_testkit::service::Caller;

use crate::kills;
use crate::load::Load;
use crate::support::set;

/// Not a test: what the tests start as another process.
#[test]
#[ignore = "started by other tests"]
fn member() {
    let Some(Role { name, place: directory, words }) = Role::mine() else { return };
    let directory = Path::new(&directory);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (name.as_str(), &words[..]) {
        ("work", [number, load, tasks]) => {
            work(directory, number.parse().unwrap(), load, tasks.parse().unwrap());
        }
        ("hammer", []) => hammer(directory),
        (role, words) => panic!("no role {role} {words:?}"),
    }
}

/// Calls the service as fast as it may, in some tasks, until its input ends or it is killed.
fn work(directory: &Path, number: u64, load: &str, tasks: u64) {
    ends_with_its_input();
    let load = Load::of(load);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let callers: Vec<_> =
            (0..tasks).map(|_| Caller::connect(&directory.join("service"), number).unwrap()).collect();
        let set = set(directory, load.describe);
        let work = async |(task, mut caller): (u64, Caller)| {
            for round in 0_u64.. {
                let permit = set.acquire(load.demand).await.unwrap();
                caller.call((load.takes)(round + task)).await.unwrap();
                if !load.actual.is_empty() {
                    permit.settle(load.actual).unwrap();
                }
                drop(permit);
            }
        };
        futures_util::future::join_all((0..).zip(callers).map(work)).await;
    });
}

fn ends_with_its_input() {
    std::thread::spawn(|| {
        std::io::stdin().lines().for_each(drop);
        std::process::exit(0);
    });
}

/// Takes and gives back without a pause.
fn hammer(directory: &Path) {
    let set = set(directory, kills::described_freely);
    ends_with_its_input();
    say("ready");
    loop {
        drop(set.try_acquire(()).unwrap());
    }
}
