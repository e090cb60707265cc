//! Many processes and one quota: all of it is used, none is gone over, and each has its share.

use std::thread::sleep;
use std::time::Duration;

use paceline_testkit::service::now;

use crate::alone;
use crate::load::{Crowd, LARGE};
use crate::support::{directory, soaked, until};

const PROCESSES: u64 = 8;

/// How much of the quota they use, and how many calls each makes; nobody has seen them go over it.
fn run(seconds: u64) -> (f64, [usize; PROCESSES as usize]) {
    let directory = directory();
    let mut crowd = Crowd::start(directory.path(), LARGE, PROCESSES, 3);
    // Until each has begun, the others have more.
    until("all", || (0..PROCESSES).all(|number| crowd.calls().iter().any(|call| call.caller == number)));
    sleep(LARGE.period);
    let began = now();
    sleep(Duration::from_secs(seconds));
    let ended = now();
    crowd.kill_all();
    let calls = crowd.calls();
    LARGE.assert_within(&calls);
    let within = calls.iter().filter(|call| (began..ended).contains(&call.from));
    let mut counts = [0; PROCESSES as usize];
    within.for_each(|call| counts[call.caller as usize] += 1);
    let quota = LARGE.amount as f64 * (ended - began) as f64 / LARGE.period.as_nanos() as f64;
    (counts.iter().sum::<usize>() as f64 / quota, counts)
}

/// In a soak, whose build is optimized, they use all but three in a hundred. How much depends on the time that the machine has
/// for them, and nothing else does: an ordinary run only tells it.
#[test]
fn eight_processes_use_one_quota_alike_in_real_time() {
    let _alone = alone();
    let (part, counts) = run(soaked(4, 60));
    println!("{:.2} % of the quota: {counts:?}", 100.0 * part);
    let all: usize = counts.iter().sum();
    assert!(counts.iter().all(|count| *count * 2 * counts.len() >= all), "{counts:?}");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    assert!(part >= soaked(0, 97) as f64 / 100.0, "{:.2} % of the quota, with a load of {}", 100.0 * part, load.trim());
}
