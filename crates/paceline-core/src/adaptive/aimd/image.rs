//! The controller as words, for members that share it.
//!
//! All it does to its numbers is exact to the bit wherever it is done (IEEE 754: sums, products, comparisons), so those who
//! are told of the same attempts come to the same level. The latency guard takes logarithms, which are not.

use super::{Aimd, AimdBuilder};
use crate::image::{Image, Words};

/// Reading one that [cannot be built](AimdBuilder::build) gives none.
impl Image for AimdBuilder {
    fn write(&self, out: &mut Vec<u64>) {
        out.extend([self.initial_concurrent, self.min_concurrent, self.max_concurrent, self.recovery_threshold]);
        self.backoff_factor.write(out);
        self.recovery_factor.write(out);
        self.latency_guard.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (initial_concurrent, min_concurrent) = (words.word()?, words.word()?);
        let (max_concurrent, recovery_threshold) = (words.word()?, words.word()?);
        let (backoff_factor, recovery_factor) = (f64::read(words)?, f64::read(words)?);
        let latency_guard = bool::read(words)?;
        let rules = Self {
            initial_concurrent,
            min_concurrent,
            max_concurrent,
            backoff_factor,
            recovery_threshold,
            recovery_factor,
            latency_guard,
        };
        rules.build().is_ok().then_some(rules)
    }
}

/// Without what a latency guard has seen: one with a guard cannot be read back.
impl Image for Aimd {
    fn write(&self, out: &mut Vec<u64>) {
        self.rules.write(out);
        self.limit.write(out);
        self.bad.write(out);
        out.extend([self.successes, self.cuts]);
        self.epoch.write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let rules = AimdBuilder::read(words).filter(|rules| !rules.latency_guard)?;
        let levels = rules.min_concurrent as f64..=rules.max_concurrent as f64;
        let limit = f64::read(words).filter(|limit| levels.contains(limit))?;
        let bad = f64::read(words).filter(|bad| *bad > 0.0)?;
        let mut count = || words.word().filter(|count| *count <= i64::MAX as u64);
        let (successes, cuts) = (count()?, count()?);
        Some(Self { limit, bad, successes, cuts, epoch: Option::read(words)?, ..Self::new(rules) })
    }
}
