//! What a node says at its end: which edge to take.

use std::borrow::Cow;
use std::fmt;

/// The name of the edge to take next.
///
/// Made from any string; one that is known when the program is written costs nothing to make, clone or drop.
///
/// ```
/// use paceline_flow::Action;
///
/// assert_eq!(Action::from("analyze"), "analyze");
/// assert_eq!(Action::default(), "default");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Action(Cow<'static, str>);

impl Action {
    /// What a node says that has nothing to say.
    pub const DEFAULT: Self = Self(Cow::Borrowed("default"));

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Default for Action {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<&'static str> for Action {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl From<String> for Action {
    fn from(name: String) -> Self {
        Self(Cow::Owned(name))
    }
}

impl PartialEq<str> for Action {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Action {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
