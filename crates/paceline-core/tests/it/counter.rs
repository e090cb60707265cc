//! Sliding counter: exactly its formula, and within its error bound.

use paceline_core::{Algorithm, Quota};

use crate::history::{History, May};
use crate::plain::{Counter, guarded};
use crate::rng::{Rng, rounds};
use crate::support::nanos;

fn quota(rng: &mut Rng) -> Quota {
    let pad = if rng.one_in(3) { 13 } else { 0 };
    let period = *rng.pick(&[97, 1_009, 7_919, 1_000_003]);
    let amount = *rng.pick(&[1, 2, 7, 10, 61, 997, 5_000]);
    Quota::new(amount, nanos(period - pad)).guard(nanos(pad)).algorithm(Algorithm::SlidingCounter)
}

/// A window that ends a share f into a period holds at most `amount + ⌈f × previous⌉`.
#[test]
fn it_decides_by_its_formula_and_keeps_its_error_bound() {
    for seed in 0..rounds(120) {
        let mut rng = Rng::new(seed ^ 0xD0);
        let quota = quota(&mut rng);
        let mut history = History::new(seed, quota, Counter::new(&quota));
        history.run(1_500, May { refund: seed % 2 == 0, overrun: false });
        let period = guarded(&quota);
        let noted = &history.noted;
        for (i, last) in noted.iter().enumerate() {
            let before = noted[..=i].iter().rev();
            let window = before.clone().take_while(|it| last.at < it.at + period);
            let cell = last.at / period;
            let previous = before.skip_while(|it| it.at / period == cell).take_while(|it| it.at / period + 1 == cell);
            let (sum, previous) = (window.map(|it| it.net).sum::<u64>(), previous.map(|it| it.net).sum::<u64>());
            let share = u128::from(last.at % period) * u128::from(previous);
            let bound = u128::from(quota.amount()) + share.div_ceil(u128::from(period));
            assert!(u128::from(sum) <= bound, "seed {seed}: {sum} in the window to {}", last.at);
            assert!(sum <= 2 * quota.amount(), "seed {seed}: {sum} in the window to {}", last.at);
        }
    }
}

#[test]
fn overruns_and_live_changes_keep_to_the_formula() {
    for seed in 0..rounds(60) {
        let mut rng = Rng::new(seed ^ 0xD1);
        let first = quota(&mut rng);
        let mut history = History::new(seed, first, Counter::new(&first));
        for _ in 0..10 {
            history.run(150, May { refund: true, overrun: true });
            let next = quota(&mut rng);
            history.change(next);
        }
    }
}
