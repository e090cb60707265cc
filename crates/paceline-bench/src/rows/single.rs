//! One limit that has room: the cost of a yes.

use paceline::{Clock, LimitSet};

use crate::harness::{CALLS, compare, granted};
use crate::table::{Bar, Row};
use crate::{ours, peers};

pub(crate) fn rows() -> Vec<Row> {
    let (governor, system_governor) = (peers::governor(), peers::system_governor());
    let (ratelimit, leaky) = (peers::ratelimit(), peers::leaky_bucket());
    let (quanta, system) = (ours::one_bucket(Clock::quanta()), ours::one_bucket(Clock::tokio()));
    vec![
        beside(
            "try_acquire",
            &system,
            "governor check",
            || granted(&system_governor.check()),
            "both the system's clock",
        )
        .bar(Bar::AtMost(1.5))
        .goal(Bar::AtMost(1.0)),
        beside("quanta", &quanta, "governor check", || granted(&governor.check()), "both quanta"),
        beside("system clock", &system, "ratelimit try_wait", || granted(&ratelimit.try_wait()), "both the system's"),
        beside(
            "system clock",
            &system,
            "leaky-bucket try_acquire",
            || assert!(leaky.try_acquire(1), "there is room"),
            "the peer reads it once a refill",
        ),
    ]
}

fn beside(what: &str, set: &LimitSet, peer: &'static str, theirs: impl Fn(), clocks: &str) -> Row {
    let both = compare(CALLS, || granted(&set.try_acquire(())), theirs);
    let row = Row::new(format!("one token bucket, {what}"), both.ratio);
    row.peer(peer).note(format!("{}; {clocks}", both.times()))
}
