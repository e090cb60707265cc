//! Known limits of providers, as data: each with the document it was read in and the date.
//!
//! A preset is a starting point, not a promise. Providers change their numbers without notice, and most set them by
//! account and by model; what the response's headers say is worth more. It is also only data: nothing here waits or
//! counts, and there are no presets for flows.
//!
//! There are two families.
//!
//! - The presets of PocketFlow Throttled (<https://github.com/Jason-AI-lab/pocketflow-throttled>), under its names and
//!   with its numbers: how many at once, how many a minute. It calls its OpenAI numbers those of 2024 and dates no
//!   others; those carry the year of its publication, 2025.
//! - Limits providers have published since, with tokens per minute, by model and tier: `openai-gpt-5-tier-1`,
//!   `anthropic-start`, `google-gemini-2.5-flash-free`. Providers state no limit on requests at once, so these have
//!   none. Each was read in a dated public copy of the page that [`Preset::source`] names.
//!
//! What the token counts mean differs by provider, and so do the fields used. OpenAI has one limit over input and
//! output, and charges a request the larger of `max_tokens` and an estimate from its characters. Anthropic limits input
//! and output apart, and input read from its cache is free of the limit. Google limits input only.
//!
//! [`find`] takes a name in any case and spelling: `OPENAI_TIER1`, `openai-tier-1` and `OpenAI tier 1` are one preset.
//!
//! ```
//! use paceline::presets;
//!
//! let preset = presets::find("ANTHROPIC_STANDARD")?;
//! assert_eq!(preset.name, "anthropic-build-tier-1");
//! assert_eq!((preset.concurrency, preset.requests_per_minute), (Some(5), Some(50)));
//!
//! let preset = presets::find("openai gpt-5 tier 1")?;
//! assert_eq!(preset.tokens_per_minute, Some(500_000));
//! println!("{}, {}, seen {}", preset.name, preset.source, preset.date);
//! # Ok::<(), presets::UnknownPreset>(())
//! ```

use paceline_core::Quota;

use crate::set::{LimitSet, LimitSetBuilder};

mod anthropic;
mod general;
mod google;
mod openai;
mod others;
#[cfg(test)]
mod tests;

/// Where the seed family comes from.
const SEED: &str = "PocketFlow Throttled presets";

/// The known limits of one provider, tier and, where they differ, model.
///
/// A limit that is `None` is one the source does not state, not one that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Preset {
    /// The name it is listed under, such as `openai-tier-1`: lower case, words separated by `-`, model names as their
    /// provider spells them.
    pub name: &'static str,
    /// Further names [`find`] knows it by, among them the constant it had in PocketFlow Throttled.
    pub aliases: &'static [&'static str],
    /// What it is the limit of, in a line.
    pub description: &'static str,
    /// Whose limits these are: `OpenAI`, for instance, or `any` and `web` for those of nobody in particular.
    pub provider: &'static str,
    /// Requests under way at once.
    pub concurrency: Option<u64>,
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, input and output together.
    pub tokens_per_minute: Option<u64>,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Requests a day. Google starts the day at midnight Pacific time.
    pub requests_per_day: Option<u64>,
    /// The document the numbers are from: a URL where there is a public one.
    pub source: &'static str,
    /// When the numbers were seen there, as an ISO date; the year alone where no more is known.
    pub date: &'static str,
}

impl Preset {
    const fn new(
        name: &'static str,
        provider: &'static str,
        description: &'static str,
        source: &'static str,
        date: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            description,
            provider,
            concurrency: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            input_tokens_per_minute: None,
            output_tokens_per_minute: None,
            requests_per_day: None,
            source,
            date,
        }
    }

    const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn at_once(mut self, amount: u64) -> Self {
        self.concurrency = Some(amount);
        self
    }

    const fn requests(mut self, per_minute: u64) -> Self {
        self.requests_per_minute = Some(per_minute);
        self
    }

    const fn daily(mut self, requests_per_day: u64) -> Self {
        self.requests_per_day = Some(requests_per_day);
        self
    }

    const fn tokens(mut self, per_minute: u64) -> Self {
        self.tokens_per_minute = Some(per_minute);
        self
    }

    const fn input(mut self, tokens_per_minute: u64) -> Self {
        self.input_tokens_per_minute = Some(tokens_per_minute);
        self
    }

    const fn output(mut self, tokens_per_minute: u64) -> Self {
        self.output_tokens_per_minute = Some(tokens_per_minute);
        self
    }

    /// A limit set of these numbers, named as the preset: `calls` and `calls/day`, `tokens`, `input_tokens`,
    /// `output_tokens` and `concurrency`, those of them that are stated.
    ///
    /// ```
    /// let openai = paceline::presets::find("openai gpt-5 tier 1")?.limits().concurrency(32).build()?;
    /// let permit = openai.try_acquire([("tokens", 900)])?;
    /// # drop(permit); Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn limits(&self) -> LimitSetBuilder {
        let mut set = LimitSet::builder(self.name);
        if let Some(calls) = self.requests_per_minute {
            set = set.calls(Quota::per_minute(calls));
        }
        if let Some(calls) = self.requests_per_day {
            set = set.calls_as("calls/day", Quota::per_day(calls));
        }
        let tokens = [
            ("tokens", self.tokens_per_minute),
            ("input_tokens", self.input_tokens_per_minute),
            ("output_tokens", self.output_tokens_per_minute),
        ];
        for (key, per_minute) in tokens {
            if let Some(per_minute) = per_minute {
                set = set.rate(key, Quota::per_minute(per_minute));
            }
        }
        match self.concurrency {
            Some(calls) => set.concurrency(calls),
            None => set,
        }
    }

    /// Its name and its aliases.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

