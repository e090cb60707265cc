//! Processes that die after each single write: others find the state before the operation or the one after it.

use std::path::{Path, PathBuf};

use paceline_core::{Anchor, Grant, Priority, Quota};
use paceline_replica::{Asked, Key, Member, Patience};
use tempfile::TempDir;

use super::*;

/// Somebody who has the file open.
struct Somebody {
    journal: Journal,
    seen: Option<Box<Seen>>,
    scratch: Vec<u64>,
}

impl Somebody {
    fn with(journal: Journal) -> Self {
        Self { journal, seen: None, scratch: Vec::new() }
    }

    fn open(path: &Path) -> Self {
        Self::with(Journal::open(path, Era::now().unwrap(), 0).unwrap())
    }

    fn does(&mut self, nanos: u64, op: &Op) -> Effect {
        self.catch_up();
        let seen = self.seen.as_mut().unwrap();
        self.journal.make_room(seen, &mut self.scratch).unwrap();
        let effect = self.journal.execute(seen, Time::from_nanos(nanos), op, &mut self.scratch);
        self.sees();
        effect
    }

    fn catch_up(&mut self) {
        self.seen = Some(self.journal.catch_up(self.seen.take(), &mut self.scratch).unwrap());
    }

    /// The state, as words.
    fn sees(&mut self) -> Vec<u64> {
        self.catch_up();
        let mut words = Vec::new();
        let seen = self.seen.as_mut().unwrap();
        seen.replica.decided().clear();
        seen.replica.write(&mut words);
        words
    }
}

fn member(seat: u32) -> Member {
    Member::of(1 << 16 | (seat + 1)).unwrap()
}

fn make(directory: &TempDir) -> (PathBuf, Somebody) {
    let limits: [(Arc<str>, _); 3] = [
        ("calls".into(), LimitSpec::Rate(Quota::per_second(50).anchor(Anchor::Completion))),
        ("tokens".into(), LimitSpec::Rate(Quota::per_second(1_000).burst(100))),
        ("concurrency".into(), LimitSpec::Resource(3)),
    ];
    let first = Replica::of(&limits, Time::ZERO).unwrap();
    let path = directory.path().join("set");
    let journal = Journal::open_or_make(&path, Era::now().unwrap(), 0, &limits, 16, &first).unwrap();
    (path, Somebody::with(journal))
}

fn ask(number: u64, patience: Patience) -> Op {
    let key = Key { member: member(number as u32 % 2), permit: number.into() };
    let demand = [(0, 1), (1, 5), (2, 1)].into_iter().collect();
    Op::Ask(Asked { key, demand, priority: Priority::Normal, waited: std::time::Duration::ZERO, patience })
}

/// Has one process die after each number of writes in `op`, at `nanos`; another then finds one of two states and goes on.
fn dies_anywhere_in(path: &Path, nanos: u64, op: &Op) -> u64 {
    let copy = |name: &str| {
        let copy = path.with_extension(name);
        std::fs::copy(path, &copy).unwrap();
        copy
    };
    let before = Somebody::open(path).sees();
    let mut whole = Somebody::open(&copy("whole"));
    whole.journal.budget.set(u64::MAX / 2);
    whole.does(nanos, op);
    let writes = u64::MAX / 2 - whole.journal.budget.left();
    let after = whole.sees();
    for budget in 0..=writes {
        let copy = copy("died");
        let mut dying = Somebody::open(&copy);
        dying.journal.budget.set(budget);
        dying.catch_up();
        let seen = dying.seen.as_mut().unwrap();
        dying.journal.make_room(seen, &mut dying.scratch).unwrap();
        let _ = dying.journal.execute(seen, Time::from_nanos(nanos), op, &mut dying.scratch);
        let mut other = Somebody::open(&copy);
        let found = other.sees();
        assert!(found == before || found == after, "{op:?} was left half done by death after {budget} of {writes}");
        assert_eq!(found == after, budget == writes || before == after);
        other.does(nanos + 1, &Op::Resume);
        assert_eq!(other.sees(), Somebody::open(&copy).sees());
    }
    writes
}

#[test]
fn every_operation_is_done_or_not_wherever_its_process_dies() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut somebody) = make(&directory);
    let mut granted: Vec<Grant> = Vec::new();
    for number in 0..6 {
        let op = ask(number, Patience::Endless);
        dies_anywhere_in(&path, number, &op);
        if let Effect::Granted(grant) = somebody.does(number, &op) {
            granted.push(grant);
        }
    }
    assert_eq!(granted.len(), 3, "three of the six wait");
    let part = granted[0].charged.clone();
    let settled = [(1, 2)].into_iter().collect();
    let ops = [
        Op::Settle(member(0), granted[0].clone(), settled),
        Op::Cancel(4),
        Op::Release(member(1), granted[1].clone()),
        Op::Pump,
        Op::Claim(vec![3]),
        Op::Undo(member(0), Grant { at: granted[2].at, charged: part }),
        Op::Capacity(2, 7),
        Op::Quota(1, Quota::per_second(9)),
        Op::Pause(std::time::Duration::from_secs(1)),
        Op::Resume,
        Op::Clear(member(0)),
        Op::Clear(member(1)),
        Op::Reset,
        Op::Close,
    ];
    for (number, op) in ops.iter().enumerate() {
        let nanos = 10 + number as u64;
        dies_anywhere_in(&path, nanos, op);
        somebody.does(nanos, op);
    }
}

#[test]
fn a_new_image_counts_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let (path, mut somebody) = make(&directory);
    for number in 0..5 {
        somebody.does(number, &ask(number, Patience::Endless));
    }
    let mut nanos = 5;
    let (first, _) = somebody.journal.current();
    loop {
        let record = dies_if_last(&path, &somebody, nanos);
        somebody.does(nanos, &Op::Pump);
        nanos += 1;
        if somebody.journal.current().0 != first {
            assert!(record.is_some_and(|writes| writes > 50), "the image was written with it");
            break;
        }
    }
    // And on, until the ring has been overwritten: one who slept through it takes the image.
    let mut asleep = Somebody::open(&path);
    asleep.sees();
    for _ in 0..20_000 {
        somebody.does(nanos, &Op::Pump);
        nanos += 1;
    }
    assert_eq!(asleep.sees(), somebody.sees());
}

/// The deaths in the operation that makes a new image; others are passed by.
fn dies_if_last(path: &Path, somebody: &Somebody, nanos: u64) -> Option<u64> {
    let (_, covered) = somebody.journal.current();
    let full = (somebody.journal.tail() - covered) as usize >= RING / 2;
    full.then(|| dies_anywhere_in(path, nanos, &Op::Pump))
}
