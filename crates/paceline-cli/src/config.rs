//! The configuration file. Where a flag says the same, a key is its name with `_` for `-`; flags win over it.

mod endpoint;
mod known;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use serde::Deserialize;

use crate::args::{OnUnknown, Progress, ResultOrder};
use crate::bounds::Percent;
use crate::job::Concurrency;
use crate::limits::LimitFlag;
use crate::price::{Price, Usd};
use crate::sharing::{RedisUrl, SharedName};

pub(crate) use endpoint::EndpointConfig;
pub(crate) use values::Guard;

/// The example that `paceline config --example` prints: every key, with its default where it has one.
pub(crate) const EXAMPLE: &str = include_str!("config/example.toml");

/// What the file says.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) job: JobConfig,
    pub(crate) limits: LimitsConfig,
    pub(crate) retry: RetryConfig,
    pub(crate) estimate: EstimateConfig,
    /// By model.
    pub(crate) prices: BTreeMap<String, Price>,
    pub(crate) endpoint: Vec<EndpointConfig>,
}

/// The job as a whole.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JobConfig {
    #[serde(deserialize_with = "values::period")]
    pub(crate) timeout: Option<Duration>,
    pub(crate) send_custom_id: bool,
    #[serde(deserialize_with = "values::moment")]
    pub(crate) deadline: Option<Timestamp>,
    #[serde(deserialize_with = "values::period")]
    pub(crate) max_elapsed: Option<Duration>,
    pub(crate) max_cost: Option<Usd>,
    #[serde(deserialize_with = "values::percentage")]
    pub(crate) fail_fast: Option<Percent>,
    pub(crate) order: Option<ResultOrder>,
    pub(crate) on_unknown: Option<OnUnknown>,
    pub(crate) progress: Option<Progress>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// What a service allows.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsConfig {
    pub(crate) preset: Option<String>,
    #[serde(deserialize_with = "values::amount")]
    pub(crate) rpm: Option<NonZeroU64>,
    #[serde(deserialize_with = "values::amount")]
    pub(crate) tpm: Option<NonZeroU64>,
    #[serde(deserialize_with = "values::amount")]
    pub(crate) itpm: Option<NonZeroU64>,
    #[serde(deserialize_with = "values::amount")]
    pub(crate) otpm: Option<NonZeroU64>,
    #[serde(deserialize_with = "values::amount")]
    pub(crate) rpd: Option<NonZeroU64>,
    #[serde(deserialize_with = "values::limits")]
    pub(crate) limit: Vec<LimitFlag>,
    #[serde(deserialize_with = "values::concurrency")]
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) guard: Guard,
    #[serde(deserialize_with = "values::shared_name")]
    pub(crate) shared: Option<SharedName>,
    pub(crate) redis: Option<RedisUrl>,
}

/// How to try again.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetryConfig {
    #[serde(deserialize_with = "values::attempts")]
    pub(crate) max_attempts: Option<NonZeroU32>,
    #[serde(deserialize_with = "values::period")]
    pub(crate) retry_elapsed: Option<Duration>,
}

/// How tokens are estimated before the answer says what they were.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EstimateConfig {
    /// None counts as the service's models do, where that is known.
    #[serde(deserialize_with = "values::above_zero")]
    pub(crate) characters_per_token: Option<f64>,
    pub(crate) count_max_tokens: bool,
}

impl Default for EstimateConfig {
    fn default() -> Self {
        Self { characters_per_token: None, count_max_tokens: true }
    }
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let at = |place: Option<usize>, what: &str| match place {
            Some(at) => anyhow!("{}:{}: {what}", path.display(), Place::of(at, &text)),
            None => anyhow!("{}: {what}", path.display()),
        };
        if let Some((place, what)) = known::first_unknown(&text) {
            return Err(at(Some(place), &what));
        }
        // Not the parser's own rendering, which shows the line: that may hold what is nobody's business.
        toml::from_str(&text).map_err(|error| at(error.span().map(|span| span.start), error.message()))
    }
}

/// Line and column, from 1.
struct Place(usize, usize);

impl Place {
    fn of(at: usize, text: &str) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self(before.matches('\n').count() + 1, line.chars().count() + 1)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

/// The example with what is commented out there.
fn whole_example() -> String {
    let lines = EXAMPLE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_parses_and_equals_the_defaults() {
        assert_eq!(
            toml::from_str::<Config>(EXAMPLE).unwrap(),
            Config {
                job: JobConfig {
                    timeout: Some(Duration::from_secs(600)),
                    order: Some(ResultOrder::default()),
                    on_unknown: Some(OnUnknown::default()),
                    progress: Some(Progress::default()),
                    ..JobConfig::default()
                },
                limits: LimitsConfig { concurrency: Some(Concurrency::AUTO), ..LimitsConfig::default() },
                retry: RetryConfig { max_attempts: Some(crate::job::Attempts::MOST), retry_elapsed: None },
                endpoint: vec![EndpointConfig {
                    base_url: Some("https://api.openai.com".into()),
                    key_env: Some("OPENAI_API_KEY".into()),
                    ..EndpointConfig::default()
                }],
                ..Config::default()
            }
        );
    }

    /// What is commented out has no default, and must be right all the same once it is used.
    #[test]
    fn the_examples_comments_parse_too() {
        let Config { limits, job, retry, endpoint, prices, .. } = toml::from_str(&whole_example()).unwrap();
        assert_eq!(limits.rpm.map(NonZeroU64::get), Some(500));
        assert_eq!(limits.limit.len(), 2);
        assert_eq!(retry.retry_elapsed, Some(Duration::from_secs(1_800)));
        assert_eq!(job.max_elapsed, Some(Duration::from_secs(8 * 3_600)));
        assert!(job.deadline.is_some() && job.max_cost.is_some() && job.fail_fast.is_some());
        assert_eq!((job.headers.len(), endpoint[0].headers.len(), prices.len()), (1, 1, 1));
        assert!([limits.tpm, limits.itpm, limits.otpm, limits.rpd].iter().all(Option::is_some));
        assert!(limits.shared.is_some() && limits.redis.is_some());
        let own = endpoint[0].limits();
        assert!([own.rpm, own.tpm, own.itpm, own.otpm, own.rpd].iter().all(Option::is_some));
        assert!(own.preset.is_some() && own.limit.len() == 1 && own.concurrency.is_some());
        let EndpointConfig { name, key_file, dialect, quota_group, timeout, .. } = &endpoint[0];
        assert!(
            name.is_some() && key_file.is_some() && dialect.is_some() && quota_group.is_some() && timeout.is_some()
        );
    }
}
