//! What every fuzz target calls: the same that the tests call with answers that are known.

use paceline_core::headers::Dialect;

#[path = "../../tests/it/headers/holds.rs"]
mod holds;

/// Bytes as an answer in this dialect.
pub fn answer(dialect: Dialect, bytes: &[u8]) {
    holds::answer(dialect, bytes);
}

/// Bytes as the JSON of a success.
pub fn usage(bytes: &[u8]) {
    holds::usage(bytes);
}

/// Bytes as the text of an error.
pub fn text(bytes: &[u8]) {
    holds::text(bytes);
}
