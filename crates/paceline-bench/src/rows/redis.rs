//! One rate over a Redis of this machine, one permit at a time and many at once, beside the script that is run for that today.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use paceline_testkit::redis::Server;
use tokio::runtime::{Builder, Runtime};

use crate::harness::median;
use crate::peers::gcra::Gcra;
use crate::table::Row;

const PEER: &str = "GCRA script";
const ROUNDS: usize = 51;

/// How a turn goes: so many tasks, each of which takes so many permits one after another.
#[derive(Clone, Copy)]
struct Load {
    tasks: u32,
    permits: u32,
}

const ONE: Load = Load { tasks: 1, permits: 250 };
const MANY: Load = Load { tasks: 64, permits: 50 };

impl Load {
    fn all(self) -> u32 {
        self.tasks * self.permits
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let server = Server::start();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let gcra = runtime.block_on(Gcra::connect(&server.url()));
    let mut rows = Vec::new();
    for (load, name) in [(ONE, "one at a time"), (MANY, "64 at once")] {
        let before = round_trips(&server);
        let turns: Vec<_> = (0..ROUNDS).map(|_| turn(&runtime, &gcra, load).as_secs_f64()).collect();
        let trips = (round_trips(&server) - before) as f64 / f64::from(load.all() * ROUNDS as u32);
        rows.push(
            Row::new(format!("Redis: permits a second, {name}"), f64::from(load.all()) / median(turns)).peer(PEER),
        );
        rows.push(Row::new(format!("Redis: round trips a permit, {name}"), trips).peer(PEER));
    }
    rows
}

fn turn(runtime: &Runtime, gcra: &Gcra, load: Load) -> Duration {
    let start = Instant::now();
    let task = |mut gcra: Gcra| async move {
        for _ in 0..load.permits {
            gcra.take().await;
        }
    };
    runtime.block_on(join_all((0..load.tasks).map(|_| task(gcra.clone()))));
    start.elapsed()
}

/// Scripts that clients have run: each is a request and its answer.
fn round_trips(server: &Server) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]);
    let calls = |line: &str| line.split_once(":calls=")?.1.split(',').next()?.parse::<u64>().ok();
    stats.lines().filter(|line| line.starts_with("cmdstat_eval")).filter_map(calls).sum()
}
