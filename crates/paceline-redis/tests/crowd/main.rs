//! Crowds of real processes in real time. A program of its own, since Cargo runs one after another: what is measured here
//! has the machine to itself.
#![cfg(target_os = "linux")]

mod fleet;
mod member;
