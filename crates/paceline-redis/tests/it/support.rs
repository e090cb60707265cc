//! Stores and sets for tests.

use std::sync::Arc;

use paceline_redis::{Options, Redis};
use paceline_testkit::redis::Server;

/// A store that one test has to itself, and how to get to it.
pub(crate) struct Store {
    pub(crate) server: Arc<Server>,
}

impl Store {
    pub(crate) fn start() -> Self {
        Self { server: Arc::new(Server::start()) }
    }

    pub(crate) fn options(&self) -> Options {
        Redis::options(&self.server.url())
    }

    pub(crate) async fn connect(&self) -> Redis {
        self.options().connect().await.unwrap()
    }
}
