//! The journal: what a run knows of those before it.

use std::fs;
use std::path::PathBuf;

use paceline_mock::{Latency, MockConfig};
use serde_json::Value;

use crate::support::{Job, Provider, assert_each_once, end, ids, line, paceline};

fn journal(job: &Job) -> PathBuf {
    job.path("out.jsonl.journal")
}

/// The tags of its records, in order, with what they hold.
fn records(job: &Job) -> Vec<(String, Value)> {
    let text = fs::read_to_string(journal(job)).unwrap();
    let record = |line: &str| serde_json::from_str::<serde_json::Map<String, Value>>(line).unwrap();
    text.lines().flat_map(record).collect()
}

fn tagged(job: &Job, tag: &str) -> Vec<Value> {
    records(job).into_iter().filter(|(it, _)| it == tag).map(|(_, record)| record).collect()
}

#[test]
fn a_run_is_recorded_from_its_beginning_to_its_end() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(3);
    job.run_at(&provider.url(), &["--limit", "requests=100/10s", "--concurrency", "1"]).expect(0);
    let records = records(&job);
    let tags: Vec<_> = records.iter().map(|(tag, _)| &**tag).collect();
    assert_eq!(tags, ["run", "started", "ended", "started", "ended", "started", "ended", "stopped"]);
    let (run, started, ended) = (&records[0].1, &records[1].1, &records[2].1);
    assert_eq!((&run["version"], &run["concurrency"]), (&1.into(), &"1".into()));
    let limit = &run["endpoints"][0]["limits"][0];
    assert_eq!(
        (&limit["counted"], &limit["amount"], &limit["window_ms"]),
        (&"requests".into(), &100.into(), &10_000.into())
    );
    assert_eq!((&started["line"], &started["attempt"]), (&1.into(), &1.into()));
    assert_eq!(started["id"].as_str().unwrap().len(), 16);
    assert_eq!((&ended["status"], &ended["error"]), (&200.into(), &Value::Null));
    assert!(ended["input_tokens"].as_u64().is_some() && ended["at"].as_u64() >= started["at"].as_u64());
    assert_eq!(records[7].1["cause"], "done");
}

#[test]
fn a_changed_request_is_refused_before_anything_is_sent() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(3);
    job.run_at(&provider.url(), &[]).expect(0);
    let original = fs::read_to_string(job.input()).unwrap();
    let more = line("r3") + "\n";
    let changed = original.replacen("hello", "goodbye", 1) + &more;
    let changed = changed.replace(&line("r1"), &line("r1").replace("/v1/chat/completions", "/v1/completions"));
    fs::write(job.input(), changed).unwrap();
    for args in [&[][..], &["--dry-run"]] {
        let said = job.redact(&job.run_at(&provider.url(), args).expect(2).stderr);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said, @r#"
            error: the input is not what was begun:
            DIR/in.jsonl:1:1: the request "r0" was sent before, when its body was another one
            DIR/in.jsonl:2:1: the request "r1" was sent before, when its url was another one
            put it back as it was, or name another output by -o to begin anew
            "#);
        }
    }
    assert_eq!(provider.mock.stats().total, 3);

    // Put back, with lines added, removed and moved.
    let mut lines: Vec<_> = original.lines().rev().take(2).collect();
    lines.push(more.trim());
    fs::write(job.input(), lines.join("\n")).unwrap();
    job.run_at(&provider.url(), &[]).expect(0).says("1 ok, 0 failed, 2 skipped");
    assert_each_once(&job.results(), 4);
}

#[test]
fn a_changed_line_of_stdin_stops_the_run_where_it_is_met() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(2);
    job.run_at(&provider.url(), &[]).expect(0);
    let changed = fs::read_to_string(job.input()).unwrap().replace("hello", "goodbye");
    fs::write(job.input(), changed).unwrap();
    let output = job.output();
    let mut command = paceline(["run", "-", "-o", output.to_str().unwrap(), "--base-url", &provider.url()]);
    let ended = end(command.stdin(fs::File::open(job.input()).unwrap()));
    ended.expect(2).says("stdin:1:1: the request \"r0\" was sent before, when its body was another one");
    assert_eq!(provider.mock.stats().total, 2);
}

