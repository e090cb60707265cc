//! Many processes and one quota: all of it is used, none is gone over, and each has its share.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use paceline::{Anchor, LimitSetBuilder, Quota};
use paceline_testkit::namespace::Namespace;
use paceline_testkit::process::Process;
use paceline_testkit::redis::Server;
use paceline_testkit::service::{Service, assert_within, now};

const PROCESSES: usize = 8;
const TASKS: usize = 3;
const AMOUNT: usize = 1_000;
const AT_ONCE: usize = 5;
const PERIOD: Duration = Duration::from_secs(1);
/// How long the service takes for a call.
pub(crate) const TAKES: Duration = Duration::from_millis(1);

/// Held until the answer and one period, so that no window that the service can have seen is over, and no guard.
pub(crate) fn described(set: LimitSetBuilder) -> LimitSetBuilder {
    let quota = Quota::new(AMOUNT as u64, PERIOD).anchor(Anchor::Completion).paced(50);
    set.calls(quota).concurrency(AT_ONCE as u64)
}

/// A process's way to start, and where it finds the store.
type Place = (Box<dyn Fn(PathBuf) -> Command>, String);

/// How much of the quota they use, and how many calls each makes; nobody has seen them go over it.
fn run(places: &[Place], seconds: u64) -> (f64, Vec<usize>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("service");
    let service = Service::start(&path);
    // A set of their own: those of the last run may still be taken for alive.
    let set = format!("fleet-{}", now());
    let words = |number: usize| [number.to_string(), TASKS.to_string(), path.display().to_string(), set.clone()];
    let start = |number: usize| {
        let (command, url) = &places[number % places.len()];
        Process::start_by(command(std::env::current_exe().unwrap()), url, "work", &words(number))
    };
    let processes: Vec<_> = (0..PROCESSES).map(start).collect();
    // Until each has begun, the others have more.
    let started = Instant::now();
    while !(0..PROCESSES as u64).all(|number| service.calls().iter().any(|call| call.caller == number)) {
        assert!(started.elapsed() < Duration::from_secs(20), "not all have begun");
        sleep(Duration::from_millis(10));
    }
    sleep(PERIOD);
    let began = now();
    sleep(Duration::from_secs(seconds));
    let ended = now();
    drop(processes);
    let calls = service.calls();
    assert_within(&calls, AMOUNT, PERIOD, AT_ONCE);
    let took: Vec<u64> = calls.iter().filter_map(|call| Some(call.to? - call.from)).collect();
    println!("a call takes {} us", took.iter().sum::<u64>() / 1_000 / took.len() as u64);
    let mut counts = vec![0; PROCESSES];
    let within = calls.iter().filter(|call| (began..ended).contains(&call.from));
    within.for_each(|call| counts[call.caller as usize] += 1);
    let quota = AMOUNT as f64 * (ended - began) as f64 / PERIOD.as_nanos() as f64;
    (counts.iter().sum::<usize>() as f64 / quota, counts)
}

/// In a soak, whose build is optimized, they use all but three in a hundred. How much depends on the time that the machine has
/// for them, and nothing else does: an ordinary run only tells it.
fn assert_used_alike(places: &[Place]) {
    let soak = std::env::var("PACELINE_SOAK").is_ok_and(|value| value != "0");
    let (seconds, least) = if soak { (60, 0.97) } else { (4, 0.0) };
    let (part, counts) = run(places, seconds);
    println!("{:.2} % of the quota: {counts:?}", 100.0 * part);
    let all: usize = counts.iter().sum();
    assert!(counts.iter().all(|count| *count * 2 * counts.len() >= all), "{counts:?}");
    assert!(part >= least, "{:.2} % of the quota", 100.0 * part);
}

/// One after the other, so that neither takes the machine from the other.
#[test]
fn eight_processes_use_one_quota_alike_in_real_time() {
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let server = Server::options().bind(everywhere).start();
    let here: Place = (Box::new(Command::new), server.url_at((Ipv4Addr::LOCALHOST, server.port()).into()));
    assert_used_alike(&[here]);
    drop(server);

    let (one, other) = match Namespace::new().and_then(|one| Ok((one, Namespace::new()?))) {
        Ok(both) => both,
        Err(error) => return println!("not from two networks: {error}"),
    };
    let server = Server::options().bind(everywhere).start();
    let place = |namespace: Namespace| -> Place {
        let url = server.url_at((namespace.host(), server.port()).into());
        (Box::new(move |program| namespace.command(program)), url)
    };
    assert_used_alike(&[place(one), place(other)]);
}
