//! One rate over a Redis of this machine, by one task and by many at once, beside the script that is run for that today.
//!
//! Each permit waited for, without prefetch and with, and by one task tried for. All of it in one process, so that what differs is what
//! is asked of the store; a permit comes back before its task takes another, which the script has no need for.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use paceline::LimitSet;
use paceline_testkit::redis::Server;
use tokio::runtime::{Builder, Runtime};

use crate::harness::{Whose, compare_turns};
use crate::ours::bucket_quota;
use crate::peers::gcra::Gcra;
use crate::table::{Bar, Row};

const PEER: &str = "GCRA script";
const ROUNDS: usize = 51;
/// Permits that are held in advance.
const AHEAD: usize = 200;

/// How a turn goes: so many tasks, each of which takes so many permits one after another.
#[derive(Clone, Copy)]
struct Load {
    tasks: u32,
    permits: u32,
}

impl Load {
    fn all(self) -> u32 {
        self.tasks * self.permits
    }
}

/// Of ours, and of the peer's.
const ONE: (Load, Load) = (Load { tasks: 1, permits: 250 }, Load { tasks: 1, permits: 250 });
const MANY: (Load, Load) = (Load { tasks: 64, permits: 10 }, Load { tasks: 64, permits: 10 });
/// Turns that are long beside the first fetch.
const ONE_AHEAD: (Load, Load) = (Load { tasks: 1, permits: 5_000 }, Load { tasks: 1, permits: 250 });
const MANY_AHEAD: (Load, Load) = (Load { tasks: 64, permits: 200 }, Load { tasks: 64, permits: 10 });

pub(crate) fn rows() -> Vec<Row> {
    let server = Server::start();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bench = Bench { gcra: runtime.block_on(Gcra::connect(&server.url())), server, runtime };
    let (waiting, ahead) = (bench.set("waiting", 0), bench.set("ahead", AHEAD));
    let mut rows = Vec::from(bench.rows("one at a time", ONE, || wait(&waiting)));
    rows.extend(bench.rows("64 at once", MANY, || wait(&waiting)));
    let prefetched = [
        bench.rows("one at a time, prefetched", ONE_AHEAD, || wait(&ahead)),
        bench.rows("64 at once, prefetched", MANY_AHEAD, || wait(&ahead)),
        bench.rows("one tried at a time, prefetched", ONE_AHEAD, || take(&ahead)),
    ];
    for [throughput, trips, theirs] in prefetched {
        rows.extend([throughput, trips.bar(Bar::AtMost(0.1)), theirs]);
    }
    rows
}

async fn wait(set: &LimitSet) {
    drop(set.acquire(()).await.expect("a permit"));
}

/// Takes what is there, and looks again a little later.
async fn take(set: &LimitSet) {
    while set.try_acquire(()).is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

struct Bench {
    server: Server,
    runtime: Runtime,
    gcra: Gcra,
}

impl Bench {
    fn set(&self, name: &str, prefetch: usize) -> LimitSet {
        let redis = paceline_redis::Redis::options(&self.server.url()).prefetch(prefetch).connect();
        let redis = self.runtime.block_on(redis).expect("the server answers");
        LimitSet::builder(name).calls(bucket_quota()).backend(redis).build().expect("a valid set")
    }

    fn rows<F: Future<Output = ()>>(
        &self,
        name: &str,
        (our_load, load): (Load, Load),
        take: impl Fn() -> F,
    ) -> [Row; 3] {
        let (mut our_trips, mut trips) = (0, 0);
        // In the time that the same number of permits would take.
        let scale = our_load.all() / load.all();
        let both = compare_turns(ROUNDS, our_load.all(), |whose| {
            // The other's last permits are on their way back.
            std::thread::sleep(Duration::from_millis(5));
            let before = self.round_trips();
            match whose {
                Whose::Ours => {
                    let took = self.turn(our_load, &take);
                    our_trips += self.round_trips() - before;
                    took
                }
                Whose::Theirs => {
                    let took = self.turn(load, || async { self.gcra.clone().take().await }) * scale;
                    trips += self.round_trips() - before;
                    took
                }
            }
        });
        // compare_turns warms up with a turn of each.
        let each = |trips: u64, load: Load| trips as f64 / (f64::from(load.all()) * (ROUNDS + 1) as f64);
        let rate = |call: Duration| 1.0 / call.as_secs_f64();
        let note = format!("throughput; {:.0} against {:.0} permits a second", rate(both.ours), rate(both.theirs));
        let trips_row = format!("Redis: round trips a permit, {name}");
        [
            Row::new(format!("Redis: one token bucket, {name}"), both.throughput()).peer(PEER).note(note),
            Row::new(trips_row.clone(), each(our_trips, our_load)),
            Row::new(trips_row, each(trips, load)).peer(PEER),
        ]
    }

    fn turn<F: Future<Output = ()>>(&self, load: Load, take: impl Fn() -> F) -> Duration {
        let start = Instant::now();
        let task = || async {
            for _ in 0..load.permits {
                take().await;
            }
        };
        self.runtime.block_on(join_all((0..load.tasks).map(|_| task())));
        start.elapsed()
    }

    /// Scripts that clients have run: each is a request and its answer.
    fn round_trips(&self) -> u64 {
        let stats = self.server.ask(&["INFO", "commandstats"]);
        let calls = |line: &str| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok();
        stats.lines().filter(|line| line.starts_with("cmdstat_eval")).filter_map(calls).sum()
    }
}
