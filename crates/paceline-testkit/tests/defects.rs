//! What the seed's adaptive node does wrong: each test shows its rule failing and ours holding.

use std::time::Duration;

use paceline_core::{Aimd, Controller, Sample, Time, Verdict};
use paceline_testkit::scenario::{Seed, Who, run, table};

const REFUSED: Verdict = Verdict::RateLimited { retry_after: None };

/// An attempt that began at `began` ms, took 50, and left the level full.
fn end(controller: &mut dyn Controller, verdict: Verdict, began: u64) {
    let began = Time::from_nanos(began * 1_000_000);
    let duration = Duration::from_millis(50);
    let in_flight = controller.level();
    controller.update(&Sample { verdict, began, duration, in_flight }, began + duration);
}

fn ours(initial: u64) -> Aimd {
    Aimd::builder().initial_concurrent(initial).build().expect("in range")
}

#[test]
fn growth_by_whole_parts_is_stuck_at_four() {
    let (mut ours, mut seed) = (ours(4), Seed::new(4, 20));
    for n in 0..1_000 {
        end(&mut ours, Verdict::Success, n);
        end(&mut seed, Verdict::Success, n);
    }
    assert_eq!((seed.level(), ours.level()), (4, 20));
}

#[test]
fn ten_simultaneous_refusals_are_ten_cuts() {
    let (mut ours, mut seed) = (ours(20), Seed::new(20, 20));
    for _ in 0..10 {
        end(&mut ours, REFUSED, 100);
        end(&mut seed, REFUSED, 100);
    }
    assert_eq!((seed.level(), seed.cuts()), (1, 10));
    assert_eq!((ours.level(), ours.cuts()), (10, 1));
}

/// The seed sees calls, and a call that was refused, retried inside and answered is a success to it. Ours sees attempts.
#[test]
fn a_refusal_that_a_retry_swallows_counts_as_a_success() {
    let (mut ours, mut seed) = (ours(10), Seed::new(10, 20));
    for n in 0..100 {
        end(&mut ours, REFUSED, 200 * n);
        end(&mut ours, Verdict::Success, 200 * n + 100);
        end(&mut seed, Verdict::Success, 200 * n);
    }
    assert_eq!(seed.level(), 20, "at its highest while every call is refused once");
    assert_eq!(ours.level(), 1);
}

#[test]
fn the_seed_gives_most_of_a_capped_service_away() {
    let row = table().into_iter().find(|row| row.name.starts_with("cap 20 at once")).expect("a row of the table");
    let goodput = |who| row.goodput(&run(&row, who, 1));
    assert!(goodput(Who::Seed) < 0.6 && goodput(Who::Ours) > 0.85);
}
