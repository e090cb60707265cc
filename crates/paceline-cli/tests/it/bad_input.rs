//! Whatever can be wrong with what the command is given: a clear error, or an error result for the one line.

use std::fs;
use std::io::Write as _;

use paceline_mock::MockConfig;
use serde_json::Value;

use crate::support::{Job, Provider, begin, end, ids, line, paceline, succeeded, wait};

/// What the command says to wrong values, all in one place to be read.
#[test]
fn usage_errors() {
    let cases: &[&[&str]] = &[
        &["--rpm", "0"],
        &["--rpm", "-5"],
        &["--tpm", "many"],
        &["--rpd", "99999999999999999999999"],
        &["--concurrency", "0"],
        &["--concurrency", "-5"],
        &["--concurrency", "many"],
        &["--concurrency", "8-4"],
        &["--concurrency", "0-4"],
        &["--concurrency", "5-"],
        &["--concurrency", "100000000"],
        &["--concurrency", "1-100000000"],
        &["--max-attempts", "0"],
        &["--max-attempts", "5000000000"],
        &["--max-elapsed", "0s"],
        &["--timeout", "0s"],
        &["--timeout", "-1s"],
        &["--timeout", "soon"],
        &["--timeout", "99999999999999999d"],
        &["--timeout", "999999999999999999999999999d"],
        &["--dialect", "klingon"],
        &["--limit", "requests"],
        &["--limit", "requests=0/10s"],
        &["--limit", "requests=5/0s"],
        &["--limit", "requests=5/-1s"],
        &["--limit", "calls=5/1s"],
        &["--limit", "concurrency=5/1s"],
        &["--limit", "requests=5/1s,burst=0"],
        &["--limit", "requests=5/1s,paced=2"],
        &["--limit", "requests=5/300000000d"],
        &["--rpm", "5", "--limit", "requests=6/60s"],
        &["--limit", "tokens=5/1s", "--limit", "tokens=5/1000ms"],
        &["--preset", "openai-teir-1"],
        &["--base-url", "api.openai.com"],
        &["--base-url", "ftp://127.0.0.1"],
        &["--base-url", "http://me:secret@127.0.0.1"],
        &["--order", "random"],
        &["--rehearse", "--base-url", "http://127.0.0.1"],
        &["--shared", "a/b", "--rpm", "5", "--concurrency", "8"],
        &["--shared", "one"],
        &["--shared", "one", "--rehearse"],
        &["--shared", "one", "--rpm", "5", "--redis", "127.0.0.1:7391"],
    ];
    let job = Job::of(1);
    let mut said = String::new();
    for case in cases {
        let ended = job.run(case).expect(2);
        // The list of presets grows; what matters is that it is there.
        let text = job.redact(&ended.stderr);
        let text = text.split(" Known presets: ").next().unwrap_or_default();
        said += &format!("$ paceline run DIR/in.jsonl {}\n{}\n\n", case.join(" "), text.trim_end());
    }
    insta::assert_snapshot!(said);
    assert!(!job.output().exists(), "nothing was opened for writing");
}

/// As they cannot be meant.
#[test]
fn usage_errors_of_status() {
    let cases: &[&[&str]] = &[
        &[],
        &["--reset"],
        &["out.jsonl", "--reset"],
        &["out.jsonl", "--redis", "redis://127.0.0.1"],
        &["out.jsonl", "--shared", "one"],
        &["--shared", "one", "--input", "in.jsonl"],
        &["--shared", "one", "--json", "--reset"],
    ];
    let said = cases.iter().map(|case| {
        let ended = end(paceline(["status"]).args(*case)).expect(2);
        format!("$ paceline status {}\n{}\n\n", case.join(" "), ended.stderr.trim_end())
    });
    insta::assert_snapshot!(said.collect::<String>());
}

