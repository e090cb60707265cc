//! From the input's order to the results'.

use std::time::Duration;

use paceline_mock::{Latency, MockConfig};

use crate::support::{Job, Provider, assert_each_once};

fn uneven() -> MockConfig {
    let latency = Latency::LogNormal { median: Duration::from_millis(5), sigma: 1.0 };
    MockConfig { latency, seed: 7, ..MockConfig::default() }
}

#[test]
fn results_keep_the_inputs_order_where_asked() {
    let provider = Provider::start(uneven());
    let job = Job::of(300);
    job.run_at(&provider.url(), &["--order", "input", "--concurrency", "16"]).expect(0);
    let order: Vec<_> = job.results().iter().map(|result| result["custom_id"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..300).map(|number| format!("r{number}")).collect();
    assert_eq!(order, expected);
}

#[test]
fn results_come_as_they_complete_otherwise() {
    let provider = Provider::start(uneven());
    let job = Job::of(300);
    job.run_at(&provider.url(), &["--concurrency", "16"]).expect(0);
    assert_each_once(&job.results(), 300);
}

/// One at a time, requests arrive as they stand in the file.
#[test]
fn requests_go_out_in_the_inputs_order() {
    let provider = Provider::start(MockConfig::default());
    let job = Job::of(50);
    job.run_at(&provider.url(), &["--concurrency", "1"]).expect(0);
    let order: Vec<_> = provider.mock.requests().into_iter().filter_map(|seen| seen.custom_id).collect();
    let expected: Vec<_> = (0..50).map(|number| format!("r{number}")).collect();
    assert_eq!(order, expected);
}

#[test]
fn more_than_the_bound_are_never_in_flight() {
    let config = MockConfig { latency: Latency::Fixed(Duration::from_millis(50)), ..MockConfig::default() };
    let provider = Provider::start(config);
    let job = Job::of(600);
    job.run_at(&provider.url(), &[]).expect(0);
    assert!(provider.mock.stats().peak_in_flight <= 256);
    assert_each_once(&job.results(), 600);
}
