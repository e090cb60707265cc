//! The windows against the definition itself, on random histories: every decision, every wait, every worst window.

use std::time::Duration;

use paceline_mock::account::{Account, Verdict};
use paceline_mock::{Charge, LimitKey, MockConfig, MockLimit};
use proptest::prelude::*;

/// Units charged in `(now − window, now]`, by looking at all that ever was.
fn sum(history: &[(Duration, u64)], now: Duration, window: Duration) -> u64 {
    history.iter().filter(|(at, _)| *at + window > now && *at <= now).map(|(_, units)| units).sum()
}

proptest! {
    #[test]
    fn windows_match_their_definition(
        amount in 1_u64..40,
        window in 1_u64..50,
        steps in prop::collection::vec((0_u64..12, 0_u64..45), 1..120),
    ) {
        let window = Duration::from_nanos(window);
        let limits = vec![MockLimit::new(LimitKey::OutputTokens, amount, window)];
        let mut account = Account::new(&MockConfig { limits, ..MockConfig::default() });
        let (mut history, mut now, mut worst) = (Vec::new(), Duration::ZERO, 0);
        for (pause, units) in steps {
            now += Duration::from_nanos(pause);
            let fits = |now| sum(&history, now, window) + units <= amount;
            match account.arrive(now, Charge { input_tokens: 0, output_tokens: units }) {
                Verdict::Admitted => {
                    prop_assert!(fits(now));
                    history.push((now, units));
                    worst = worst.max(sum(&history, now, window));
                }
                Verdict::Refused(refusal) => {
                    prop_assert!(!fits(now));
                    match refusal.retry_after {
                        Some(wait) => {
                            prop_assert!(fits(now + wait));
                            prop_assert!(!fits(now + wait - Duration::from_nanos(1)));
                        }
                        None => prop_assert!(units > amount),
                    }
                }
            }
            let reading = account.readings(now)[0];
            prop_assert_eq!(reading.remaining, amount - sum(&history, now, window));
            prop_assert_eq!(sum(&history, now + reading.until_full, window), 0);
            prop_assert_eq!(account.limits()["output_tokens"].worst, worst);
        }
    }
}
