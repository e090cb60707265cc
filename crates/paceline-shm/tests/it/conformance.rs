//! The suite that every backend passes, in one process and virtual time. Others are other members.

use std::sync::{Arc, Mutex};
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
    first: Shm,
    time: Mutex<Vec<JoinHandle<()>>>,
    directory: TempDir,
}

impl Shared {
    fn fresh() -> Self {
        let directory = directory();
        let (first, time) = member(&directory);
        Self { first, time: Mutex::new(vec![time]), directory }
    }
}

/// A member, and who keeps its time.
fn member(directory: &TempDir) -> (Shm, JoinHandle<()>) {
    let shm = Options::new().directory(directory.path()).clock(Clock::tokio()).open("test").unwrap();
    let kept = shm.clone();
    let time = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            kept.tick();
        }
    });
    (shm, time)
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.time.lock().unwrap().iter().for_each(JoinHandle::abort);
    }
}

impl Place for Shared {
    fn make(&self, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        described.backend(self.first.clone()).build()
    }

    fn other(&self, _: &LimitSet, described: LimitSetBuilder) -> Result<LimitSet, Error> {
        let (other, time) = member(&self.directory);
        self.time.lock().unwrap().push(time);
        described.backend(other).build()
    }

    fn remote(&self) -> Option<Arc<dyn Remote>> {
        Some(self.first.clone().into())
    }
}

#[tokio::test(start_paused = true)]
async fn shared_memory_conforms() {
    conformance::all(|| async { Shared::fresh() }).await;
}
