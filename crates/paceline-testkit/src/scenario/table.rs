//! The rows of the design.

use std::time::Duration;

use super::{Bar, Change, Extra, Latency, Load, Rule, Scenario, Service, Setup};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What `--concurrency auto` is: 10 at the start, up to 50.
const AUTO: Setup = Setup { initial: 10, max: 50, extra: Extra::Nothing, load: Load::Backlog, timeout: secs(600) };
/// What a request of most rows takes; the way there and back takes no time.
const TENTH: Latency = Latency::About(ms(100));
const ROUND_TRIP: f64 = 0.1;

fn service(rule: Rule, work: Latency) -> Service {
    Service { rule, work, network: Duration::ZERO, jitter: Duration::ZERO, retry_after: None }
}

fn scenario(name: &'static str, rule: Rule, setup: Setup, lasts: Duration, ideal_rate: f64) -> Scenario {
    Scenario {
        name: name.into(),
        service: service(rule, TENTH),
        changes: Vec::new(),
        clients: vec![setup],
        lasts,
        ideal: ideal_rate * lasts.as_secs_f64(),
        bars: Vec::new(),
    }
}

/// All rows, in the order of the design.
#[must_use]
pub fn table() -> Vec<Scenario> {
    [levels(), troubles(), told()].concat()
}

/// Which level is right.
#[must_use]
pub fn levels() -> Vec<Scenario> {
    let full = 50.0 / ROUND_TRIP;
    let of_cap = |cap: f64| cap / 0.1;
    let with = |extra| Setup { extra, ..AUTO };
    // The mean of a lognormal is exp(sigma² / 2) medians.
    let (median, sigma) = (5.0, 0.6_f64);
    let llm = Latency::LogNormal { median: secs(5), sigma };
    vec![
        Scenario {
            bars: vec![Bar::Goodput(0.97), Bar::Level { from: secs(10), to: secs(30), low: 50, high: 50 }],
            ..scenario("100 ms, no cap", Rule::Open, AUTO, secs(30), full)
        },
        Scenario {
            bars: vec![Bar::Goodput(0.85), Bar::Throttled(0.03)],
            ..scenario("cap 20 at once, 429 above", Rule::Cap(20), AUTO, secs(60), of_cap(20.0))
        },
        Scenario {
            bars: vec![Bar::Goodput(0.9), Bar::Throttled(0.02)],
            ..scenario(
                "50/s, 100 ms, 429 above",
                Rule::Window { amount: 50, period: secs(1), counts_refused: false },
                with(Extra::Cubic),
                secs(60),
                50.0,
            )
        },
        Scenario {
            bars: vec![Bar::Goodput(0.97), Bar::InFlight(20)],
            ..scenario("10 workers and a queue", Rule::Workers(10), with(Extra::LatencyGuard), secs(60), 10.0 / 0.1)
        },
        Scenario {
            service: service(Rule::Cap(8), llm),
            bars: vec![Bar::Goodput(0.8), Bar::Throttled(0.05)],
            ..scenario(
                "LLM-like latency, cap 8",
                Rule::Cap(8),
                AUTO,
                secs(1_200),
                8.0 / (median * (sigma * sigma / 2.0).exp()),
            )
        },
        Scenario {
            changes: vec![Change { at: secs(10), rule: Rule::Open, work: Latency::About(ms(200)) }],
            bars: vec![Bar::Level { from: secs(30), to: secs(60), low: 48, high: 50 }],
            ideal: full * 10.0 + full / 2.0 * 50.0,
            ..scenario("latency doubles, load-free", Rule::Open, with(Extra::LatencyGuard), secs(60), 0.0)
        },
    ]
}

