//! Reading `KEY=AMOUNT/WINDOW[,burst=N]`.

use std::str::FromStr;
use std::time::Duration;

use super::Counted;
use crate::args::values::{amount, period};

/// One `--limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitFlag {
    pub(crate) counted: Counted,
    pub(crate) amount: u64,
    pub(crate) window: Duration,
    pub(crate) burst: Option<u64>,
}

impl LimitFlag {
    pub(crate) fn window(counted: Counted, amount: u64, window: Duration) -> Self {
        Self { counted, amount, window, burst: None }
    }
}

const FORM: &str = "write KEY=AMOUNT/WINDOW, for example requests=100/10s";

impl FromStr for LimitFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, rest) = text.split_once('=').ok_or_else(|| format!("it has no `=`; {FORM}"))?;
        let counted = key_of(key.trim())?;
        let mut options = rest.split(',');
        let quota = options.next().unwrap_or_default();
        let (units, window) = quota.split_once('/').ok_or_else(|| format!("`{quota}` has no `/WINDOW`; {FORM}"))?;
        let units = amount(units.trim()).map_err(|why| format!("the amount `{}`: {why}", units.trim()))?;
        let window = period(window).map_err(|why| format!("the window `{}`: {why}", window.trim()))?;
        let mut burst = None;
        for option in options {
            let value = match option.trim().split_once('=') {
                Some(("burst", value)) if burst.is_none() => value.trim(),
                Some(("burst", _)) => return Err("it has two bursts; give one".into()),
                _ => return Err(format!("`{}` is no option of a limit; there is burst=N", option.trim())),
            };
            burst = Some(amount(value).map_err(|why| format!("the burst `{value}`: {why}"))?.get());
        }
        Ok(Self { counted, amount: units.get(), window, burst })
    }
}

fn key_of(key: &str) -> Result<Counted, String> {
    Counted::ALL.into_iter().find(|counted| counted.as_str() == key).ok_or_else(|| {
        let known = Counted::ALL.map(Counted::as_str).join(", ");
        match key {
            "concurrency" => format!("`concurrency` is no rate; use --concurrency N (the keys here are {known})"),
            _ => format!("`{key}` is no key; the keys are {known}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_part() {
        let flag: LimitFlag = "tokens=150_000/1m,burst=10000".parse().unwrap();
        let expected = LimitFlag {
            counted: Counted::Tokens,
            amount: 150_000,
            window: Duration::from_secs(60),
            burst: Some(10_000),
        };
        assert_eq!(flag, expected);
    }

    #[test]
    fn errors_name_the_part_and_the_remedy() {
        let error = |text: &str| text.parse::<LimitFlag>().unwrap_err();
        let cases = [
            ("requests", "no `=`"),
            ("requests=100", "no `/WINDOW`"),
            ("calls=100/10s", "the keys are requests, tokens, input_tokens, output_tokens"),
            ("concurrency=8/1m", "use --concurrency N"),
            ("requests=0/10s", "at least 1"),
            ("requests=-5/10s", "negative"),
            ("requests=5/0s", "more than 0"),
            ("requests=5/-1s", "negative"),
            ("requests=5/soon", "not a length of time"),
            ("requests=5/1s,burst=0", "the burst `0`"),
            ("requests=5/1s,burst=1,burst=2", "two bursts"),
            ("requests=5/1s,paced=1", "there is burst=N"),
            ("requests=99999999999999999999/1s", "too large"),
        ];
        for (text, part) in cases {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
    }
}
