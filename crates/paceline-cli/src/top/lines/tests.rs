use std::time::Duration;

use console::{measure_text_width, strip_ansi_codes};
use paceline::Quota;

use super::*;
use crate::sharing::shared_name;

fn rate(amount: u64, used: u64) -> LimitView {
    let quota = Quota::per_minute(amount).guard(Duration::from_millis(300));
    let (available, debt) = (amount.saturating_sub(used), used.saturating_sub(amount));
    LimitView { kind: LimitKind::Rate(quota), capacity: amount, used, available, debt }
}

fn slots(capacity: u64, used: u64) -> LimitView {
    LimitView { kind: LimitKind::Resource, capacity, used, available: capacity - used, debt: 0 }
}

fn set(name: &str, limits: &[(&str, LimitView)]) -> Set {
    let limits = limits.iter().map(|(key, view)| (Arc::from(*key), *view)).collect();
    Set { name: name.into(), limits, active: 7, waiting: 3, granted: 12_345, paused: None, closed: false }
}

fn look(sets: Vec<Set>) -> Look {
    Look { name: shared_name("openai").unwrap(), members: 2, sets, away: None }
}

fn one() -> Look {
    let limits = [("requests", rate(500, 410)), ("tokens", rate(10_000, 10_020)), ("concurrency", slots(16, 7))];
    look(vec![set("openai", &limits)])
}

fn bare(look: &Look, rates: &[Option<f64>], columns: usize, rows: usize) -> String {
    let lines = block(look, rates, columns, rows);
    lines.iter().map(|line| strip_ansi_codes(line).into_owned()).collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_is_there_at_80_columns() {
    insta::assert_snapshot!(bare(&one(), &[Some(8.25)], 80, 24), @r"
    openai  2 processes
      7 in use, 3 waiting | 8.2/s granted, 12,345 so far
      requests    [##################....]  82 %  410 of 500 per 1m
      tokens      [######################] 100 %  10,020 of 10,000 per 1m, 20 over
      concurrency [##########............]  44 %  7 of 16 at once
    ");
}

#[test]
fn several_sets_have_a_heading_each_and_a_closed_gate_is_told() {
    let paused = Some(Duration::from_secs(12));
    let second = Set { paused, ..set("openai:b", &[("requests", rate(60, 60))]) };
    let look = Look { members: 0, ..look(vec![set("openai:a", &[("requests", rate(500, 410))]), second]) };
    insta::assert_snapshot!(bare(&look, &[], 60, 24), @r"
    openai  nobody uses it now
    openai:a
      7 in use, 3 waiting | 12,345 granted so far
      requests [################....]  82 %  410 of 500 per 1m
    openai:b
      7 in use, 3 waiting | 12,345 granted so far
      paused for 12.0 s
      requests [####################] 100 %  60 of 60 per 1m
    ");
}

#[test]
fn a_line_has_all_of_it() {
    insta::assert_snapshot!(line(&one(), &[Some(8.25)]), @"openai  2 processes | 7 in use, 3 waiting | 8.2/s granted, 12,345 so far | requests 82 % | tokens 100 % | concurrency 44 %");
}

#[test]
fn a_store_that_is_away_is_told_above_what_was_known() {
    let why = "cannot reach Redis at 127.0.0.1:6379".to_owned();
    let look = Look { away: Some(Away { since: Duration::from_secs(4), why }), ..one() };
    insta::assert_snapshot!(bare(&look, &[], 80, 24), @r"
    openai  2 processes
      away for 4.0 s, and these figures are from before
      cannot reach Redis at 127.0.0.1:6379
      7 in use, 3 waiting | 12,345 granted so far
      requests    [##################....]  82 %  410 of 500 per 1m
      tokens      [######################] 100 %  10,020 of 10,000 per 1m, 20 over
      concurrency [##########............]  44 %  7 of 16 at once
    ");
    insta::assert_snapshot!(line(&look, &[]), @"openai  2 processes | away for 4.0 s, and these figures are from before: cannot reach Redis at 127.0.0.1:6379 | 7 in use, 3 waiting | 12,345 granted so far | requests 82 % | tokens 100 % | concurrency 44 %");
}

/// Whoever can write to the store can call a set anything.
#[test]
fn no_name_steers_the_terminal() {
    let look = look(vec![set("openai:\x1b[2J", &[("re\u{9b}que\nsts", rate(9, 9))]), set("openai:b", &[])]);
    let shown = bare(&look, &[], 80, 24) + &line(&look, &[]);
    assert!(shown.contains(r"openai:\u{1b}[2J") && shown.contains(r"re\u{9b}que sts"), "{shown}");
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown}");
}

#[test]
fn no_line_is_wider_than_the_terminal_and_there_are_fewer_than_it_has_rows() {
    let name = |number: usize| format!("openai:a-group-with-a-long-name-{number}");
    let look = look((0..9).map(|number| set(&name(number), &[("requests", rate(9, 9))])).collect());
    for (columns, rows) in [(80, 24), (40, 12), (20, 3), (1, 1), (200, 60)] {
        let lines = block(&look, &[], columns, rows);
        assert!(lines.len() < rows.max(2), "{columns} x {rows}");
        assert!(lines.iter().all(|line| measure_text_width(line) < columns.max(2)), "{columns} x {rows}");
    }
}
