//! Rehearsals and dry runs.

use std::fs;
use std::path::Path;

use crate::support::{Job, Provider, assert_each_once, end, ids, paceline, results};

fn quickstart() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/quickstart.jsonl");
    fs::read_to_string(path).unwrap()
}

/// The README's first command, with its file elsewhere so that nothing is left behind.
#[test]
fn the_quickstart_shows_progress_and_a_summary() {
    let job = Job::with(quickstart());
    let input = job.input();
    let ended = end(&mut paceline(["run", input.to_str().unwrap(), "--rehearse"])).expect(0);
    let ended = ended
        .says("allows requests=600/1m, 8 at once")
        .says("200 requests: 200 ok, 0 failed, 0 skipped")
        .says("200 calls: 200 ok, 0 refused with 429")
        .says("requests: at most 200 in any 1m, of 600 allowed")
        .says("/200 | ");
    assert!(ended.stdout.is_empty());
    let results = results(&job.path("in.rehearsal.jsonl"));
    assert_eq!((results.len(), ids(&results).len()), (200, 200));
    assert!(!job.path("in.results.jsonl").exists());

    // Again: written anew, not resumed.
    end(&mut paceline(["run", input.to_str().unwrap(), "--rehearse"])).expect(0).says("200 ok");
}

#[test]
fn a_rehearsal_holds_the_runs_own_limits_in_real_time() {
    let job = Job::of(25);
    let args = ["--rehearse", "--limit", "requests=10/1s,burst=5", "--limit", "tokens=900/1s", "--concurrency", "3"];
    job.run(&args).expect(0).says("of 15 allowed").says("of 900 allowed").says("at most 3 at once");
    assert_each_once(&job.results(), 25);
}

#[test]
fn a_rehearsal_never_passes_for_results() {
    let provider = Provider::start(paceline_mock::MockConfig::default());
    let job = Job::of(2);
    job.run(&["--rehearse"]).expect(0);
    job.run_at(&provider.url(), &[]).expect(2).says("holds the results of a rehearsal");
    fs::remove_file(job.output()).unwrap();
    job.run_at(&provider.url(), &[]).expect(0);
    job.run(&["--rehearse"]).expect(2).says("which a rehearsal would overwrite");
    assert_each_once(&job.results(), 2);
}

#[test]
fn json_progress_is_json_throughout() {
    let job = Job::of(5);
    let ended = job.run(&["--rehearse", "--progress", "json"]).expect(0);
    let events: Vec<serde_json::Value> = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((of("notice"), of("summary")), (1, 1));
    let last = events.iter().rfind(|event| event["event"] == "progress").unwrap();
    assert_eq!((&last["done"], &last["total"]), (&5.into(), &5.into()));
    assert_eq!(events.last().unwrap()["simulated"][0]["ok"], 5);
}

#[test]
fn quiet_is_quiet() {
    let ended = Job::of(3).run(&["--rehearse", "-q"]).expect(0);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""));
}

#[test]
fn a_dry_run_sends_nothing_and_says_what_it_would() {
    let job = Job::with(quickstart() + "bad\n");
    let ended = job.run(&["--dry-run", "--rpm", "60", "--tpm", "5000", "--concurrency", "4"]).expect(1);
    insta::assert_snapshot!(job.redact(&ended.stdout), @r"
    DIR/in.jsonl:201:1: this is not JSON: expected value; each line is one JSON object
    200 requests for https://api.openai.com; 1 bad line, 0 done already
      tokens     about 4,047 in, at most 6,760 out, by the estimate
      cost       $0.0047 at most, for gpt-4o-mini (OpenAI, 2026-03)
      limit      requests=60/1m: 200 requests take 3 min 01 s
      limit      tokens=5000/1m: 10,807 tokens take 2 min 01 s
      limit      4 at once: 50 times as long as one answer takes
      binding    requests: 3 min 01 s and the last answers
      faster     raise requests to 90; then tokens binds, and it takes 2 min 01 s
    ");
    assert!(!job.output().exists());
}