/// What goes wrong, and what must not be made of it.
#[must_use]
pub fn troubles() -> Vec<Scenario> {
    let full = 50.0 / ROUND_TRIP;
    let change = |at, rule| Change { at: secs(at), rule, work: TENTH };
    let level = |from, to, low, high| Bar::Level { from: secs(from), to: secs(to), low, high };
    vec![
        Scenario {
            changes: vec![change(20, Rule::Cap(5)), change(40, Rule::Cap(20))],
            bars: vec![level(10, 20, 13, 22), level(30, 40, 3, 6), level(50, 60, 13, 22)],
            ..scenario("cap 20, then 5, then 20", Rule::Cap(20), AUTO, secs(60), (20.0 + 5.0 + 20.0) / 3.0 / 0.1)
        },
        Scenario {
            changes: vec![change(10, Rule::Down), change(40, Rule::Open)],
            bars: vec![Bar::Speed { by: secs(50), rate: 0.97 * full }],
            ..scenario("30 s of 503s", Rule::Open, AUTO, secs(60), full / 2.0)
        },
        Scenario {
            service: Service { jitter: ms(200), retry_after: Some(secs(1)), ..service(Rule::Shut, TENTH) },
            changes: vec![Change { at: ms(900), ..change(0, Rule::Open) }],
            bars: vec![Bar::Cuts(1)],
            ..scenario(
                "50 simultaneous 429s",
                Rule::Shut,
                Setup { initial: 50, load: Load::Once(50), ..AUTO },
                secs(10),
                5.0,
            )
        },
        Scenario {
            bars: vec![level(60, 120, 1, 1)],
            service: service(Rule::Open, Latency::About(secs(3_600))),
            ..scenario("every call times out at 5 s", Rule::Open, Setup { timeout: secs(5), ..AUTO }, secs(120), 0.0)
        },
        Scenario {
            bars: vec![Bar::NeverAbove(10)],
            ..scenario(
                "offered load of 2",
                Rule::Open,
                Setup { load: Load::AtOnce(2), ..AUTO },
                secs(60),
                2.0 / ROUND_TRIP,
            )
        },
        Scenario {
            clients: vec![Setup { initial: 15, ..AUTO }, Setup { initial: 1, ..AUTO }],
            bars: vec![Bar::Fairness(0.95)],
            ..scenario("two clients, cap 20", Rule::Cap(20), AUTO, secs(60), 20.0 / 0.1)
        },
    ]
}

/// Told the rate, and not how it is counted.
#[must_use]
pub fn told() -> Vec<Scenario> {
    let window = |counts_refused| Rule::Window { amount: 50, period: secs(1), counts_refused };
    let servers = [
        ("bucket of 5", Rule::Bucket { rate: 50, burst: 5 }, 5.0),
        ("full bucket", Rule::Bucket { rate: 50, burst: 50 }, 50.0),
        ("strict window", window(false), 0.0),
        ("window that counts refusals", window(true), 0.0),
    ];
    let mut rows = Vec::new();
    for jitter in [0, 20, 200] {
        for (name, rule, burst) in servers {
            rows.push(Scenario {
                name: format!("told 50/s: {name}, jitter {jitter} ms").into(),
                service: jittery(rule, jitter),
                clients: vec![Setup { extra: Extra::Told(50, secs(1)), ..AUTO }],
                ideal: burst + 50.0 * 60.0,
                bars: if jitter < 200 { few_refusals(0.93) } else { vec![Bar::Goodput(0.88), Bar::Throttled(0.02)] },
                ..scenario("", rule, AUTO, secs(60), 0.0)
            });
        }
    }
    for burst in [5, 300] {
        rows.push(minutes(burst));
    }
    rows
}

/// 600 calls at 300 a minute: only who finds a full bucket early is done in the time.
fn minutes(burst: u64) -> Scenario {
    let (rule, calls) = (Rule::Bucket { rate: 5, burst }, 600);
    let oracle = Duration::from_secs(calls - burst) / 5;
    Scenario {
        name: format!("told 300/min: bucket of {burst}, 600 calls in 1/0.93 of the ideal time").into(),
        service: jittery(rule, 20),
        clients: vec![Setup {
            extra: Extra::Told(300, secs(60)),
            load: Load::Once(usize::try_from(calls).unwrap_or(usize::MAX)),
            ..AUTO
        }],
        lasts: oracle.mul_f64(1.0 / 0.93),
        ideal: calls as f64,
        bars: few_refusals(1.0),
        ..scenario("", rule, AUTO, secs(0), 0.0)
    }
}

fn few_refusals(goodput: f64) -> Vec<Bar> {
    vec![Bar::Goodput(goodput), Bar::Throttled(0.02), Bar::NoThrottleAfter(secs(10))]
}

fn jittery(rule: Rule, jitter: u64) -> Service {
    Service { network: ms(10), jitter: ms(jitter), ..service(rule, Latency::About(ms(30))) }
}
