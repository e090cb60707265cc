//! The configuration file, and what wins over what.

use std::fs;

use paceline_mock::MockConfig;

use crate::support::{Job, Provider, end, paceline};

fn with_config(text: &str, args: &[&str]) -> (Job, crate::support::Ended) {
    let job = Job::of(3);
    let file = job.path("paceline.toml");
    fs::write(&file, text).unwrap();
    let mut all = vec!["-c", file.to_str().unwrap()];
    all.extend(args);
    let ended = job.run(&all);
    (job, ended)
}

#[test]
fn errors_name_file_line_and_key() {
    let cases = [
        "[limits]\nrpm = 500\nrmp = 5\n",
        "rpm = 500\n",
        "[limit]\nrpm = 500\n",
        "[job]\nfrobnicate = 1\n",
        "[[endpoint]]\nbase_url = \"http://localhost\"\nquota-group = \"a\"\n",
        "[limits]\nrpm = 0\n",
        "[limits]\nrpm = \"many\"\n",
        "[limits]\nlimit = [\"calls=1/1s\"]\n",
        "[limits]\nlimit = \"requests=1/1s\"\n",
        "[job]\ntimeout = 10\n",
        "[limits]\nconcurrency = \"8-4\"\n",
        "[limits]\nconcurrency = true\n",
        "[retry]\nmax_attempts = 0\n",
        "[job]\ntimeout = \"soon\"\n",
        "[limits]\nguard = \"-1s\"\n",
        "[estimate]\ncharacters_per_token = 0.0\n",
        "[estimate]\ncharacters = 4\n",
        "[job]\norder = \"random\"\n",
        "[job]\ndeadline = \"soon\"\n",
        "[job]\nmax_cost = \"5\"\n",
        "[job]\nfail_fast = 101\n",
        "[job]\nfail_fast = \"5\"\n",
        "[retry]\nmax_elapsed = \"1m\"\n",
        "[prices.m]\ninput = 1\nouput = 2\n",
        "[prices.m]\ninput = 1\n",
        "[job.headers]\nauthorization = \"Bearer secret\"\n",
        "[job.headers]\nx-token = \"secret\n",
        "[limits]\nrpm = 5\nlimit = [\"requests=6/60s\"]\n",
        "[limits]\npreset = \"openai-teir-1\"\n",
        "[[endpoint]]\nweight = 0\n",
        "[[endpoint]]\ndialect = \"klingon\"\n",
        "[endpoint]\nname = \"a\"\n",
        "[[endpoint]]\nname = \"a\"\n[[endpoint]]\nname = \"a\"\n",
        "[[endpoint]]\nname = \"\"\n",
        "[[endpoint]]\nname = \"a\"\nquota_group = \"g\"\nrpm = 5\n\
         [[endpoint]]\nname = \"b\"\nquota_group = \"g\"\nrpm = 6\n",
        "[[endpoint]]\nname = \"a\"\nquota_group = \"g\"\nconcurrency = 5\n\
         [[endpoint]]\nname = \"b\"\nquota_group = \"g\"\nconcurrency = 6\n",
        "[[endpoint]]\nname = \"a\"\nquota_group = \"g\"\ndialect = \"anthropic\"\n\
         [[endpoint]]\nname = \"b\"\nquota_group = \"g\"\ndialect = \"openai\"\n",
        "not toml\n",
    ];
    let mut said = String::new();
    for case in cases {
        let (job, ended) = with_config(case, &["--rehearse"]);
        let ended = ended.expect(2);
        assert!(!ended.stderr.contains("secret"));
        let shown = case.replace("Bearer secret", "…");
        said += &format!("{shown}---\n{}\n\n", job.redact(&ended.stderr).trim_end());
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_missing_file_is_named() {
    let job = Job::of(1);
    let ended = job.run(&["--config", "/nonexistent.toml"]).expect(2);
    insta::assert_snapshot!(ended.stderr, @"error: cannot read the configuration /nonexistent.toml: No such file or directory (os error 2)");
}

#[test]
fn flags_win_over_the_file_and_both_over_the_preset() {
    let file = "[limits]\npreset = \"openai-gpt-4o-mini-tier-1\"\nrpm = 400\nconcurrency = 7\n[estimate]\ncharacters_per_token = 2.0\n";
    let (job, ended) = with_config(file, &["--rpm", "300", "--dry-run"]);
    insta::assert_snapshot!(job.redact(&ended.expect(0).stdout), @r"
    3 requests for https://api.openai.com; 0 bad lines, 0 done already
      tokens     about 114 in, at most 24 out, by the estimate
      cost       no price is known for m; say it by [prices]
      limit      requests=300/1m: 3 requests fit at once
      limit      requests=10000/1d: 3 requests fit at once
      limit      tokens=200000/1m: 138 tokens fit at once
      limit      7 at once: as long as one answer takes
      binding    how many are sent at once
    ");
}

#[test]
fn the_file_can_say_where_and_how() {
    let provider = Provider::start(MockConfig::default());
    let text = format!(
        "[job]\norder = \"input\"\nsend_custom_id = true\n[job.headers]\nx-team = \"a\"\n\
         [[endpoint]]\nbase_url = \"{}/v1/\"\n",
        provider.url()
    );
    let (job, ended) = with_config(&text, &[]);
    ended.expect(0);
    assert_eq!(job.results().len(), 3);
    let seen = provider.mock.requests();
    assert!(seen.iter().all(|seen| seen.custom_id.is_some() && seen.status == 200));
}

/// Printed, it is a configuration that a run takes.
#[test]
fn the_example_is_a_configuration() {
    let example = end(&mut paceline(["config", "--example"])).expect(0).stdout;
    let (_, ended) = with_config(&example, &["--rehearse"]);
    ended.expect(0);
    end(&mut paceline(["config"])).expect(2).says("--example");
}
