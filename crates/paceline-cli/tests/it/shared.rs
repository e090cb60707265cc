//! Quotas that several runs share on one machine: real processes, real memory.
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::FileExt as _;
use std::process::{Child, ChildStdout, Command};
use std::thread::sleep;
use std::time::Duration;

use paceline_mock::{Latency, LimitKey, MockConfig, MockLimit};
use paceline_testkit::redis::Server;
use serde_json::Value;

mod cleared;
mod reached;

use crate::support::{
    Ended, Job, Provider, assert_each_once, begin, end, ids, line, paceline, results, succeeded, wait,
};

const AMOUNT: u64 = 100;
const WINDOW: Duration = Duration::from_millis(500);
const LIMIT: [&str; 4] = ["--limit", "requests=100/500ms", "--concurrency", "8"];

/// A provider with the limit of one job.
fn provider() -> Provider {
    let limits = vec![MockLimit::new(LimitKey::Requests, AMOUNT, WINDOW)];
    let latency = Latency::Fixed(Duration::from_millis(10));
    Provider::start(MockConfig { limits, concurrency: Some(8), latency, ..MockConfig::default() })
}

/// What is shared in a job's directory stays there.
fn within(job: &Job, mut command: Command) -> Command {
    command.env("PACELINE_SHM_DIR", job.path("shared"));
    command
}

fn shared(job: &Job, args: &[&str]) -> Ended {
    end(&mut within(job, paceline(args)))
}

/// Sends those of the job's requests that lie in the file `part`, with a guard that no jitter of this machine outgrows.
fn run(job: &Job, url: &str, part: &str, args: &[&str]) -> Command {
    std::fs::write(job.path("job.toml"), "[limits]\nguard = \"300ms\"\n").unwrap();
    let mut command = within(job, paceline(["run"]));
    command.arg(job.path(part)).arg("-o").arg(job.path(&format!("{part}.out"))).arg("-c").arg(job.path("job.toml"));
    command.args(["--base-url", url, "--send-custom-id", "--shared", "one", "--progress", "none"]).args(args);
    command
}

/// Requests, dealt out to files.
fn dealt(requests: usize, parts: &[&str]) -> Job {
    let job = Job::of(requests);
    for (at, part) in parts.iter().enumerate() {
        let lines = (at..requests).step_by(parts.len()).map(|number| line(&format!("r{number}")) + "\n");
        std::fs::write(job.path(part), lines.collect::<String>()).unwrap();
    }
    job
}

#[test]
fn two_runs_on_halves_keep_one_quota_in_real_time() {
    const REQUESTS: usize = 600;
    let provider = provider();
    let job = dealt(REQUESTS, &["a", "b"]);
    let begin_half = |part| begin(&mut run(&job, &provider.url(), part, &LIMIT));
    let halves: Vec<Child> = ["a", "b"].map(begin_half).into();
    halves.into_iter().for_each(|half| drop(wait(half).expect(0).says("shared     as `one`")));

    let mut all = results(&job.path("a.out"));
    let first = all.len();
    all.extend(results(&job.path("b.out")));
    assert_eq!(first, REQUESTS / 2);
    assert_each_once(&all, REQUESTS);
    assert!(all.iter().all(succeeded));
    let stats = provider.mock.stats();
    assert_eq!((stats.total, stats.rejected), (REQUESTS as u64, 0), "{stats:?}");
    assert!(stats.peak_in_flight <= 8, "{stats:?}");

    // They took turns, and left little of the quota unused.
    let seen = provider.mock.requests();
    let mut arrivals: Vec<_> = seen.iter().map(|seen| (seen.arrival, seen.custom_id.clone())).collect();
    arrivals.sort();
    let of_a = ids(&results(&job.path("a.out")));
    let in_first_half =
        arrivals[..REQUESTS / 2].iter().filter(|(_, id)| of_a.contains_key(id.as_deref().unwrap_or(""))).count();
    assert!((REQUESTS / 8..=REQUESTS * 3 / 8).contains(&in_first_half), "one sent {in_first_half} of the first half");
    let took = arrivals[REQUESTS - 1].0 - arrivals[0].0;
    let ideal = (WINDOW + Duration::from_millis(300)) * (REQUESTS as u32 / AMOUNT as u32 - 1);
    assert!(took >= ideal && took < ideal * 2, "{took:?} for what takes {ideal:?}");
}

