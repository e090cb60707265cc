//! Grants a second, from looks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::sharing::Look;

/// Over which time.
const OVER: Duration = Duration::from_secs(3);

/// What was granted when, by set.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<Arc<str>, VecDeque<(Duration, u64)>>);

impl Rates {
    /// Those of a look's sets, where there was one before; while the store is away nobody knows.
    pub(super) fn note(&mut self, now: Duration, look: &Look) -> Vec<Option<f64>> {
        if look.away.is_some() {
            return Vec::new();
        }
        let note = |(name, granted): (&Arc<str>, u64)| {
            let points = self.0.entry(Arc::clone(name)).or_default();
            while points.len() > 1 && points[0].0 + OVER < now {
                points.pop_front();
            }
            points.push_back((now, granted));
            let (since, before) = points[0];
            let over = now.saturating_sub(since).as_secs_f64();
            (over > 0.0).then(|| granted.saturating_sub(before) as f64 / over)
        };
        look.sets.iter().map(|set| (&set.name, set.granted)).map(note).collect()
    }
}
