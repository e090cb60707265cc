//! The suite that every backend passes, in one process and virtual time.

use std::sync::Arc;
use std::time::Duration;

use paceline::backend::Remote;
use paceline::{Clock, Error, LimitSet, LimitSetBuilder};
use paceline_shm::{Options, Shm};
use paceline_testkit::conformance::{self, Place};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::directory;

/// Shared memory, by the clock of the test's runtime.
struct Shared {
    shm: Shm,
    time: JoinHandle<()>,
    _directory: TempDir,
}

impl Shared {
    fn fresh() -> Self {
        let directory = directory();
        let shm = Options::new().directory(directory.path()).clock(Clock::tokio()).open("test").unwrap();
        let kept = shm.clone();
        let time = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                kept.tick();
            }
        });
        Self { shm, time, _directory: directory }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.time.abort();
    }
}

impl Place for Shared {
    fn make(&self, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        described.backend(self.shm.clone()).build()
    }

    fn other(&self, _: &LimitSet, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        self.make(described)
    }

    fn remote(&self) -> Option<Arc<dyn Remote>> {
        Some(self.shm.clone().into())
    }
}

#[tokio::test(start_paused = true)]
async fn shared_memory_conforms() {
    conformance::all(|| async { Shared::fresh() }).await;
}
