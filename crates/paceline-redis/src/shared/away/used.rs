//! What was used of a rate, and when.

use std::time::{Duration, Instant};

/// The most that is kept apart: as many as an exact window tells apart itself.
const MOST: usize = 1_024;

/// Units and the instants of their use, the oldest first. Where there are many, neighbours are told as one, as of the later.
#[derive(Debug, Default)]
pub(in crate::shared) struct Used(Vec<(Instant, u64)>);

impl Used {
    /// Now or later than all before.
    pub(in crate::shared) fn add(&mut self, at: Instant, units: u64) {
        if units == 0 {
            return;
        }
        if self.0.len() >= MOST {
            let joined = |pair: &[(Instant, u64)]| pair.iter().copied().reduce(|one, two| (two.0, one.1 + two.1));
            self.0 = self.0.chunks(2).filter_map(joined).collect();
        }
        self.0.push((at, units));
    }

    /// Less was used than was told, at an instant or, of what was corrected before, later. Of later ones the latest are left:
    /// so nothing is taken for older than it is.
    pub(in crate::shared) fn take(&mut self, at: Instant, mut units: u64) {
        let place = self.0.partition_point(|(then, _)| *then < at);
        for (_, there) in &mut self.0[place..] {
            let taken = units.min(*there);
            (*there, units) = (*there - taken, units - taken);
        }
    }

    pub(in crate::shared) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How long ago each was.
    pub(in crate::shared) fn ages(&self, now: Instant) -> Vec<(Duration, u64)> {
        self.0.iter().map(|(at, units)| (now.saturating_duration_since(*at), *units)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_corrected_upwards_can_be_corrected_downwards() {
        let (began, mut used) = (Instant::now(), Used::default());
        let at = |second| began + Duration::from_secs(second);
        used.add(at(1), 3);
        used.add(at(2), 5);
        used.take(at(1), 2);
        used.add(at(3), 4);
        used.take(at(1), 4);
        assert_eq!(used.ages(at(3)), [(2, 0), (1, 2), (0, 4)].map(|(age, units)| (Duration::from_secs(age), units)));
    }

    #[test]
    fn nothing_gets_lost_and_nothing_older_where_there_is_much() {
        let (began, mut used) = (Instant::now(), Used::default());
        for at in 0..5_000 {
            used.add(began + Duration::from_millis(at), 2);
        }
        used.take(began + Duration::from_millis(4_999), 1);
        let ages = used.ages(began + Duration::from_millis(5_000));
        assert!(ages.len() <= MOST);
        assert_eq!(ages.iter().map(|(_, units)| units).sum::<u64>(), 9_999);
        let since =
            |most: u64| ages.iter().filter(|(age, _)| *age <= Duration::from_millis(most)).map(|(_, u)| u).sum();
        let counted: Vec<u64> = vec![since(100), since(1_000), since(3_000)];
        assert!(counted[0] >= 199 && counted[1] >= 1_999 && counted[2] >= 5_999, "{counted:?}");
    }
}