#[test]
fn a_run_that_is_killed_gives_back_what_it_held_in_real_time() {
    let slow = Latency::Fixed(Duration::from_secs(60));
    let (stuck, quick) = (Provider::start(MockConfig { latency: slow, ..MockConfig::default() }), provider());
    let job = dealt(20, &["a", "b"]);
    let mut first = begin(&mut run(&job, &stuck.url(), "a", &LIMIT));
    while stuck.mock.stats().peak_in_flight < 8 {
        sleep(Duration::from_millis(10));
    }
    let second = begin(&mut run(&job, &quick.url(), "b", &LIMIT));
    sleep(Duration::from_millis(300));
    assert_eq!(quick.mock.stats().total, 0, "all that may be in flight is");
    first.kill().unwrap();
    first.wait().unwrap();
    wait(second).expect(0).says("10 requests: 10 ok");
}

#[test]
fn what_is_shared_is_shown_and_cleared_in_real_time() {
    let provider = provider();
    let job = dealt(60, &["a", "b"]);
    shared(&job, &["status", "--shared", "one"]).expect(2).says("nothing is shared as `one` here");
    assert!(!job.path("shared/one").exists(), "looking leaves nothing");
    end(&mut run(&job, &provider.url(), "a", &LIMIT))
        .expect(0)
        .says("sharing the quota `one`; nobody else does so now");

    let text = shared(&job, &["status", "--shared", "one"]).expect(0).stdout;
    assert!(text.starts_with("one  nobody uses it now\n  0 in use, 0 waiting | 30 granted so far\n"), "{text}");
    assert!(text.contains("of 100 per 500ms\n") && text.contains("0 of 8 at once\n"), "{text}");
    assert_eq!(shared(&job, &["top", "--shared", "one", "--once"]).expect(0).stdout.lines().count(), 4);
    let object = shared(&job, &["status", "--shared", "one", "--json"]).expect(0).stdout;
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!((&object["members"], &object["sets"][0]["granted"]), (&0.into(), &30.into()));
    assert_eq!(object["sets"][0]["limits"]["requests"]["guard_ms"], 300);

    let other = ["--limit", "requests=99/500ms", "--concurrency", "8"];
    let refused = end(&mut run(&job, &provider.url(), "b", &other)).expect(2);
    assert!(!job.path("b.out").exists(), "nothing was opened for writing");
    let refused = refused.says("`requests` is 100 per 500ms").says("99 per 500ms");
    refused.says("`paceline status --shared one` shows what is shared, and with --reset clears it");

    // Others' guard is as much a part of it as their amounts.
    let mut careless = run(&job, &provider.url(), "b", &LIMIT);
    std::fs::write(job.path("job.toml"), "[limits]\nguard = \"200ms\"\n").unwrap();
    end(&mut careless).expect(2).says("the guard of `requests` is 300ms there, 200ms here; ");

    let cleared = shared(&job, &["status", "--shared", "one", "--reset"]).expect(0).stdout;
    assert_eq!(cleared, "nothing is shared as `one` any more\n");
    let again = shared(&job, &["status", "--shared", "one", "--reset"]).expect(0).stdout;
    assert_eq!(again, "nothing was shared as `one`, so there is nothing to forget\n");
    end(&mut run(&job, &provider.url(), "b", &other)).expect(0);
}

