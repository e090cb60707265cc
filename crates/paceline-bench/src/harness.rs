//! Two things timed in turns.
//!
//! Criterion measures one thing for seconds, then the other; on a machine that others use, the second meets another
//! machine. Here both take a turn of about a millisecond, in alternating order, a few hundred times. Each pair of turns
//! gives one ratio, and the median of those is the figure: a turn that was disturbed spoils one pair of many.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

/// How long a figure is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Pairs of turns.
    pub(crate) rounds: usize,
    /// Calls a turn.
    pub(crate) calls: u32,
}

/// A call of some tens of nanoseconds.
pub(crate) const CALLS: Effort = Effort { rounds: 401, calls: 20_000 };

/// The same from two threads, where a turn must be long enough for both to be in it.
pub(crate) const CONTENDED: Effort = Effort { rounds: 101, calls: 40_000 };

/// What came of it.
pub(crate) struct Comparison {
    /// Ours in terms of the peer's time, the median of the pairs.
    pub(crate) ratio: f64,
    /// The median time of a call of ours.
    pub(crate) ours: Duration,
    /// The median time of a call of the peer's.
    pub(crate) theirs: Duration,
}

/// Compares two calls on this thread.
pub(crate) fn compare(effort: Effort, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> Comparison {
    let timed = |call: &mut dyn FnMut()| {
        let start = Instant::now();
        call();
        start.elapsed()
    };
    let mut ours = || (0..effort.calls).for_each(|_| ours());
    let mut theirs = || (0..effort.calls).for_each(|_| theirs());
    compare_turns(effort.rounds, effort.calls, |whose| match whose {
        Whose::Ours => timed(&mut ours),
        Whose::Theirs => timed(&mut theirs),
    })
}

/// Who has a turn.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    Ours,
    Theirs,
}

/// Compares turns, of so many calls each, whose time `turn` tells.
pub(crate) fn compare_turns(rounds: usize, calls: u32, mut turn: impl FnMut(Whose) -> Duration) -> Comparison {
    turn(Whose::Ours);
    turn(Whose::Theirs);
    let pairs = (0..rounds).map(|round| {
        if round % 2 == 0 {
            let first = turn(Whose::Ours);
            (first, turn(Whose::Theirs))
        } else {
            let first = turn(Whose::Theirs);
            (turn(Whose::Ours), first)
        }
    });
    Comparison::of(pairs.collect(), calls)
}

/// Compares two calls that two threads make at once. The time is until both threads have made theirs.
pub(crate) fn contend(effort: Effort, ours: impl Fn() + Sync, theirs: impl Fn() + Sync) -> Comparison {
    let barrier = Barrier::new(2);
    let turn = |mine: bool| {
        barrier.wait();
        let start = Instant::now();
        for _ in 0..effort.calls {
            if mine { ours() } else { theirs() }
        }
        barrier.wait();
        start.elapsed()
    };
    let rounds = || {
        let round = |round: usize| {
            let first = turn(round % 2 == 0);
            let second = turn(round % 2 == 1);
            if round % 2 == 0 { (first, second) } else { (second, first) }
        };
        (0..effort.rounds).map(round).collect::<Vec<_>>()
    };
    let pairs = thread::scope(|scope| {
        scope.spawn(rounds);
        rounds()
    });
    Comparison::of(pairs, effort.calls)
}

impl Comparison {
    fn of(pairs: Vec<(Duration, Duration)>, calls: u32) -> Self {
        let ratio = median(pairs.iter().map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64()).collect());
        let each = |times: Vec<f64>| Duration::from_secs_f64(median(times) / f64::from(calls));
        let ours = each(pairs.iter().map(|(ours, _)| ours.as_secs_f64()).collect());
        let theirs = each(pairs.iter().map(|(_, theirs)| theirs.as_secs_f64()).collect());
        Self { ratio, ours, theirs }
    }

    /// How much the peer does in the time in which we do one: the ratio of throughputs, turned to "more is better".
    pub(crate) fn throughput(&self) -> f64 {
        1.0 / self.ratio
    }

    /// The times, for the table's notes.
    pub(crate) fn times(&self) -> String {
        format!("{} against {} ns", self.ours.as_nanos(), self.theirs.as_nanos())
    }
}

/// Ends a call that has to succeed. Looks at the outcome where it lies: moving it about would be measured too.
#[inline]
pub(crate) fn granted<T, E>(outcome: &Result<T, E>) {
    assert!(black_box(outcome).is_ok(), "there is room");
}

/// The middle one; the upper of two.
///
/// # Panics
///
/// Where there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
