//! What the crate promises, from outside and in virtual time.

mod adaptive;
mod bad_input;
mod blocking;
mod effective;
mod ending;
mod events;
mod flows;
mod hostile;
mod nested;
mod parity;
mod random;
mod retry;
mod shared;
mod support;