#[test]
fn clearing_what_is_in_use_keeps_its_limits_in_real_time() {
    let provider = Provider::start(MockConfig::default());
    let job = dealt(15, &["a"]);
    let once = ["--limit", "requests=10/1h", "--concurrency", "8"];
    let held = begin(&mut run(&job, &provider.url(), "a", &once));
    while provider.mock.stats().total < 10 {
        sleep(Duration::from_millis(10));
    }
    let cleared = shared(&job, &["status", "--shared", "one", "--reset"]).expect(0).stdout;
    assert!(cleared.starts_with("1 process has `one` open (runs, and whoever watches by `paceline top`)"), "{cleared}");
    wait(held).expect(0).says("15 requests: 15 ok");

    // Whoever watches keeps it open, too.
    let mut top = begin(&mut within(&job, paceline(["top", "--shared", "one"])));
    let _lines = first_line(&mut top);
    let kept = shared(&job, &["status", "--shared", "one", "--reset"]).expect(0).stdout;
    assert!(kept.starts_with("1 process has `one` open"), "{kept}");
    top.kill().unwrap();
    top.wait().unwrap();
    let cleared = shared(&job, &["status", "--shared", "one", "--reset"]).expect(0).stdout;
    assert_eq!(cleared, "nothing is shared as `one` any more\n");
}

/// Waits for it, and leaves the rest to be read.
fn first_line(child: &mut Child) -> (String, BufReader<ChildStdout>) {
    let (mut line, mut lines) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
    lines.read_line(&mut line).unwrap();
    (line, lines)
}

