//! Who comes before whom.

use std::time::Duration;

use crate::time::Time;

/// How urgent a demand is. Few and ordered; what has waited long enough outranks what is urgent and new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// After everything else.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before everything else.
    High,
}

impl Priority {
    /// How much earlier a demand counts as having arrived for each step of priority. This is the ageing: a low demand
    /// that has waited this much longer stands before a normal one.
    pub const HEAD_START: Duration = Duration::from_secs(30);
}

/// When a demand first arrived: the instant and a number that all sets of a process share. A retry keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arrival {
    /// The instant.
    pub at: Time,
    /// The number.
    pub number: u64,
}

/// A place in the waiting order: a function of priority and arrival alone, so it never changes while one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    rank: u64,
    number: u64,
}

impl Order {
    /// Before everybody.
    pub const FIRST: Self = Self { rank: 0, number: 0 };

    /// The place of a demand of `priority` that arrived at `arrival`.
    ///
    /// ```
    /// use paceline_core::{Arrival, Order, Priority, Time};
    ///
    /// let at = |secs: u64, number| Arrival { at: Time::from_nanos(secs * 1_000_000_000), number };
    /// let early = Order::new(at(0, 1), Priority::Normal);
    /// assert!(early < Order::new(at(5, 2), Priority::Normal), "first come, first served");
    /// assert!(early > Order::new(at(5, 2), Priority::High), "urgent first");
    /// assert!(early < Order::new(at(31, 2), Priority::High), "but not for ever");
    /// ```
    #[must_use]
    pub fn new(arrival: Arrival, priority: Priority) -> Self {
        let steps_below = Priority::High as u32 - priority as u32;
        let rank = (arrival.at + Priority::HEAD_START * steps_below).as_nanos();
        Self { rank, number: arrival.number }
    }

    pub(crate) fn words(self) -> [u64; 2] {
        [self.rank, self.number]
    }

    pub(crate) fn of_words([rank, number]: [u64; 2]) -> Self {
        Self { rank, number }
    }

    /// The place right behind, for one whose own is taken: two may claim the same first arrival.
    pub(crate) fn next(self) -> Self {
        Self { number: self.number.wrapping_add(1), ..self }
    }
}
