//! Time in a few hundred equal parts, however long it was.

use hdrhistogram::Histogram;

/// What happened in one part of the time.
#[derive(Clone, Debug)]
pub(super) struct Bin {
    /// Attempts that began.
    pub(super) started: u64,
    /// Those that ended, by how they did.
    pub(super) ended: [u64; Verdict::ALL.len()],
    /// How long those that succeeded took, in milliseconds: a refusal is quick, and says nothing of that.
    pub(super) took: Histogram<u32>,
    /// The most in flight at once; none where nothing changed.
    pub(super) in_flight: Option<u64>,
    /// Those still in flight at its end.
    pub(super) still: Option<u64>,
    /// The latest adaptive level, of all endpoints together.
    pub(super) level: Option<u64>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    Refused,
    Other,
    Server,
    Timeout,
    Connection,
}

impl Verdict {
    pub(super) const ALL: [Self; 6] =
        [Self::Success, Self::Refused, Self::Other, Self::Server, Self::Timeout, Self::Connection];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Success => "ok",
            Self::Refused => "429",
            Self::Other => "other answers",
            Self::Server => "5xx",
            Self::Timeout => "timeouts",
            Self::Connection => "no connection",
        }
    }
}

impl Default for Bin {
    fn default() -> Self {
        // Two figures are more than a picture shows; it grows with what it is told.
        let took = Histogram::new(2).expect("two significant figures are within what it can keep");
        Self { started: 0, ended: Default::default(), took, in_flight: None, still: None, level: None }
    }
}

impl Bin {
    pub(super) fn join(&mut self, later: &Self) {
        self.started += later.started;
        for (all, more) in self.ended.iter_mut().zip(later.ended) {
            *all += more;
        }
        // Both grow as they must, so adding cannot fail.
        let _ = self.took.add(&later.took);
        self.in_flight = self.in_flight.max(later.in_flight);
        self.still = later.still.or(self.still);
        self.level = later.level.or(self.level);
    }
}

/// The parts. As time goes on, pairs become one.
#[derive(Debug)]
pub(super) struct Bins {
    /// In milliseconds.
    pub(super) width: u64,
    pub(super) all: Vec<Bin>,
}

impl Default for Bins {
    fn default() -> Self {
        Self { width: 100, all: Vec::new() }
    }
}

impl Bins {
    /// More than that no picture shows.
    pub(super) const MOST: usize = 240;

    /// The part that has this instant, in milliseconds since the start.
    pub(super) fn at(&mut self, instant: u64) -> &mut Bin {
        while instant / self.width >= Self::MOST as u64 {
            *self = self.coarser(self.width * 2);
        }
        let place = usize::try_from(instant / self.width).unwrap_or(Self::MOST);
        if place >= self.all.len() {
            self.all.resize(place + 1, Bin::default());
        }
        &mut self.all[place]
    }

    /// The same in parts of at least that many milliseconds.
    pub(super) fn coarser(&self, width: u64) -> Self {
        let joined = usize::try_from(width.div_ceil(self.width)).unwrap_or(Self::MOST).clamp(1, Self::MOST);
        let all = self.all.chunks(joined).map(|some| {
            let mut bin = some[0].clone();
            some.iter().skip(1).for_each(|later| bin.join(later));
            bin
        });
        Self { width: self.width.saturating_mul(joined as u64), all: all.collect() }
    }

    /// The same, where a last part that has less than half of its time is one with the part before: what there was in so
    /// short a time is no rate.
    pub(super) fn until(mut self, end: u64) -> Self {
        let full = self.all.len().saturating_sub(1);
        let rest = end.saturating_sub(self.width.saturating_mul(full as u64));
        if full > 0 && rest < self.width / 2 {
            if let (Some(last), Some(before)) = (self.all.pop(), self.all.last_mut()) {
                before.join(&last);
            }
        }
        self
    }

    /// In seconds.
    pub(super) fn seconds(&self) -> f64 {
        self.width as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_as_parts_grow() {
        let mut bins = Bins::default();
        for instant in (0..10_000_000).step_by(997) {
            let bin = bins.at(instant);
            bin.started += 1;
            bin.took.record(instant % 500 + 1).unwrap();
            bin.in_flight = bin.in_flight.max(Some(instant % 7));
        }
        let count = 10_000_000_u64.div_ceil(997);
        assert!(bins.all.len() <= Bins::MOST && bins.all.len() >= Bins::MOST / 2, "{}", bins.all.len());
        assert_eq!(bins.all.iter().map(|bin| bin.started).sum::<u64>(), count);
        assert_eq!(bins.all.iter().map(|bin| bin.took.len()).sum::<u64>(), count);
        assert!(bins.all.iter().all(|bin| bin.in_flight == Some(6)));
    }

    #[test]
    fn a_short_last_part_is_one_with_the_part_before() {
        let parts = |end: u64| {
            let mut bins = Bins::default();
            (0..=end).step_by(10).for_each(|instant| bins.at(instant).started += 1);
            bins.until(end).all.iter().map(|bin| bin.started).collect::<Vec<_>>()
        };
        assert_eq!(parts(40), [5]);
        assert_eq!(parts(140), [15]);
        assert_eq!(parts(250), [10, 10, 6]);
    }

    #[test]
    fn an_absurd_instant_is_only_a_wide_part() {
        let mut bins = Bins::default();
        bins.at(5).started += 1;
        bins.at(u64::MAX / 2).started += 1;
        assert!(bins.all.len() <= Bins::MOST);
        assert_eq!(bins.all[0].started, 1);
    }
}
