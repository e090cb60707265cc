//! Reading single values, with errors that say what to write instead.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::{ColorChoice, ValueEnum};
use serde::Deserialize;

/// How to show how far it is.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Progress {
    /// A bar on a terminal, lines elsewhere
    #[default]
    Auto,
    /// A bar that is redrawn in place
    Bar,
    /// A line every five seconds
    Plain,
    /// One JSON object a second
    Json,
    /// Nothing until the summary
    None,
}

/// In which order results are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ResultOrder {
    /// As the requests stand in the input
    Input,
    /// As the answers come
    #[default]
    Completion,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

impl Color {
    /// What the command line asks for, found before it is parsed, since errors in it are coloured too.
    pub(super) fn wanted(args: &[OsString]) -> Self {
        let mut found = Self::Auto;
        for (at, arg) in args.iter().enumerate() {
            let value = match arg.to_str() {
                Some("--") => break,
                Some("--color") => args.get(at + 1).and_then(|next| next.to_str()),
                Some(arg) => arg.strip_prefix("--color="),
                None => None,
            };
            if let Some(Ok(color)) = value.map(|value| Self::from_str(value, false)) {
                found = color;
            }
        }
        found
    }
}

impl From<Color> for ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

/// A whole number above zero; `_` may group its digits.
pub(crate) fn amount(text: &str) -> Result<NonZeroU64, String> {
    let digits = text.replace('_', "");
    if digits.starts_with('-') {
        return Err("it is negative; give a whole number above 0".into());
    }
    let number: u64 = digits.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow => format!("it is too large; the most is {}", u64::MAX),
        _ => "it is not a whole number; write for example 500".into(),
    })?;
    NonZeroU64::new(number).ok_or_else(|| "nothing would ever be let through; give at least 1".into())
}

/// A length of time above zero.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it is no time at all; give more than 0, for example 10s".into()),
        period => Ok(period),
    }
}

/// A length of time, zero included.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("it is negative; write for example 500ms, 10s or 1m".into());
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("`{text}` is not a length of time; write for example 500ms, 10s, 1m or 1d"))
}

/// A share from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it is not a share; give a number from 0 to 1".into()),
    }
}
