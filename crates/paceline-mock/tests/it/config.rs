//! Texts and configurations, right and wrong.

use std::io;
use std::time::Duration;

use paceline_mock::{Dialect, Latency, LimitKey, Mock, MockConfig, MockLimit};

fn latency(text: &str) -> Result<Latency, String> {
    text.parse().map_err(|why: paceline_mock::LatencyError| why.to_string())
}

#[test]
fn latencies_are_read_and_written() {
    let fixed = |ms| Ok(Latency::Fixed(Duration::from_millis(ms)));
    assert_eq!(latency("50ms"), fixed(50));
    assert_eq!(latency("0"), fixed(0));
    assert_eq!(latency("1m 5s"), fixed(65_000));
    let drawn = Latency::LogNormal { median: Duration::from_secs(5), sigma: 0.6 };
    assert_eq!(latency("lognormal:5s,0.6"), Ok(drawn));
    assert_eq!(latency("lognormal: 5s , 0.6"), Ok(drawn));
    assert_eq!(drawn.to_string(), "lognormal:5s,0.6");
    assert_eq!(latency(&drawn.to_string()), Ok(drawn));
}

#[test]
fn a_wrong_latency_says_what_to_write() {
    let message = |text: &str| latency(text).expect_err("a wrong latency");
    for text in ["", "50", "fast", "-5ms", "normal:5s,0.6", "lognormal:x,0.6"] {
        assert!(message(text).contains("write for example 50ms"), "{}", message(text));
    }
    assert_eq!(
        message("lognormal:5s"),
        r#""lognormal:5s" has no sigma: write lognormal:MEDIAN,SIGMA, for example lognormal:5s,0.6"#
    );
    for sigma in ["-1", "NaN", "inf", "11", "wide", ""] {
        let text = format!("lognormal:5s,{sigma}");
        assert_eq!(message(&text), format!("{sigma:?} is not a sigma: use a number from 0 to 10, for example 0.6"));
    }
    assert_eq!(message("lognormal:0s,0.6"), "a lognormal latency needs a median above 0");
}

#[test]
fn names_are_read_as_they_are_written() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.to_string().parse(), Ok(dialect));
    }
    for key in LimitKey::ALL {
        assert_eq!(key.to_string().parse(), Ok(key));
    }
    let why = "opnai".parse::<Dialect>().expect_err("no such dialect");
    assert_eq!(
        why.to_string(),
        r#"unknown dialect "opnai": use openai, azure, anthropic, gemini, github, ietf or plain"#
    );
    let why = "rpm".parse::<LimitKey>().expect_err("no such key");
    assert_eq!(why.to_string(), r#"unknown limit key "rpm": use requests, tokens, input_tokens or output_tokens"#);
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_does_not_start() {
    let limit = |amount, window| MockConfig {
        limits: vec![MockLimit::new(LimitKey::Tokens, amount, window)],
        ..MockConfig::default()
    };
    let wrong = [
        (limit(0, Duration::from_secs(1)), "amount of 0"),
        (limit(1, Duration::ZERO), "window of 0"),
        (MockConfig { bucket: Some(0), ..MockConfig::default() }, "bucket of 0"),
        (MockConfig { concurrency: Some(0), ..MockConfig::default() }, "concurrency of 0"),
        (MockConfig { error_rate: 1.5, ..MockConfig::default() }, "error rate 1.5"),
        (MockConfig { error_rate: f64::NAN, ..MockConfig::default() }, "error rate NaN"),
    ];
    for (config, part) in wrong {
        let why = Mock::start(config, ([127, 0, 0, 1], 0).into()).await.expect_err(part);
        assert_eq!(why.kind(), io::ErrorKind::InvalidInput);
        assert!(why.to_string().contains(part), "{why}");
    }
}
