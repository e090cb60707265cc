//! Members that call a service as fast as they may, and what the service must have seen.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use paceline::{Anchor, LimitSetBuilder, Quota};
use paceline_testkit::process::Process;
use paceline_testkit::service::{self, Call, Service, now};

/// The limits of a service, and how long its calls take.
///
/// A charge is held until the answer and one period, so that no window that the service can have seen is over.
#[derive(Debug)]
pub(crate) struct Load {
    name: &'static str,
    pub(crate) amount: usize,
    pub(crate) period: Duration,
    pub(crate) at_once: usize,
    pub(crate) describe: fn(LimitSetBuilder) -> LimitSetBuilder,
    /// What a call asks for, beside one call and one place.
    pub(crate) demand: &'static [(&'static str, u64)],
    /// What it is charged in the end.
    pub(crate) actual: &'static [(&'static str, u64)],
    pub(crate) takes: fn(u64) -> Duration,
}

/// Small limits, much waiting. What was charged to a member is free a period after its death is noticed, and the service
/// may read later than that what it sent before, which is what the guard is for.
pub(crate) const SMALL: Load = Load {
    name: "small",
    amount: 60,
    period: Duration::from_millis(500),
    at_once: 3,
    describe: |set| {
        let quota = Quota::new(60, Duration::from_millis(500)).guard(Duration::from_millis(20));
        let set = set.calls(quota.anchor(Anchor::Completion).paced(6)).concurrency(3);
        set.rate("tokens", Quota::per_second(100_000).burst(1_000))
    },
    demand: &[("tokens", 12)],
    actual: &[("tokens", 5)],
    takes: |turn| Duration::from_millis(1 + turn % 4),
};

/// A thousand a second, five at once, and no guard: nobody is killed.
pub(crate) const LARGE: Load = Load {
    name: "large",
    amount: 1_000,
    period: Duration::from_secs(1),
    at_once: 5,
    describe: |set| set.calls(Quota::per_second(1_000).anchor(Anchor::Completion).paced(50)).concurrency(5),
    demand: &[],
    actual: &[],
    takes: |_| Duration::from_millis(1),
};

impl Load {
    pub(crate) fn of(name: &str) -> Self {
        [SMALL, LARGE].into_iter().find(|load| load.name == name).unwrap()
    }

    /// The service's own view: never more in any window, nor at once.
    pub(crate) fn assert_within(&self, calls: &[Call]) {
        service::assert_within(calls, self.amount, self.period, self.at_once);
    }
}

/// The service and those who call it.
pub(crate) struct Crowd {
    directory: PathBuf,
    load: Load,
    tasks: u64,
    service: Service,
    pub(crate) members: Vec<(u64, Process)>,
    started: u64,
    /// When those that were killed were last known to live.
    ended: HashMap<u64, u64>,
}

impl Crowd {
    /// So many members, each with as many tasks that call.
    pub(crate) fn start(directory: &Path, load: Load, members: u64, tasks: u64) -> Self {
        let (directory, service) = (directory.to_owned(), Service::start(&directory.join("service")));
        let (members_of, ended) = (Vec::new(), HashMap::new());
        let mut crowd = Self { directory, load, tasks, service, members: members_of, started: 0, ended };
        crowd.add(members);
        crowd
    }

    pub(crate) fn add(&mut self, members: u64) {
        for _ in 0..members {
            let words = [self.started.to_string(), self.load.name.into(), self.tasks.to_string()];
            self.members.push((self.started, Process::start(&self.directory, "work", &words)));
            self.started += 1;
        }
    }

    /// Kills those of these places, all at once.
    pub(crate) fn kill(&mut self, mut places: Vec<usize>) {
        places.sort_unstable();
        let mut killed: Vec<_> = places.into_iter().rev().map(|at| self.members.swap_remove(at)).collect();
        for (number, process) in &mut killed {
            self.ended.insert(*number, now());
            process.child.kill().unwrap();
        }
        for (_, process) in &mut killed {
            process.child.wait().unwrap();
        }
    }

    pub(crate) fn kill_all(&mut self) {
        self.kill((0..self.members.len()).collect());
    }

    /// All calls that the service saw. Those of the dead are over since they were killed.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let mut calls = self.service.calls();
        for call in &mut calls {
            let ended = self.ended.get(&call.caller).map(|ended| call.from.max(*ended));
            call.to = call.to.or(ended);
        }
        calls
    }
}

/// The longest time without a new call.
pub(crate) fn longest_gap(calls: &[Call]) -> Duration {
    calls.windows(2).map(|pair| Duration::from_nanos(pair[1].from - pair[0].from)).max().unwrap()
}
