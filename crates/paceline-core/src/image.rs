//! State as plain words, for whoever keeps a set outside of its process: in memory that several share, or in a file.
//!
//! An image is all that decisions depend on, so a set that is read back decides as the one that was written. What
//! follows from the quota is not in it. Reading trusts nothing: words that no set could have written are none, never a
//! panic, so a damaged image is found and not obeyed. There is no version here; whoever stores images has one.
//!
//! ```
//! use paceline_core::image::{Image, Words};
//! use paceline_core::{Limit, Quota, Set, Time};
//!
//! let set = Set::<u64>::new(0, [Limit::rate(Quota::per_minute(2), Time::ZERO)?]);
//! let mut words = Vec::new();
//! set.write(&mut words);
//! assert!(Set::<u64>::read(&mut Words::new(&words)).is_some());
//! assert!(Set::<u64>::read(&mut Words::new(&words[..3])).is_none());
//! # Ok::<(), paceline_core::QuotaError>(())
//! ```

use std::time::Duration;

use crate::demand::{Demand, Grant, Index, Part};
use crate::order::{Arrival, Order, Priority};
use crate::quota::Quota;
use crate::server::{Reset, ServerState};
use crate::time::{Time, nanos};
use crate::verdict::Verdict;

/// What can be written as words and read back.
pub trait Image: Sized {
    /// Writes it behind what is there.
    fn write(&self, out: &mut Vec<u64>);

    /// Reads it from the front; none where these are not the words of one.
    fn read(words: &mut Words<'_>) -> Option<Self>;
}

/// Words still to be read.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a>(&'a [u64]);

impl<'a> Words<'a> {
    /// All of these.
    #[must_use]
    pub fn new(words: &'a [u64]) -> Self {
        Self(words)
    }

    /// The next one.
    pub fn word(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// How many are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// A count of things that each take a word at least, so that a wrong one asks for no more memory than there are words.
    pub fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.word()?).ok()?;
        (count <= self.left()).then_some(count)
    }

    /// An instant that a clock can have shown: within 292 years.
    pub fn past(&mut self) -> Option<Time> {
        self.word().filter(|nanos| *nanos <= i64::MAX as u64).map(Time::from_nanos)
    }
}

impl Image for u64 {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(*self);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word()
    }
}

impl Image for u128 {
    fn write(&self, out: &mut Vec<u64>) {
        out.extend([*self as u64, (*self >> 64) as u64]);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (low, high) = (words.word()?, words.word()?);
        Some(u128::from(high) << 64 | u128::from(low))
    }
}

impl Image for bool {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(u64::from(*self));
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        match words.word()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl<T: Image> Image for Option<T> {
    fn write(&self, out: &mut Vec<u64>) {
        self.is_some().write(out);
        self.iter().for_each(|it| it.write(out));
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        if bool::read(words)? { T::read(words).map(Some) } else { Some(None) }
    }
}

impl Image for Time {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(self.as_nanos());
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word().map(Time::from_nanos)
    }
}

/// In whole nanoseconds; beyond 584 years as that.
impl Image for Duration {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(nanos(*self));
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word().map(Duration::from_nanos)
    }
}

impl Image for Demand {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(self.parts().len() as u64);
        self.parts().iter().for_each(|part| out.extend([u64::from(part.limit), part.units, part.mark]));
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let mut demand = Self::default();
        for _ in 0..words.count()? {
            let limit = Index::try_from(words.word()?).ok()?;
            let part = Part { limit, units: words.word()?, mark: words.word()? };
            demand.push(part)?;
        }
        Some(demand)
    }
}

impl Image for Grant {
    fn write(&self, out: &mut Vec<u64>) {
        self.at.write(out);
        self.charged.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { at: words.past()?, charged: Demand::read(words)? })
    }
}

impl Image for Priority {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(*self as u64);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let word = words.word()?;
        [Self::Low, Self::Normal, Self::High].into_iter().find(|priority| *priority as u64 == word)
    }
}

impl Image for Arrival {
    fn write(&self, out: &mut Vec<u64>) {
        out.extend([self.at.as_nanos(), self.number]);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self { at: Time::read(words)?, number: words.word()? })
    }
}

impl Image for Order {
    fn write(&self, out: &mut Vec<u64>) {
        out.extend(self.words());
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(Self::of_words([words.word()?, words.word()?]))
    }
}

/// Reading one that [cannot be kept](Quota::validate) gives none.
impl Image for Quota {
    fn write(&self, out: &mut Vec<u64>) {
        self.write_fields(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Self::read_fields(words).filter(|quota| quota.validate().is_ok())
    }
}

impl Image for ServerState {
    fn write(&self, out: &mut Vec<u64>) {
        let (full, window) = match self.reset {
            Some(Reset::Full(left)) => (Some(left), None),
            Some(Reset::Window(left)) => (None, Some(left)),
            None => (None, None),
        };
        self.limit.write(out);
        self.remaining.write(out);
        full.write(out);
        window.write(out);
        self.authoritative.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (limit, remaining) = (Option::read(words)?, Option::read(words)?);
        let (full, window) = (Option::read(words)?.map(Reset::Full), Option::read(words)?.map(Reset::Window));
        let authoritative = bool::read(words)?;
        Some(Self { limit, remaining, reset: full.or(window), authoritative })
    }
}

impl Image for Verdict {
    fn write(&self, out: &mut Vec<u64>) {
        match self {
            Self::Success => out.push(0),
            Self::RateLimited { retry_after } => {
                out.push(1);
                retry_after.write(out);
            }
            Self::Overloaded => out.push(2),
            Self::Transient => out.push(3),
            Self::Permanent => out.push(4),
            Self::Cancelled => out.push(5),
        }
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        Some(match words.word()? {
            0 => Self::Success,
            1 => Self::RateLimited { retry_after: Option::read(words)? },
            2 => Self::Overloaded,
            3 => Self::Transient,
            4 => Self::Permanent,
            5 => Self::Cancelled,
            _ => return None,
        })
    }
}

/// By its bits, so that what is read back is the same number.
impl Image for f64 {
    fn write(&self, out: &mut Vec<u64>) {
        out.push(self.to_bits());
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word().map(Self::from_bits)
    }
}
