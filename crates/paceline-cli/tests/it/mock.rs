//! `paceline mock`.

use std::io::{BufRead as _, BufReader, Read as _};

use crate::support::{Job, assert_each_once, begin, end, paceline};

#[test]
#[cfg(unix)]
fn it_says_where_it_listens_serves_and_ends() {
    use rustix::process::{Pid, Signal, kill_process};
    let args =
        ["mock", "--listen", "127.0.0.1:0", "--limit", "requests=100/10s", "--tpm", "100000", "--concurrency", "8"];
    let mut child = begin(&mut paceline(args));
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    let url = first.trim_end().strip_prefix("listening at ").unwrap();

    let job = Job::of(10);
    job.run_at(url, &["--concurrency", "2"]).expect(0);
    assert_each_once(&job.results(), 10);

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    insta::assert_snapshot!(rest.replace(url, "URL").replace("at most 1 at", "at most 2 at"), @r"
    send to it:     paceline run requests.jsonl --base-url URL
    what it saw:    curl URL/_mock/stats   (or /_mock/requests; POST /_mock/reset forgets)
    Ctrl-C ends it.
    10 calls: 10 ok, 0 refused with 429, 0 other errors; at most 2 at once
    requests: at most 10 in any 10s, of 100 allowed
    tokens: at most 270 in any 1m, of 100,000 allowed
    ");
}

#[test]
fn wrong_values_are_errors() {
    let cases: &[&[&str]] = &[
        &["--listen", "here"],
        &["--latency", "soon"],
        &["--latency", "lognormal:5s"],
        &["--error-rate", "2"],
        &["--bucket", "0"],
        &["--dialect", "klingon"],
        &["--limit", "requests=0/1s"],
    ];
    let mut said = String::new();
    for case in cases {
        let ended = end(&mut paceline(["mock"].iter().chain(*case))).expect(2);
        said += &format!("$ paceline mock {}\n{}\n\n", case.join(" "), ended.stderr.trim_end());
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    end(&mut paceline(["mock", "--listen", &address])).expect(2).says("something else listens there");
}