const TABLES: [&[Preset]; 5] =
    [openai::PRESETS, anthropic::PRESETS, google::PRESETS, others::PRESETS, general::PRESETS];

static ALL: [Preset; count(&TABLES)] = concat(&TABLES);

const fn count(tables: &[&[Preset]]) -> usize {
    let (mut total, mut table) = (0, 0);
    while table < tables.len() {
        total += tables[table].len();
        table += 1;
    }
    total
}

const fn concat<const N: usize>(tables: &[&[Preset]]) -> [Preset; N] {
    let mut all = [Preset::new("", "", "", "", ""); N];
    let (mut next, mut table) = (0, 0);
    while table < tables.len() {
        let mut row = 0;
        while row < tables[table].len() {
            all[next] = tables[table][row];
            next += 1;
            row += 1;
        }
        table += 1;
    }
    assert!(next == N, "a row of the tables was left out");
    all
}

/// Every preset, provider by provider.
///
/// ```
/// for preset in paceline::presets::all() {
///     println!("{:35} {}", preset.name, preset.description);
/// }
/// ```
#[must_use]
pub fn all() -> &'static [Preset] {
    &ALL
}

/// The preset of that name or alias, in any case; `-`, `_`, `.` and white space do not count.
///
/// Looks through the whole table each time, which takes microseconds: keep what it returns.
///
/// # Errors
///
/// [`UnknownPreset`] when no preset has the name. Its message lists those there are.
///
/// ```
/// use paceline::presets;
///
/// assert_eq!(presets::find("OPENAI_TIER1"), presets::find("openai-tier-1"));
///
/// let error = presets::find("openai-teir-1").unwrap_err();
/// assert_eq!(error.closest(), Some("openai-tier-1"));
/// ```
pub fn find(name: &str) -> Result<&'static Preset, UnknownPreset> {
    all()
        .iter()
        .find(|preset| preset.names().any(|known| letters(known).eq(letters(name))))
        .ok_or_else(|| UnknownPreset { asked: name.to_owned() })
}

/// No preset has the name asked for.
///
/// The message repeats the name, proposes the nearest one if there is a near one, and lists all:
/// `unknown preset "openai-teir-1"; did you mean "openai-tier-1"? Known presets: openai-free, …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown preset {asked:?}{}Known presets: {}", self.proposal(), known())]
pub struct UnknownPreset {
    asked: String,
}

impl UnknownPreset {
    /// The name that was asked for, as it was written.
    #[must_use]
    pub fn asked(&self) -> &str {
        &self.asked
    }

    /// The name of the preset whose name or alias differs least from the one asked for, if it differs by a slip of
    /// the hand only.
    #[must_use]
    pub fn closest(&self) -> Option<&'static str> {
        let asked: Vec<char> = letters(&self.asked).take(LONGEST_ASKED + 1).collect();
        if asked.len() > LONGEST_ASKED {
            return None;
        }
        all()
            .iter()
            .flat_map(|preset| preset.names().map(|known| (distance(&asked, known), preset.name)))
            .min_by_key(|&(distance, _)| distance)
            .filter(|&(distance, _)| distance <= asked.len() / 4)
            .map(|(_, name)| name)
    }

    fn proposal(&self) -> String {
        self.closest().map_or_else(|| ". ".to_owned(), |name| format!("; did you mean {name:?}? "))
    }
}

/// Beyond this many letters nothing is near, and a comparison would only take time.
const LONGEST_ASKED: usize = 64;

fn known() -> String {
    all().iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

/// What counts of a name.
fn letters(name: &str) -> impl Iterator<Item = char> + '_ {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.') && !c.is_whitespace()).flat_map(char::to_lowercase)
}

/// Levenshtein's distance.
fn distance(asked: &[char], known: &str) -> usize {
    let mut row: Vec<usize> = (0..=asked.len()).collect();
    for (i, known) in letters(known).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, asked) in asked.iter().enumerate() {
            let replaced = diagonal + usize::from(*asked != known);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[asked.len()]
}
