//! The design's scenarios as tests: ours reach every bar on every seed.

use paceline_testkit::scenario::{Scenario, Who, run, table};

const SEEDS: u64 = 20;

/// Rows are dealt to a few tests, which run side by side.
fn hold(part: usize, parts: usize) {
    let rows = table().into_iter().enumerate().filter(|(number, _)| number % parts == part);
    let missed: Vec<_> = rows.flat_map(|(_, row)| misses(&row)).collect();
    assert!(missed.is_empty(), "\n{}\n", missed.join("\n"));
}

fn misses(row: &Scenario) -> Vec<String> {
    let mut missed = Vec::new();
    for seed in 1..=SEEDS {
        let outcome = run(row, Who::Ours, seed);
        for bar in row.missed(&outcome) {
            let (goodput, throttled) = (row.goodput(&outcome), outcome.throttled());
            missed.push(format!("{}, seed {seed}: {bar}; goodput {goodput:.3}, 429s {throttled:.4}", row.name));
        }
    }
    missed
}

#[test]
fn a_quarter_of_the_rows_reach_their_bars() {
    hold(0, 4);
}

#[test]
fn a_second_quarter_of_the_rows_reach_their_bars() {
    hold(1, 4);
}

#[test]
fn a_third_quarter_of_the_rows_reach_their_bars() {
    hold(2, 4);
}

#[test]
fn the_last_quarter_of_the_rows_reach_their_bars() {
    hold(3, 4);
}

#[test]
fn a_seed_decides_all_that_happens() {
    let row = &table()[1];
    let (one, same, other) = (run(row, Who::Ours, 7), run(row, Who::Ours, 7), run(row, Who::Ours, 8));
    let times =
        |outcome: &paceline_testkit::scenario::Outcome| outcome.answers.iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(times(&one), times(&same));
    assert_ne!(times(&one), times(&other));
}
