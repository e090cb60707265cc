//! Keys go to the service and nowhere else.

use std::fs;

use paceline_mock::MockConfig;

use crate::support::{Ended, Job, Provider};

const KEY: &str = "sk-test-3141592653589793";

#[test]
fn a_key_is_in_nothing_that_is_written() {
    let provider = Provider::start(MockConfig { api_key: Some(KEY.into()), ..MockConfig::default() });
    let job = Job::of(3);
    let log = job.path("log.jsonl");
    let args = ["--api-key-env", "TEST_KEY", "-vvv", "--log-json", log.to_str().unwrap(), "--rpm", "100"];
    let ended: Ended = job.command_at(&provider.url(), &args).env("TEST_KEY", KEY).output().unwrap().into();
    let ended = ended.expect(0);
    let log = fs::read_to_string(log).unwrap();
    assert!(log.lines().count() >= 3, "it logs at all");
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let results = fs::read_to_string(job.output()).unwrap();
    for text in [&ended.stdout, &ended.stderr, &log, &results] {
        assert!(!text.contains(KEY));
    }
}

/// Some services repeat the key in their errors.
#[test]
fn a_key_that_the_service_repeats_is_taken_out() {
    let service = crate::faults::scripted::Scripted::start(|_| {
        Some(crate::faults::scripted::answer(400, "", &format!(r#"{{"error":"bad key {KEY}"}}"#)))
    });
    let job = Job::of(1);
    let mut command = job.command_at(&service.url, &["--api-key-env", "TEST_KEY"]);
    let ended: Ended = command.env("TEST_KEY", KEY).output().unwrap().into();
    ended.expect(1);
    assert_eq!(job.results()[0]["response"]["body"]["error"], "bad key [key]");
    assert!(service.texts()[0].contains(KEY));
}

#[test]
fn a_service_on_this_machine_gets_no_key_unasked() {
    let service = crate::faults::scripted::Scripted::start(|_| Some(crate::faults::scripted::answer(200, "", "{}")));
    let job = Job::of(1);
    let ended: Ended = job.command_at(&service.url, &[]).env("OPENAI_API_KEY", KEY).output().unwrap().into();
    ended.expect(0);
    assert!(!service.texts()[0].contains(KEY));
}
