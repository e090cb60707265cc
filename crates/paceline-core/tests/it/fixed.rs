//! Fixed windows: the amount in each, on a grid of our own or the service's.

use std::collections::BTreeMap;

use paceline_core::{Algorithm, Quota, QuotaError};

use crate::history::{History, May, fullest};
use crate::plain::{Fixed, guarded};
use crate::rng::{Rng, rounds};
use crate::support::nanos;

fn quota(rng: &mut Rng) -> Quota {
    let pad = if rng.one_in(3) { 13 } else { 0 };
    let period = *rng.pick(&[97, 1_009, 7_919, 1_000_003]);
    let amount = *rng.pick(&[1, 2, 7, 10, 61, 997, 5_000]);
    Quota::new(amount, nanos(period - pad)).guard(nanos(pad)).algorithm(Algorithm::FixedWindow)
}

#[test]
fn each_window_holds_the_amount_and_two_meet_across_a_boundary() {
    for seed in 0..rounds(100) {
        let mut rng = Rng::new(seed ^ 0xE0);
        let quota = quota(&mut rng);
        let model = Fixed::new(&quota);
        let mut history = History::new(seed, quota, model.clone());
        history.run(1_500, May { refund: seed % 2 == 0, overrun: false });
        assert_windows(&history.noted, &model, &quota);
    }
}

#[test]
fn a_told_reset_sets_the_grid_and_the_guard_keeps_clear_of_it() {
    for seed in 0..rounds(70) {
        let mut rng = Rng::new(seed ^ 0xE1);
        let plain = quota(&mut rng);
        let left = nanos(rng.below(2 * guarded(&plain)));
        let quota = plain.resets_in(left);
        if quota.guard_pad() * 2 >= quota.period() {
            assert_eq!(quota.validate(), Err(QuotaError::GuardTooLong(quota.guard_pad())));
            continue;
        }
        let model = Fixed::resets_in(&quota, left);
        let mut history = History::new(seed, quota, model.clone());
        history.run(1_500, May { refund: true, overrun: false });
        assert_windows(&history.noted, &model, &quota);
    }
}

#[test]
fn overruns_and_live_changes_keep_the_count() {
    for seed in 0..rounds(60) {
        let mut rng = Rng::new(seed ^ 0xE2);
        let first = quota(&mut rng);
        let mut history = History::new(seed, first, Fixed::new(&first));
        for _ in 0..10 {
            history.run(150, May { refund: true, overrun: true });
            let next = quota(&mut rng);
            history.change(next);
        }
    }
}

fn assert_windows(noted: &[crate::history::Noted], model: &Fixed, quota: &Quota) {
    let mut sums = BTreeMap::<u64, u64>::new();
    for it in noted {
        *sums.entry(model.window(it.at)).or_default() += it.net;
    }
    let worst = sums.values().max().copied().unwrap_or(0);
    assert!(worst <= quota.amount(), "{worst} in one window of {quota:?}");
    let period = quota.period().as_nanos() as u64;
    assert!(fullest(noted, period) <= 2 * quota.amount());
}