#[test]
fn results_without_a_journal_go_by_their_ids() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(2);
    job.run_at(&provider.url(), &[]).expect(0);
    fs::remove_file(journal(&job)).unwrap();
    let changed = fs::read_to_string(job.input()).unwrap().replace("hello", "goodbye");
    fs::write(job.input(), changed).unwrap();
    job.run_at(&provider.url(), &[]).expect(0).says("out.jsonl.journal: requests are known by their custom_ids alone");
    assert_eq!(provider.mock.stats().total, 2);
}

/// Leaves four requests in flight for ever, by a kill.
#[cfg(unix)]
fn killed_in_flight(provider: &Provider, job: &Job) {
    let mut child = crate::support::begin(&mut job.command_at(&provider.url(), &["--concurrency", "4"]));
    let began = std::time::Instant::now();
    while provider.mock.in_flight() < 4 {
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "nothing was sent");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[cfg(unix)]
fn what_was_in_flight_at_a_kill_is_left_out_or_sent_again_in_real_time() {
    let latency = Latency::Fixed(std::time::Duration::from_millis(1_500));
    let provider = Provider::start(MockConfig { latency, ..MockConfig::default() });
    let job = Job::of(6);
    killed_in_flight(&provider, &job);
    let four = "4 requests in flight when an earlier run ended (r0, r1, r2, r3)";
    job.run_at(&provider.url(), &["--on-unknown", "skip"])
        .expect(3)
        .says(&format!("{four}: left out"))
        .says("4 requests left without a result");
    assert_eq!(ids(&job.results()).into_keys().collect::<Vec<_>>(), ["r4", "r5"]);
    job.run_at(&provider.url(), &[]).expect(0).says(&format!("{four}: sent again")).says("4 ok, 0 failed, 2 skipped");
    assert_each_once(&job.results(), 6);
    assert_eq!(provider.mock.stats().total, 10);
}

/// Six were sent in the hour; a restart does not make that another six.
#[test]
#[cfg(unix)]
fn a_restart_does_not_spend_a_window_twice_in_real_time() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(20);
    let args = ["--limit", "requests=6/1h", "--progress", "none"];
    for _ in 0..2 {
        let mut child = crate::support::begin(&mut job.command_at(&provider.url(), &args));
        let began = std::time::Instant::now();
        let waited = || fs::read_to_string(job.output()).is_ok_and(|text| text.lines().count() == 6);
        while !waited() || began.elapsed() < std::time::Duration::from_secs(2) {
            assert!(began.elapsed() < std::time::Duration::from_secs(30), "six have no results");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(provider.mock.stats().total, 6);
}

#[test]
fn a_torn_journal_is_mended_and_a_broken_one_refused() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(2);
    job.run_at(&provider.url(), &[]).expect(0);
    let whole = fs::read_to_string(journal(&job)).unwrap();
    for torn in ["{\"started\":{\"line\":", "{", "\0\0\0\0"] {
        fs::write(journal(&job), format!("{whole}{torn}")).unwrap();
        job.run_at(&provider.url(), &[])
            .expect(0)
            .says("out.jsonl.journal: the last line was torn and has been cut off");
        assert_eq!(tagged(&job, "run").len(), 2);
    }
    let refused = [
        ("\u{1}\u{2}binary\n{}\n", "out.jsonl.journal:1: this line is no record of a journal"),
        ("{}\n[1]\n{}\n", "out.jsonl.journal:2: this line is no record of a journal"),
        (
            "{\"run\":{\"version\":2,\"at\":1,\"input\":\"\",\"concurrency\":\"\",\"endpoints\":[]}}\n",
            "the journal is of version 2",
        ),
    ];
    for (text, says) in refused {
        fs::write(journal(&job), text).unwrap();
        job.run_at(&provider.url(), &[]).expect(2).says(says).says("name another output by -o");
        assert_eq!(fs::read_to_string(journal(&job)).unwrap(), text, "it is left as it is");
    }
    fs::remove_file(journal(&job)).unwrap();
    fs::create_dir(journal(&job)).unwrap();
    job.run_at(&provider.url(), &[]).expect(2).says("where the journal belongs, is no file");
}

#[test]
fn status_tells_what_is_done_and_left() {
    let provider = Provider::start(MockConfig::default());
    let bad = r#"{"custom_id":"bad","method":"GET","url":"/v1/x","body":{}}"#;
    let job = Job::with(format!("{}\n{bad}\n{}\n", line("r0"), line("r1")));
    job.run_at(&provider.url(), &["--rpm", "60"]).expect(1);
    let more = fs::read_to_string(job.input()).unwrap() + &line("r2");
    fs::write(job.input(), more).unwrap();
    let status = |args: &[&str]| {
        let output = job.output();
        let all = ["status", output.to_str().unwrap()].into_iter().chain(args.iter().copied());
        end(&mut paceline(all)).expect(0).stdout
    };
    let text = job.redact(&status(&[]));
    let (before, last) = text.split_once("last run").unwrap();
    insta::assert_snapshot!(before, @r"
    results    DIR/out.jsonl: 2 ok, 1 failed
    unknown    0 requests in flight when a run ended, with no result
    left       1 of 4 lines
    ");
    assert!(last.contains("of DIR/in.jsonl, began 20") && last.contains(" ago: done\n"), "{last}");
    assert!(last.ends_with("limits     requests=60/1m\n"), "{last}");
    let object: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    assert_eq!((&object["ok"], &object["failed"], &object["left"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!((&object["running"], &object["last_run"]["stopped"]), (&false.into(), &"done".into()));
    let input = job.input();
    end(&mut paceline(["status", job.path("none").to_str().unwrap()])).expect(2).says("there are no results in");
    end(&mut paceline(["status", input.to_str().unwrap()])).expect(2).says("this line is no result");
}

#[test]
fn retry_failed_asks_again_and_leaves_one_result_each() {
    let right = || MockConfig { api_key: None, ..MockConfig::default() };
    let broken = Provider::start(MockConfig { error_rate: 1.0, ..right() });
    let bad = r#"{"custom_id":"r1","method":"GET","url":"/v1/x","body":{}}"#;
    let job = Job::with(format!("{}\n{bad}\nnot json\n", line("r0")));
    job.run_at(&broken.url(), &["--max-attempts", "1"]).expect(1).says("0 ok, 3 failed");
    // A change may be what makes them succeed.
    fs::write(job.input(), format!("{}\n{}\n{}\n", line("r0").replace("hello", "hi"), line("r1"), line("r2"))).unwrap();
    let provider = Provider::start(right());
    let output = job.output();
    let retry = |args: &[&str]| {
        let all = ["retry-failed", output.to_str().unwrap(), "--base-url", &provider.url()];
        end(&mut paceline(all.into_iter().chain(args.iter().copied())))
    };
    retry(&["--input", "nowhere.jsonl"]).expect(2).says("cannot read the requests in nowhere.jsonl");
    assert_eq!(job.results().len(), 3, "nothing was taken out");
    retry(&[]).expect(0).says("3 failed results taken out, to be asked for again").says("3 ok, 0 failed, 0 skipped");
    assert_each_once(&job.results(), 3);
    assert!(!job.path("out.jsonl.new").exists());
    retry(&[]).expect(0).says("0 failed results taken out").says("nothing left to do");
    fs::remove_file(journal(&job)).unwrap();
    retry(&[]).expect(2).says("name them by --input FILE");
}

#[test]
fn a_line_that_stays_bad_keeps_its_result() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::with(format!("{}\nnot json\n{}\n", line("r0"), line("r0")));
    job.run_at(&provider.url(), &[]).expect(1).says("1 ok, 2 failed");
    let output = job.output();
    for _ in 0..2 {
        end(&mut paceline(["retry-failed", output.to_str().unwrap(), "--base-url", &provider.url()]))
            .expect(1)
            .says("2 failed results taken out")
            .says("0 ok, 2 failed, 1 skipped");
        assert_eq!(job.results().len(), 3);
    }
    job.run_at(&provider.url(), &[]).expect(1).says("0 ok, 0 failed, 3 skipped").says("2 results of them failed");
    let status = end(&mut paceline(["status", output.to_str().unwrap()])).expect(0).stdout;
    assert!(status.contains("1 ok, 2 failed\n") && status.contains("left       0 of 3 lines\n"), "{status}");
}
