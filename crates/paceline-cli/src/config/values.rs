//! Values of the configuration: read as the flags are, with errors that say what stands there and what should.

use std::num::{NonZeroU8, NonZeroU32, NonZeroU64};
use std::time::Duration;

use jiff::Timestamp;
use paceline::headers::Dialect;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Value;

use crate::args::values;
use crate::bounds::{Percent, deadline, percent};
use crate::job::Concurrency;
use crate::limits::LimitFlag;
use crate::sharing::SharedName;

/// What each window is padded by; none is the default, which depends on the window and on what the run sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard(pub(crate) Option<Duration>);

impl<'de> Deserialize<'de> for Guard {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = text(from, "\"auto\" or a length of time such as \"50ms\"")?;
        match text.as_str() {
            "auto" => Ok(Self(None)),
            text => values::duration(text).map(|guard| Self(Some(guard))).map_err(Error::custom),
        }
    }
}

/// A whole number.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    match Value::deserialize(from)? {
        Value::Integer(number) => Ok(number),
        other => Err(expected("a whole number such as 500", &other)),
    }
}

/// A number, whole or not.
fn fraction<'de, D: Deserializer<'de>>(from: D, form: &str) -> Result<f64, D::Error> {
    match Value::deserialize(from)? {
        Value::Float(number) => Ok(number),
        Value::Integer(number) => Ok(number as f64),
        other => Err(expected(form, &other)),
    }
}

fn text<'de, D: Deserializer<'de>>(from: D, form: &str) -> Result<String, D::Error> {
    match Value::deserialize(from)? {
        Value::String(text) => Ok(text),
        other => Err(expected(form, &other)),
    }
}

fn expected<E: Error>(form: &str, found: &Value) -> E {
    E::custom(format!("expected {form}, found {}", sort(found)))
}

/// With its article.
fn sort(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "a boolean",
        Value::Datetime(_) => "a date or time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

fn named<E: Error>(value: impl std::fmt::Display) -> impl FnOnce(String) -> E {
    move |why| E::custom(format!("{value}: {why}"))
}

pub(super) fn amount<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroU64>, D::Error> {
    let number = number(from)?;
    values::amount(&number.to_string()).map(Some).map_err(named(number))
}

pub(super) fn attempts<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroU32>, D::Error> {
    let number = number(from)?;
    values::attempts(&number.to_string()).map(Some).map_err(named(number))
}

pub(super) fn weight<'de, D: Deserializer<'de>>(from: D) -> Result<NonZeroU8, D::Error> {
    let number = number(from)?;
    let weight = u8::try_from(number).ok().and_then(NonZeroU8::new);
    weight.ok_or_else(|| Error::custom(format!("{number}: it is no weight; give a whole number from 1 to 255")))
}

pub(super) fn concurrency<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Concurrency>, D::Error> {
    let text = match Value::deserialize(from)? {
        Value::Integer(number) => number.to_string(),
        Value::String(text) => text,
        other => return Err(expected("a number, \"auto\", or bounds such as \"4-64\"", &other)),
    };
    values::concurrency(&text).map(Some).map_err(named(&text))
}

pub(super) fn period<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = text(from, "a length of time in quotes, such as \"10s\"")?;
    values::period(&text).map(Some).map_err(named(format_args!("{text:?}")))
}

pub(super) fn moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = text(from, "a moment in quotes, such as \"18:30\" or \"2h\"")?;
    deadline(&text).map(Some).map_err(Error::custom)
}

pub(super) fn percentage<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Percent>, D::Error> {
    let number = fraction(from, "a number of per cent such as 5")?;
    percent(&number.to_string()).map(Some).map_err(Error::custom)
}

pub(super) fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<LimitFlag>, D::Error> {
    const FORM: &str = "a list such as [\"requests=100/10s\"]";
    let list = match Value::deserialize(from)? {
        Value::Array(list) => list,
        other => return Err(expected(FORM, &other)),
    };
    let read = |value: &Value| match value {
        Value::String(text) => text.parse().map_err(named(format_args!("{text:?}"))),
        other => Err(expected(FORM, other)),
    };
    list.iter().map(read).collect()
}

pub(super) fn shared_name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SharedName>, D::Error> {
    let text = text(from, "a name such as \"openai\"")?;
    crate::sharing::shared_name(&text).map(Some).map_err(named(format_args!("{text:?}")))
}

pub(super) fn dialect<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Dialect>, D::Error> {
    let text = text(from, "the name of a dialect, such as \"openai\"")?;
    values::dialect(&text).map(Some).map_err(named(format_args!("{text:?}")))
}

pub(super) fn above_zero<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let number = fraction(from, "a number such as 4.0")?;
    if number.is_finite() && number > 0.0 {
        return Ok(Some(number));
    }
    Err(Error::custom(format!("{number} characters are no token; give a number above 0, for example 4.0")))
}
