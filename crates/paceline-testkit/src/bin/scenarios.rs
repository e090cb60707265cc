//! Prints what the controllers make of the design's scenarios, ours beside the rivals, on the same seeds.
//!
//! `cargo run --release -p paceline-testkit --bin scenarios [-- --json] [ROW]`

use std::process::ExitCode;

use paceline_testkit::scenario::{Outcome, Scenario, Who, run, table};

const SEEDS: u64 = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let json = args.iter().any(|arg| arg == "--json");
    let wanted = args.iter().find(|arg| !arg.starts_with("--")).map_or("", String::as_str);
    let mut all = true;
    for scenario in table().iter().filter(|row| row.name.contains(wanted)) {
        if !json {
            let bars: Vec<_> = scenario.bars.iter().map(ToString::to_string).collect();
            println!("\n{}: {}", scenario.name, bars.join(", "));
        }
        for who in Who::ALL {
            let outcomes: Vec<_> = (1..=SEEDS).map(|seed| run(scenario, who, seed)).collect();
            let ok = outcomes.iter().all(|outcome| scenario.missed(outcome).is_empty());
            all &= ok || who != Who::Ours;
            if json { print_json(scenario, who, &outcomes, ok) } else { print_text(scenario, who, &outcomes, ok) }
        }
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The mean, and the worst of all seeds: the one closest to its bar.
fn mean(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64) -> f64 {
    outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
}

fn worst(outcomes: &[Outcome], of: impl Fn(&Outcome) -> f64, choose: fn(f64, f64) -> f64) -> f64 {
    outcomes.iter().map(of).reduce(choose).unwrap_or(f64::NAN)
}

fn print_text(scenario: &Scenario, who: Who, outcomes: &[Outcome], ok: bool) {
    let percent = |share: f64| if share.is_finite() { format!("{:.1} %", 100.0 * share) } else { "-".to_owned() };
    let goodput = |outcome: &Outcome| scenario.goodput(outcome);
    println!(
        "  {:<9} {:>4}  goodput {:>7} (worst {:>7})  429s {:>7} (worst {:>7})  L {}",
        who.as_str(),
        if ok { "ok" } else { "MISS" },
        percent(mean(outcomes, goodput)),
        percent(worst(outcomes, goodput, f64::min)),
        percent(mean(outcomes, Outcome::throttled)),
        percent(worst(outcomes, Outcome::throttled, f64::max)),
        plot(scenario, &outcomes[0]),
    );
    if who == Who::Ours {
        for (outcome, seed) in outcomes.iter().zip(1..) {
            for bar in scenario.missed(outcome) {
                println!("    seed {seed} misses: {bar}");
            }
        }
    }
}

/// The first client's level over the time of the run, as a share of its highest allowed.
fn plot(scenario: &Scenario, outcome: &Outcome) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const COLUMNS: u32 = 48;
    let max = scenario.clients[0].max as f64;
    let level = |column| outcome.traces[0].level_at(scenario.lasts / COLUMNS * column) as f64;
    (0..COLUMNS).map(|column| STEPS[((level(column) / max * 8.0) as usize).min(7)]).collect()
}

fn print_json(scenario: &Scenario, who: Who, outcomes: &[Outcome], ok: bool) {
    let finite = |value: f64| if value.is_finite() { serde_json::json!(value) } else { serde_json::Value::Null };
    let bars: Vec<_> = scenario.bars.iter().map(ToString::to_string).collect();
    let line = serde_json::json!({
        "scenario": scenario.name,
        "controller": who.as_str(),
        "seeds": outcomes.len(),
        "goodput": finite(mean(outcomes, |outcome| scenario.goodput(outcome))),
        "throttled": finite(mean(outcomes, Outcome::throttled)),
        "bar": (who == Who::Ours).then(|| bars.join(", ")),
        "ok": ok,
    });
    println!("{line}");
}
