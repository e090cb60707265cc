//! The other processes of a test.

use std::path::Path;

use paceline::LimitSet;
use paceline_redis::Redis;
use paceline_testkit::process::Role;
use paceline_testkit::service::Caller;

use crate::fleet;

/// Not a test: what the tests start as another process.
#[test]
#[ignore = "started by other tests"]
fn member() {
    let Some(Role { name, place: url, words }) = Role::mine() else { return };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (name.as_str(), &words[..]) {
        ("work", [number, tasks, service, set]) => {
            work(&url, number.parse().unwrap(), tasks.parse().unwrap(), Path::new(service), set);
        }
        (role, words) => panic!("no role {role} {words:?}"),
    }
}

/// Calls the service as fast as it may, in some tasks, until its input ends or it is killed.
fn work(url: &str, number: u64, tasks: u64, service: &Path, set: &str) {
    std::thread::spawn(|| {
        std::io::stdin().lines().for_each(drop);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let callers: Vec<_> = (0..tasks).map(|_| Caller::connect(service, number).unwrap()).collect();
        let shared = Redis::options(url).connect().await.unwrap();
        let set = fleet::described(LimitSet::builder(set)).backend(shared).build().unwrap();
        let work = async |mut caller: Caller| {
            loop {
                let permit = set.acquire(()).await.unwrap();
                caller.call(fleet::TAKES).await.unwrap();
                drop(permit);
            }
        };
        futures_util::future::join_all(callers.into_iter().map(work)).await;
    });
}