/// The second run shares what the first has spent, without being told of it.
#[test]
fn a_run_that_goes_on_finds_its_window_as_it_left_it_in_real_time() {
    let provider = Provider::start(MockConfig::default());
    let job = dealt(10, &["a"]);
    let hour = ["--limit", "requests=8/1h", "--concurrency", "8"];
    let mut killed = begin(&mut run(&job, &provider.url(), "a", &hour));
    while results_so_far(&job) < 8 {
        sleep(Duration::from_millis(10));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    end(run(&job, &provider.url(), "a", &hour).args(["--max-elapsed", "500ms"])).expect(3);
    assert_eq!(provider.mock.stats().total, 8, "the window is spent");
    shared(&job, &["status", "--shared", "one", "--reset"]).expect(0);
    let anew = end(run(&job, &provider.url(), "a", &hour).args(["--max-elapsed", "30s"])).expect(0);
    anew.says("`one` is new: what earlier runs sent within its windows is not charged to it");
}

fn results_so_far(job: &Job) -> usize {
    std::fs::read_to_string(job.path("a.out")).map_or(0, |text| text.lines().count())
}

#[test]
fn without_a_terminal_it_is_a_line_a_second_until_a_signal_in_real_time() {
    let provider = provider();
    let job = dealt(1, &["a"]);
    end(&mut run(&job, &provider.url(), "a", &LIMIT)).expect(0);
    let top = begin(&mut within(&job, paceline(["top", "--shared", "one"])));
    sleep(Duration::from_millis(1_500));
    let pid = rustix::process::Pid::from_child(&top);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let text = wait(top).expect(0).stdout;
    assert!(text.lines().all(|line| line.starts_with("one  nobody uses it now | 0 in use, 0 waiting | ")), "{text}");
}

/// `paceline top --shared one | head -1`
#[test]
fn a_reader_that_has_seen_enough_of_it_ends_it_in_real_time() {
    let job = dealt(1, &["a"]);
    end(&mut run(&job, &provider().url(), "a", &LIMIT)).expect(0);
    let mut top = begin(&mut within(&job, paceline(["top", "--shared", "one"])));
    let (line, _) = first_line(&mut top);
    assert!(line.starts_with("one  nobody uses it now | "), "{line}");
    assert_eq!(wait(top).expect(0).stderr, "");
}

/// As a broken disk or a stray process would leave it.
#[test]
fn a_quota_that_can_no_longer_be_kept_stops_the_run_and_fails_no_request_in_real_time() {
    let provider = provider();
    let job = dealt(300, &["a"]);
    let run_on = begin(&mut run(&job, &provider.url(), "a", &LIMIT));
    while provider.mock.stats().total < 50 {
        sleep(Duration::from_millis(10));
    }
    let file = job.path("shared/one/sets/set-one");
    let length = std::fs::metadata(&file).unwrap().len();
    let state = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    // Behind its header, which says how long it is. Again and again: in the middle of a step, the only member may write what
    // counts anew before it reads it, and go on with what it knows.
    for _ in 0..20 {
        state.write_all_at(&vec![0xa5; length as usize - 64], 64).unwrap();
        sleep(Duration::from_millis(10));
    }
    let stopped = wait(run_on).expect(3).says("the shared quota can no longer be kept").says("is damaged");
    assert!(stopped.stderr.contains(" 0 failed"), "{}", stopped.stderr);
    assert!(results(&job.path("a.out")).iter().all(succeeded));
    shared(&job, &["status", "--shared", "one"]).expect(2).says("is damaged");
    shared(&job, &["status", "--shared", "one", "--reset"]).expect(0);
    end(&mut run(&job, &provider.url(), "a", &LIMIT)).expect(0);
    assert_each_once(&results(&job.path("a.out")), 300);
}

#[test]
fn several_quotas_are_refused_by_name_and_two_endpoints_of_one_are_not_in_real_time() {
    let provider = provider();
    let job = dealt(20, &["a"]);
    let of = |name: &str, group: &str| {
        let url = provider.url();
        format!("[[endpoint]]\nname = \"{name}\"\nbase_url = \"{url}\"\nquota_group = \"{group}\"\n")
    };
    let go = |config: String| {
        std::fs::write(job.path("groups.toml"), config).unwrap();
        let mut command = within(&job, paceline(["run", "--shared", "one", "--progress", "none"]));
        command.arg(job.path("a")).arg("-o").arg(job.path("out")).arg("-c").arg(job.path("groups.toml"));
        end(command.args(LIMIT))
    };
    let refused = go(of("first", "east") + &of("second", "west")).expect(2);
    refused.says("a run can share one quota, and the configuration has 2: `east`, `west`");
    assert!(!job.path("out").exists(), "nothing was opened for writing");
    go(of("first", "east") + &of("second", "east")).expect(0);
    assert_eq!(shared(&job, &["top", "--shared", "one", "--once"]).expect(0).stdout.lines().count(), 4);
}

/// The same over a real Redis, which tells nobody its password.
#[test]
fn two_runs_on_halves_keep_one_quota_over_redis_in_real_time() {
    const REQUESTS: usize = 300;
    let redis = Server::options().password("hunter2").start();
    let provider = provider();
    let job = dealt(REQUESTS, &["a", "b"]);
    let over = |part, args: &[&str]| {
        let mut command = run(&job, &provider.url(), part, args);
        command.env("PACELINE_REDIS_URL", redis.url());
        command
    };
    let halves = ["a", "b"].map(|part| begin(&mut over(part, &LIMIT)));
    halves.into_iter().for_each(|half| drop(wait(half).expect(0).says("sharing the quota `one` over Redis")));
    let mut all = results(&job.path("a.out"));
    all.extend(results(&job.path("b.out")));
    assert_each_once(&all, REQUESTS);
    let stats = provider.mock.stats();
    assert_eq!((stats.total, stats.rejected), (REQUESTS as u64, 0), "{stats:?}");
    assert!(!job.path("shared").exists(), "nothing of it is in this machine's memory");

    let look = |args: &[&str]| end(paceline(args).env("PACELINE_REDIS_URL", redis.url()));
    let text = look(&["top", "--shared", "one", "--once"]).expect(0).stdout;
    assert!(text.contains("| 300 granted so far\n") && text.contains(" of 100 per 500ms\n"), "{text}");
    let other = over("b", &["--limit", "requests=99/500ms", "--concurrency", "8"]).output().unwrap();
    let refused = Ended::from(other).expect(2).says("`requests` is 100 per 500ms").says("99 per 500ms");
    refused.says("`paceline status --shared one --redis URL` shows what is shared");
    look(&["status", "--shared", "none"]).expect(2).says("nothing is shared as `none` over Redis here");

    let reset = |name| look(&["status", "--shared", name, "--reset"]).expect(0).stdout;
    assert_eq!(reset("none"), "nothing was shared as `none` over Redis, so there is nothing to forget\n");

    let nobody = format!("redis://:hunter3@{}", redis.address());
    let refused = end(paceline(["top", "--shared", "one", "--redis"]).arg(&nobody)).expect(2);
    assert!(!refused.stderr.contains("hunter"), "{}", refused.stderr);
    refused.says("name user and password in the URL");
}

/// Nothing is sent while it is away, and no request fails for it.
#[test]
fn a_redis_that_is_away_is_waited_for_in_real_time() {
    let mut redis = Server::options().persistent().start();
    let provider = provider();
    let job = dealt(300, &["a"]);
    let held = begin(run(&job, &provider.url(), "a", &LIMIT).args(["--redis", &redis.url()]));
    while provider.mock.stats().total < 50 {
        sleep(Duration::from_millis(10));
    }
    redis.kill();
    sleep(Duration::from_secs(3));
    let before = provider.mock.stats().total;
    sleep(Duration::from_secs(1));
    assert_eq!(provider.mock.stats().total, before, "nothing is sent");
    redis.restart();
    let ended = wait(held).expect(0).says("300 requests: 300 ok, 0 failed");
    assert!(ended.stderr.contains("nothing is sent for now"), "{}", ended.stderr);
    assert_eq!(provider.mock.stats().rejected, 0);
    assert_each_once(&results(&job.path("a.out")), 300);
}

/// What is shown of it is not taken for how it stands.
#[test]
fn a_watch_says_that_redis_is_away_in_real_time() {
    let mut redis = Server::options().persistent().start();
    let (job, url) = (dealt(1, &["a"]), redis.url());
    end(run(&job, &provider().url(), "a", &LIMIT).args(["--redis", &url])).expect(0);
    let mut top = begin(&mut paceline(["top", "--shared", "one", "--redis", &url]));
    let (line, lines) = first_line(&mut top);
    assert!(line.contains("1 granted so far") && !line.contains("away"), "{line}");
    redis.kill();
    let mut lines = lines.lines().map(Result::unwrap);
    let away = lines.find(|line| line.contains("away for ")).unwrap();
    assert!(away.contains("these figures are from before: cannot reach Redis at 127.0.0.1:"), "{away}");
    assert!(away.contains(" 1 granted so far") && !away.contains("/s"), "{away}");
    redis.restart();
    let back = lines.find(|line| !line.contains("away for ")).unwrap();
    assert!(back.contains("/s granted, 1 so far"), "{back}");
    top.kill().unwrap();
    top.wait().unwrap();
}

/// Something else listens there, which says what a terminal would obey.
#[test]
fn what_is_no_redis_is_told_plainly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut asked = [0; 4_096];
                while let Some(length) = stream.read(&mut asked).ok().filter(|length| *length > 0) {
                    let commands = asked[..length].iter().filter(|byte| **byte == b'*').count();
                    let _ = stream.write_all(&b"-ERR \x1b[2Jgo away\r\n".repeat(commands));
                }
            });
        }
    });
    let job = dealt(1, &["a"]);
    let refused = end(run(&job, "http://127.0.0.1:9", "a", &LIMIT).args(["--redis", &url])).expect(2);
    assert!(!refused.stderr.contains('\x1b') && !refused.stderr.contains("--reset"), "{}", refused.stderr);
    refused.says(r"\u{1b}[2Jgo away");
}
