//! What a store's clock does that no clock should.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paceline::LimitSet;
use paceline_testkit::redis::Server;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{options, soon};

/// What was warned of.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, what: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(what).count()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_warned_of_once_in_real_time() {
    const AHEAD: Duration = Duration::from_secs(3);
    let log = Log::default();
    // For all threads: it is the handle's that tells.
    tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).init();
    let server = Server::start();
    let shared = options(&server).connect().await.unwrap();
    let set = LimitSet::builder("behind").concurrency(1).backend(shared).build().unwrap();
    soon(set.acquire(())).await.release().await.unwrap();
    let warned = || log.count("the clock of the store was set back");
    let began = Instant::now();
    let time = server.ask(&["TIME"]);
    let (seconds, micros) = time.split_once('\n').expect("seconds and microseconds");
    let ahead = seconds.trim().parse::<u64>().unwrap() + AHEAD.as_secs();
    server.ask(&["HSET", "{paceline:behind}:head", "now", &format!("{ahead}{:0>6}", micros.trim())]);
    while began.elapsed() < AHEAD {
        soon(set.acquire(())).await.release().await.unwrap();
        assert!(warned() <= 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(warned(), 1);
}
