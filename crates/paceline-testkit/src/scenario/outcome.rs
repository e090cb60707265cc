//! What happened: every answer, and the level of every client over time.

use std::time::Duration;

use paceline_core::{Time, Verdict};

/// One attempt's end.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The client's number.
    pub client: usize,
    /// When the answer came.
    pub at: Time,
    /// What it was.
    pub verdict: Verdict,
}

/// What one client's controller did.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Changes of the level, from the start.
    pub levels: Vec<(Time, u64)>,
    /// The most that were in flight.
    pub most_in_flight: u64,
    /// How often it cut.
    pub cuts: u64,
}

/// All of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// In the order of time.
    pub answers: Vec<Answer>,
    /// By client.
    pub traces: Vec<Trace>,
}

impl Trace {
    /// The level at `time` after the start.
    #[must_use]
    pub fn level_at(&self, time: Duration) -> u64 {
        let before = self.levels.partition_point(|(at, _)| *at <= Time::ZERO + time);
        before.checked_sub(1).map_or(0, |last| self.levels[last].1)
    }

    /// The lowest and the highest level from `from` to `to`.
    #[must_use]
    pub fn range(&self, from: Duration, to: Duration) -> (u64, u64) {
        let within = |at: Time| at >= Time::ZERO + from && at <= Time::ZERO + to;
        let levels = self.levels.iter().filter(|(at, _)| within(*at)).map(|(_, level)| *level);
        let first = self.level_at(from);
        levels.fold((first, first), |(low, high), level| (low.min(level), high.max(level)))
    }
}

impl Outcome {
    /// Attempts that succeeded.
    #[must_use]
    pub fn successes(&self) -> usize {
        self.answers.iter().filter(|answer| answer.verdict == Verdict::Success).count()
    }

    /// 429s as a share of all attempts that were answered, or 0 without any.
    #[must_use]
    pub fn throttled(&self) -> f64 {
        self.throttles().count() as f64 / self.answers.len().max(1) as f64
    }

    /// When 429s came.
    pub fn throttles(&self) -> impl Iterator<Item = Time> {
        let throttled = |answer: &&Answer| matches!(answer.verdict, Verdict::RateLimited { .. });
        self.answers.iter().filter(throttled).map(|answer| answer.at)
    }

    /// Successes of `client` from `from` to `to`.
    #[must_use]
    pub fn between(&self, client: usize, from: Duration, to: Duration) -> usize {
        let span = Time::ZERO + from..Time::ZERO + to;
        let answers = self.answers.iter().filter(|it| it.client == client && it.verdict == Verdict::Success);
        answers.filter(|answer| span.contains(&answer.at)).count()
    }
}
