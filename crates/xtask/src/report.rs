//! Running steps one after another: a heading before each, a table after them all, a stop at the first failure.

use std::time::{Duration, Instant};

use crate::tasks::{Outcome, Step};
use crate::workspace::Workspace;

struct Row {
    name: &'static str,
    took: Duration,
    verdict: String,
}

/// Runs `steps` in order and says whether they all held.
pub(crate) fn run_all(steps: &[Step], workspace: &Workspace) -> bool {
    let begun = Instant::now();
    let mut rows = Vec::new();
    let mut failure = None;

    for (n, step) in steps.iter().enumerate() {
        println!("\n== {} ({}/{}): {}", step.name, n + 1, steps.len(), step.about);
        let started = Instant::now();
        let result = (step.run)(workspace);
        let took = started.elapsed();
        let verdict = match &result {
            Ok(Outcome::Done) => "ok".to_owned(),
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(_) => "FAILED".to_owned(),
        };
        println!("-- {} {verdict}, {:.1} s", step.name, took.as_secs_f64());
        rows.push(Row { name: step.name, took, verdict });
        if let Err(error) = result {
            failure = Some((step.name, error));
            break;
        }
    }

    println!("\n{:<14} {:>8}  result", "step", "seconds");
    for row in &rows {
        println!("{:<14} {:>8.1}  {}", row.name, row.took.as_secs_f64(), row.verdict);
    }
    for step in &steps[rows.len()..] {
        println!("{:<14} {:>8}  not run", step.name, "");
    }
    println!("{:<14} {:>8.1}", "total", begun.elapsed().as_secs_f64());

    match failure {
        Some((name, error)) => {
            println!("\n{name} FAILED: {error:#}");
            false
        }
        None => true,
    }
}
