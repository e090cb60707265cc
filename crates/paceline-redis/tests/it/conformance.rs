//! The suite that every backend passes, in real time. Others have a connection and a membership of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use paceline::backend::Remote;
use paceline::{Error, LimitSet, LimitSetBuilder};
use paceline_redis::{Options, Redis};
use paceline_testkit::conformance::{self, Place};

use paceline_testkit::redis::Server;

/// A part of the store that nobody has used.
pub(crate) struct Fresh {
    first: Redis,
    other: Redis,
}

impl Fresh {
    pub(crate) async fn new(options: Options) -> Self {
        let options = options.prefetch(1);
        let first = options.clone().connect().await.unwrap();
        Self { first, other: options.connect().await.unwrap() }
    }
}

impl Place for Fresh {
    fn make(&self, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        described.backend(self.first.clone()).build()
    }

    fn other(&self, _: &LimitSet, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        described.backend(self.other.clone()).build()
    }

    fn remote(&self) -> Option<Arc<dyn Remote>> {
        Some(self.first.clone().into())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn lateness(&self) -> Duration {
        Duration::from_millis(100)
    }
}

#[tokio::test]
async fn redis_conforms_in_real_time() {
    let server = Server::start();
    let places = AtomicUsize::new(0);
    let fresh = || async {
        let number = places.fetch_add(1, Ordering::Relaxed);
        Fresh::new(Redis::options(&server.url()).prefix(format!("place-{number}"))).await
    };
    conformance::all(fresh).await;
}
