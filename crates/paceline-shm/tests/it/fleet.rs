//! Many processes and one quota: all of it is used, none is gone over, and each has its share.

use std::thread::sleep;
use std::time::Duration;

use crate::load::{Crowd, LARGE};
use crate::service::now;
use crate::support::{directory, soaked, until};

#[test]
fn eight_processes_use_one_quota_alike_in_real_time() {
    const PROCESSES: u64 = 8;
    let seconds = soaked(4, 30);
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
    let mut counts = [0_usize; PROCESSES as usize];
    within.for_each(|call| counts[call.caller as usize] += 1);
    let all: usize = counts.iter().sum();
    let quota = LARGE.amount as f64 * (ended - began) as f64 / LARGE.period.as_nanos() as f64;
    println!("{:.2} % of the quota: {counts:?}", 100.0 * all as f64 / quota);
    assert!(all as f64 >= 0.97 * quota, "{all} of {quota}");
    assert!(counts.iter().all(|count| *count * 2 * counts.len() >= all), "{counts:?}");
}
