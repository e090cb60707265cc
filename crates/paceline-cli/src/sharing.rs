//! Quotas that several processes keep together: what they are called, and where they live.

mod look;
mod remedies;
mod store;

use std::fmt;

use anyhow::{Result, bail};
use serde::Deserialize;

pub(crate) use look::{Away, Look, Set, Watch};
pub(crate) use remedies::for_users;
pub(crate) use store::{Cleared, Store, settled, unopened};

/// Names the Redis to share over, where nothing else does.
const REDIS: &str = "PACELINE_REDIS_URL";

/// How quotas are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sharing {
    pub(crate) name: SharedName,
    /// Without one, in memory that the processes of this machine share.
    redis: Option<RedisUrl>,
}

impl Sharing {
    /// Over that Redis, or the one that the environment names.
    ///
    /// # Errors
    /// What names the Redis is no URL at all.
    pub(crate) fn new(name: SharedName, redis: Option<RedisUrl>) -> Result<Self> {
        let named = || std::env::var(REDIS).ok().filter(|url| !url.is_empty()).map(RedisUrl);
        let redis = redis.or_else(named);
        if redis.as_ref().is_some_and(|url| !url.0.contains("://")) {
            bail!("the URL of the Redis has no scheme; write redis:// before it, as in redis://HOST:PORT");
        }
        Ok(Self { name, redis })
    }

    /// As flags that find the same again, but for what may be secret.
    fn flags(&self) -> String {
        let redis = if self.redis.is_some() { " --redis URL" } else { "" };
        format!("--shared {}{redis}", self.name)
    }
}

/// As messages call it.
impl fmt::Display for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = if self.redis.is_some() { " over Redis" } else { "" };
        write!(f, "`{}`{over}", self.name)
    }
}

/// What shared quotas are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SharedName(String);

/// Names are parts of paths and of keys.
pub(crate) fn shared_name(text: &str) -> Result<SharedName, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(1..=100).contains(&text.len()) || !text.bytes().all(known) || text.starts_with('.') {
        return Err("it is no such name; use 1 to 100 letters, digits, `-`, `_` and `.`, not a `.` first".into());
    }
    Ok(SharedName(text.into()))
}

impl SharedName {
    fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a set is one of those that are called so.
    fn has(&self, set: &str) -> bool {
        set.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    }
}

impl fmt::Display for SharedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a Redis is. It may hold a password, so it is never shown.
#[derive(Clone, Deserialize, PartialEq, Eq)]
pub(crate) struct RedisUrl(String);

impl From<&str> for RedisUrl {
    fn from(url: &str) -> Self {
        Self(url.into())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisUrl")
    }
}
