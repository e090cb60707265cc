//! Every random choice, from one seed. Jitter, latency and faults each have their own sequence, so that switching one
//! on does not reshuffle the others.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, LogNormal};

use crate::{Latency, MockConfig};

/// The longest latency drawn: a lognormal's tail must not overflow a timer.
const LONGEST: f64 = 86_400.0;

pub(crate) struct Dice {
    jitter: (Duration, StdRng),
    latency: (Draw, StdRng),
    fault: (f64, StdRng),
}

enum Draw {
    Fixed(Duration),
    LogNormal(LogNormal<f64>),
}

/// A failure that the provider is told to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Internal,
    Unavailable,
}

impl Dice {
    pub(crate) fn new(config: &MockConfig) -> Self {
        let mut seeds = StdRng::seed_from_u64(config.seed);
        let mut next = || StdRng::from_rng(&mut seeds);
        let draw = match config.latency {
            Latency::Fixed(time) => Draw::Fixed(time),
            Latency::LogNormal { median, sigma } => {
                LogNormal::new(median.as_secs_f64().ln(), sigma).map_or(Draw::Fixed(median), Draw::LogNormal)
            }
        };
        Dice { jitter: (config.jitter, next()), latency: (draw, next()), fault: (config.error_rate, next()) }
    }

    pub(crate) fn jitter(&mut self) -> Duration {
        let (most, rng) = &mut self.jitter;
        if most.is_zero() { Duration::ZERO } else { rng.random_range(Duration::ZERO..*most) }
    }

    pub(crate) fn latency(&mut self) -> Duration {
        match &mut self.latency {
            (Draw::Fixed(time), _) => *time,
            (Draw::LogNormal(shape), rng) => Duration::from_secs_f64(shape.sample(rng).clamp(0.0, LONGEST)),
        }
    }

    pub(crate) fn failure(&mut self) -> Option<Failure> {
        let (rate, rng) = &mut self.fault;
        if *rate == 0.0 || !rng.random_bool(*rate) {
            return None;
        }
        Some(if rng.random() { Failure::Internal } else { Failure::Unavailable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(seed: u64, error_rate: f64) -> Vec<Duration> {
        let latency = Latency::LogNormal { median: Duration::from_secs(5), sigma: 0.6 };
        let mut dice = Dice::new(&MockConfig { latency, seed, error_rate, ..MockConfig::default() });
        let draw = |_| {
            dice.failure();
            dice.latency()
        };
        (0..2001).map(draw).collect()
    }

    #[test]
    fn a_lognormal_latency_has_its_median_and_spread() {
        let mut drawn = latencies(7, 0.0);
        drawn.sort();
        let at = |share: f64| drawn[(share * 2000.0) as usize].as_secs_f64();
        assert!((4.7..5.3).contains(&at(0.5)), "{}", at(0.5));
        // One sigma above the median: 5 s * e^0.6 = 9.11 s.
        assert!((8.4..9.9).contains(&at(0.8413)), "{}", at(0.8413));
    }

    #[test]
    fn the_seed_decides_and_faults_do_not_reshuffle_latencies() {
        assert_eq!(latencies(7, 0.0), latencies(7, 0.5));
        assert_ne!(latencies(7, 0.0), latencies(8, 0.0));
    }
}
