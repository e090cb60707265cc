//! Stores and sets for tests.

use std::time::{Duration, Instant};

use paceline::{LimitSet, LimitSetBuilder};
use paceline_redis::{Options, Redis};
use paceline_testkit::redis::Server;

/// The shortest lease there is.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

pub(crate) fn options(server: &Server) -> Options {
    Redis::options(&server.url()).lease(LEASE).response_timeout(Duration::from_millis(300))
}

/// A set of a connection and a membership of its own.
pub(crate) async fn set(server: &Server, describe: impl FnOnce(LimitSetBuilder) -> LimitSetBuilder) -> LimitSet {
    let shared = options(server).connect().await.unwrap();
    describe(LimitSet::builder("set")).backend(shared).build().unwrap()
}

/// Waits for what others do, for ten seconds at most.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A permit that has to come soon.
pub(crate) async fn soon<T, E: std::fmt::Debug>(wait: impl Future<Output = Result<T, E>>) -> T {
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it comes within 10 s").unwrap()
}
