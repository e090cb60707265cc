//! What the crate promises, from outside and in virtual time.

mod nested;
mod support;
