//! Where results go: resuming, repairing, and outputs that cannot be written.

use std::fs;
use std::io::Write as _;

use paceline_mock::MockConfig;

use crate::support::{Job, Provider, assert_each_once, end, paceline};

#[test]
fn results_lie_beside_the_input_by_default() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(3);
    let input = job.input();
    end(&mut paceline(["run", input.to_str().unwrap(), "--base-url", &provider.url()])).expect(0);
    assert_each_once(&crate::support::results(&job.path("in.results.jsonl")), 3);
}

#[test]
fn a_second_run_sends_nothing() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(5);
    job.run_at(&provider.url(), &[]).expect(0);
    let before = fs::read(job.output()).unwrap();
    job.run_at(&provider.url(), &[]).expect(0).says("nothing left to do").says("0 ok, 0 failed, 5 skipped");
    assert_eq!(fs::read(job.output()).unwrap(), before);
    assert_eq!(provider.mock.stats().total, 5);
}

/// However much of the last line was written when it was cut.
#[test]
fn a_torn_last_line_is_cut_off_and_sent_again() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(4);
    job.run_at(&provider.url(), &["--order", "input"]).expect(0);
    let whole = fs::read_to_string(job.output()).unwrap();
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for cut in [last + 1, last + 5, last + 20, whole.len() - 2] {
        fs::write(job.output(), &whole[..cut]).unwrap();
        provider.mock.reset();
        job.run_at(&provider.url(), &[])
            .expect(0)
            .says("the last line was torn and has been cut off")
            .says("3 results");
        assert_eq!(provider.mock.stats().total, 1);
        assert_each_once(&job.results(), 4);
    }
    fs::write(job.output(), whole.trim_end()).unwrap();
    provider.mock.reset();
    job.run_at(&provider.url(), &[]).expect(0).says("nothing left to do");
    assert_each_once(&job.results(), 4);
}

#[test]
fn appended_requests_are_sent() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(3);
    job.run_at(&provider.url(), &[]).expect(0);
    let mut file = fs::OpenOptions::new().append(true).open(job.input()).unwrap();
    writeln!(file, "{}", crate::support::line("r3")).unwrap();
    job.run_at(&provider.url(), &[]).expect(0).says("resuming").says("1 ok, 0 failed, 3 skipped");
    assert_each_once(&job.results(), 4);
}

#[test]
fn a_file_of_somebody_elses_is_left_alone() {
    let job = Job::of(1);
    fs::write(job.output(), "my diary\n").unwrap();
    job.run_at("http://127.0.0.1:9", &[]).expect(2).says("out.jsonl:1: this line is no result");
    assert_eq!(fs::read_to_string(job.output()).unwrap(), "my diary\n");
    let input = job.input();
    let input = input.to_str().unwrap();
    let ended = end(&mut paceline(["run", input, "-o", input, "--base-url", "http://127.0.0.1:9"]));
    ended.expect(2).says("the results would overwrite the requests");
    assert!(!fs::read(job.input()).unwrap().is_empty());
}

#[test]
fn a_second_runner_is_refused() {
    let job = Job::of(1);
    let held = fs::File::create(job.output()).unwrap();
    fs4::FileExt::lock(&held).unwrap();
    job.run_at("http://127.0.0.1:9", &[]).expect(2).says("another paceline is writing to");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_device_is_an_error_before_anything_is_sent() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(5);
    let input = job.input();
    let ended = end(&mut paceline(["run", input.to_str().unwrap(), "-o", "/dev/full", "--base-url", &provider.url()]));
    insta::assert_snapshot!(ended.expect(2).stderr, @"error: cannot write the results to /dev/full: No space left on device (os error 28)");
    assert_eq!(provider.mock.stats().total, 0);
}

/// Stdout cannot be tried without writing to it.
#[test]
#[cfg(target_os = "linux")]
fn a_full_stdout_stops_the_sending() {
    let latency = paceline_mock::Latency::Fixed(std::time::Duration::from_millis(20));
    let provider = Provider::start(MockConfig { latency, ..MockConfig::default() });
    let job = Job::of(500);
    let input = job.input();
    let mut command =
        paceline(["run", input.to_str().unwrap(), "-o", "-", "--concurrency", "4", "--base-url", &provider.url()]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = end(command.stdout(full)).expect(3);
    assert!(ended.stderr.contains("cannot write the results to stdout: No space left on device"), "{}", ended.stderr);
    assert!(provider.mock.stats().total < 100, "sending stopped");
}

#[test]
fn an_output_that_cannot_be_opened_is_an_error_before_anything_is_sent() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(1);
    fs::create_dir(job.output()).unwrap();
    job.run_at(&provider.url(), &[]).expect(2).says("cannot write the results to");
    fs::remove_dir(job.output()).unwrap();
    let missing = job.path("missing/out.jsonl");
    let input = job.input();
    let args = ["run", input.to_str().unwrap(), "-o", missing.to_str().unwrap(), "--base-url", &provider.url()];
    end(&mut paceline(args)).expect(2).says("No such file or directory");
    assert_eq!(provider.mock.stats().total, 0);
}

#[test]
#[cfg(unix)]
fn a_read_only_output_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let job = Job::of(1);
    fs::write(job.output(), "").unwrap();
    fs::set_permissions(job.output(), fs::Permissions::from_mode(0o444)).unwrap();
    // Root may write everything.
    if rustix::process::geteuid().is_root() {
        return;
    }
    job.run_at("http://127.0.0.1:9", &[]).expect(2).says("Permission denied");
}
