//! Shared memory, where there is room: beside the same limits in one process, and beside a process that others ask over a Unix
//! socket.

use std::path::Path;
use std::time::{Duration, Instant};

use paceline::{Clock, LimitSet, Quota};
use tempfile::TempDir;

use crate::child::{Child, Role};
use crate::harness::{Comparison, Effort, Whose, compare, compare_turns, granted};
use crate::syscalls::counted;
use crate::table::{Bar, Row};
use crate::worker::{DONE, From};
use crate::{ours, worker};

/// So many that a new image of the state, which is made once in some hundreds, is in each turn; and few, since of two turns the
/// longer one is put aside more often on a busy machine.
const CALLS: Effort = Effort { rounds: 401, calls: 1_500 };

/// Pairs of turns of several processes.
const ROUNDS: usize = 51;
/// Permits that each process takes in a turn, so that either turn is long beside the telling.
const SHARED: u32 = 20_000;
const SERVED: u32 = 1_000;

/// Permits whose system calls are counted; of the peer, each of whose calls the tracer stops, so many.
const COUNTED: u32 = 100_000;
const COUNTED_SERVED: u32 = 2_000;
/// What a member's thread asks once a second may fall in between: whether its files are still there.
const LOOK: f64 = 5.0 / COUNTED as f64;

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![three_and_one(ours::bucket_quota(), "token buckets").bar(Bar::AtMost(10.0))];
    rows.push(three_and_one(ours::window_quota(), "sliding windows"));
    rows.push(one_bucket());
    rows.extend([1, 2, 4].map(processes));
    rows.extend(system_calls());
    rows
}

/// In memory, as the default is: a disk's file system would write it out now and then.
fn directory() -> TempDir {
    tempfile::Builder::new().prefix("paceline-bench-").tempdir_in("/dev/shm").expect("a directory in /dev/shm")
}

fn open(directory: &Path) -> paceline_shm::Shm {
    paceline_shm::Options::new().directory(directory.join("shm")).open("bench").expect("shared memory")
}

fn three_and_one(quota: Quota, name: &str) -> Row {
    let directory = directory();
    let (shared, keys) = ours::three_and_one_in(quota, open(directory.path()));
    let (local, local_keys) = ours::three_and_one(quota, Clock::tokio());
    let both = compare(CALLS, || granted(&shared.try_acquire(keys)), || granted(&local.try_acquire(local_keys)));
    beside_in_process(&format!("three {name} and one resource"), &both)
}

fn one_bucket() -> Row {
    let directory = directory();
    let shared = LimitSet::builder("bucket").calls(ours::bucket_quota()).backend(open(directory.path()));
    let shared = shared.build().expect("a valid set");
    let local = ours::one_bucket(Clock::tokio());
    let both = compare(CALLS, || granted(&shared.try_acquire(())), || granted(&local.try_acquire(())));
    beside_in_process("one token bucket", &both)
}

fn beside_in_process(what: &str, both: &Comparison) -> Row {
    Row::new(format!("shared memory: {what}"), both.ratio).peer("in-process set").note(both.times())
}

/// Throughput of so many processes at once, in turns.
fn processes(count: usize) -> Row {
    let directory = directory();
    // Made before, so that the workers meet it.
    let _made = worker::shared(directory.path());
    let _server = Child::start(Role::Server, directory.path());
    let mut workers: Vec<_> = (0..count).map(|_| Child::start(Role::Worker, directory.path())).collect();
    let mut turn = |from: From, permits: u32| {
        let start = Instant::now();
        workers.iter_mut().for_each(|worker| worker.tell(&from.order(permits)));
        workers.iter_mut().for_each(|worker| assert_eq!(worker.answer(), DONE));
        start.elapsed()
    };
    let both = compare_turns(ROUNDS, SHARED, |whose| match whose {
        Whose::Ours => turn(From::Shared, SHARED),
        Whose::Theirs => turn(From::Served, SERVED) * (SHARED / SERVED),
    });
    let all = |call: Duration| count as f64 / call.as_secs_f64();
    let note = format!("throughput; {:.0} against {:.0} permits a second", all(both.ours), all(both.theirs));
    let named = if count == 1 { "1 process".to_owned() } else { format!("{count} processes") };
    Row::new(format!("shared memory: three token buckets and one resource, {named}"), both.throughput())
        .peer("server, Unix socket")
        .note(note)
}

fn system_calls() -> Vec<Row> {
    let directory = directory();
    let _server = Child::start(Role::Server, directory.path());
    let of = |from, permits| {
        let counts = counted(directory.path(), from, permits)?;
        let all = f64::from(counts.values().sum::<u32>()) / f64::from(permits);
        let named: Vec<_> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
        Ok((all, format!("{} in {permits} permits", if named.is_empty() { "none".into() } else { named.join(", ") })))
    };
    let what = "shared memory: system calls a permit when free";
    let counted: Result<_, String> =
        of(From::Shared, COUNTED).and_then(|ours| Ok((ours, of(From::Served, COUNTED_SERVED)?)));
    match counted {
        Ok(((ours, our_calls), (theirs, their_calls))) => vec![
            Row::new(what, ours).bar(Bar::AtMost(LOOK)).note(format!("{our_calls}, by strace")),
            Row::new(what, theirs).peer("server, Unix socket").note(format!("{their_calls}, the client's alone")),
        ],
        // Not every machine lets a process be traced.
        Err(why) => {
            eprintln!("not counted: {what}: {why}");
            Vec::new()
        }
    }
}
