//! Quotas that several processes keep together: what they are called, and where they live.

mod look;
mod store;

use std::fmt;

pub(crate) use look::{Look, Set, Watch};
pub(crate) use store::{Cleared, Store};

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
}

impl fmt::Display for SharedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