#[test]
fn a_preset_error_is_one_line() {
    let ended = Job::of(1).run(&["--preset", "nope"]).expect(2).says("there is no preset `nope`; `paceline presets`");
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn unreadable_inputs() {
    let job = Job::with("");
    let empty = job.run(&["--rehearse"]).expect(2);
    fs::write(job.input(), "\n  \n\n").unwrap();
    let blank = job.run(&["--rehearse"]).expect(2);
    fs::remove_file(job.input()).unwrap();
    let missing = job.run(&["--rehearse"]).expect(2);
    fs::create_dir(job.input()).unwrap();
    let directory = job.run(&["--rehearse"]).expect(2);
    let said = [empty, blank, missing, directory].map(|ended| job.redact(&ended.stderr));
    insta::assert_snapshot!(said.concat(), @r"
    error: DIR/in.jsonl has no requests; give a file with one JSON object a line
    error: DIR/in.jsonl has no requests; give a file with one JSON object a line
    error: cannot read the requests in DIR/in.jsonl: No such file or directory (os error 2)
    error: DIR/in.jsonl is a directory; give a file of requests, one JSON object a line
    ");
    assert!(!job.output().exists());
}

/// Every kind of bad line among good ones.
fn half_valid() -> Vec<u8> {
    let mut text = Vec::new();
    let mut add = |line: &[u8]| {
        text.extend_from_slice(line);
        text.push(b'\n');
    };
    add(line("r0").as_bytes());
    add(b"not json");
    add(br#"{"custom_id":"no-url","body":{}}"#);
    add(br#"{"method":"POST","url":"/v1/x","body":{}}"#);
    add(br#"{"custom_id":7,"method":"POST","url":"/v1/x","body":{}}"#);
    add(b"");
    add(line("r0").as_bytes());
    add(br#"{"custom_id":"get","method":"GET","url":"/v1/x","body":{}}"#);
    add(br#"{"custom_id":"far","method":"POST","url":"https://example.com/v1/x","body":{}}"#);
    add(br#"{"custom_id":"no-body","method":"POST","url":"/v1/x"}"#);
    add(b"{\"custom_id\":\"\xff\",\"method\":\"POST\",\"url\":\"/v1/x\",\"body\":{}}");
    add(br#"{"custom_id":"torn","method":"POST","url":"/v1/x","body":{"#);
    add(line("r1").as_bytes());
    text
}

#[test]
fn bad_lines_get_error_results_and_the_rest_goes_on() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::with(half_valid());
    job.run_at(&provider.url(), &["--order", "input"]).expect(1).says("2 ok, 10 failed, 0 skipped");
    let results = job.results();
    let said: String = results
        .iter()
        .map(|result| format!("{} {}: {}\n", result["id"], result["custom_id"], result["error"]))
        .collect();
    insta::assert_snapshot!(job.redact(&said));
    assert_eq!(results.iter().filter(|result| succeeded(result)).count(), 2);
    assert_eq!(provider.mock.stats().total, 2);

    // Once more: nothing is left, and the failures are not forgotten.
    job.run_at(&provider.url(), &[]).expect(1).says("nothing left to do").says("10 results of them failed");
    assert_eq!(job.results().len(), 12);
}

#[test]
fn duplicates_are_sent_once() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::with([line("a"), line("b"), line("a"), line("a")].join("\n"));
    job.run_at(&provider.url(), &[]).expect(1);
    assert_eq!(provider.mock.stats().total, 2);
    let results = job.results();
    assert_eq!(ids(&results), [("a".into(), 1), ("b".into(), 1), ("null".into(), 2)].into());
    assert!(
        results
            .iter()
            .filter(|result| result["custom_id"].is_null())
            .all(|result| result["error"]["code"] == "duplicate_custom_id")
    );
}

#[test]
fn a_line_that_is_too_long_fails_alone() {
    let provider = Provider::start(MockConfig::default());
    let mut text = line("r0").into_bytes();
    text.push(b'\n');
    text.extend(std::iter::repeat_n(b'x', (32 << 20) + 5));
    text.push(b'\n');
    text.extend(line("r1").bytes());
    let job = Job::with(text);
    job.run_at(&provider.url(), &[]).expect(1).says("2 ok, 1 failed");
    let results = job.results();
    let failed = results.iter().find(|result| !succeeded(result)).unwrap();
    assert!(
        failed["error"]["message"].as_str().unwrap().contains("in.jsonl:2:33554433: the line is longer than 32 MiB")
    );
}

#[test]
fn a_request_above_a_limit_is_an_error_not_a_wait() {
    let provider = Provider::start(MockConfig::default());
    let big = line("big").replace("\"max_tokens\":8", "\"max_tokens\":5000");
    let job = Job::with([line("r0"), big, line("r1")].join("\n"));
    job.run_at(&provider.url(), &["--tpm", "1000"]).expect(1).says("2 ok, 1 failed");
    let results = job.results();
    let failed: &Value = results.iter().find(|result| !succeeded(result)).unwrap();
    assert_eq!(failed["error"]["code"], "above_limit");
    let expected = "the request is estimated at 5020 tokens, and the limit never grants more than 1000 at once; \
                    ask for fewer tokens or raise the limit";
    assert_eq!(failed["error"]["message"], expected);
}

#[test]
fn stdin_is_read_as_it_comes() {
    let provider = Provider::start(MockConfig::default());
    let mut command = paceline(["run", "-", "-o", "-", "--base-url", &provider.url()]);
    let mut child = begin(command.stdin(std::process::Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}\nbad", line("a")).unwrap();
    drop(stdin);
    let ended = wait(child).expect(1);
    assert_eq!(ended.stdout.lines().count(), 2);
    assert!(ended.stdout.contains("stdin:2:1: this is not JSON: expected value"));
    end(paceline(["run", "-"]).env("OPENAI_API_KEY", "k")).expect(2).says("say where results go by -o OUT");
}

#[test]
fn a_missing_key_is_named() {
    let job = Job::of(1);
    job.run(&[]).expect(2).says("the environment variable OPENAI_API_KEY holds no key for https://api.openai.com");
    job.run(&["--api-key-env", "MY_KEY", "--base-url", "http://127.0.0.1:9"]).expect(2).says("MY_KEY");
    end(job.command(&[]).env("OPENAI_API_KEY", "  ")).expect(2).says("OPENAI_API_KEY holds no key");
    let secret = "line\none";
    let ended =
        end(job.command(&[]).env("OPENAI_API_KEY", secret)).expect(2).says("characters that no header can have");
    assert!(!ended.stderr.contains(secret));
    assert!(!job.output().exists());
}
