//! The design's scenarios as tests: ours reach every bar on every seed.

use paceline_testkit::scenario::{Outcome, Scenario, Who, levels, run, table, told, troubles};

const SEEDS: u64 = 20;

fn hold(rows: &[Scenario]) {
    let missed: Vec<_> = rows.iter().flat_map(misses).collect();
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
fn the_right_level_is_found() {
    hold(&levels());
}

#[test]
fn troubles_are_taken_for_what_they_are() {
    hold(&troubles());
}

#[test]
fn a_rate_that_was_told_is_used_however_it_is_counted() {
    hold(&told());
}

#[test]
fn a_seed_decides_all_that_happens() {
    let row = &table()[1];
    let (one, same, other) = (run(row, Who::Ours, 7), run(row, Who::Ours, 7), run(row, Who::Ours, 8));
    let times = |outcome: &Outcome| outcome.answers.iter().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(times(&one), times(&same));
    assert_ne!(times(&one), times(&other));
}
